// The hooks and the way of a packet through them.
#include "chains/compile_parts.hpp"

namespace chains {

using namespace build;

namespace {

constexpr std::int32_t kPriority = -10;  // just before the filter priority of every other tool

/// Packets that follow the first of a flow that is not admitted yet. A reset or a repeated SYN is
/// no evidence of a handshake (a forged SYN's victim answers with a reset): it passes uncounted.
void established(Compilation& c, const std::string& name, bool reply_admits) {
  Chain& chain = c.chain(name);
  rule(chain, "blocked", {}, {jump("blocked")});
  std::vector<Expr> reply{match(Field::ct_direction, u8(1))};
  if (reply_admits) reply.push_back(c.admit());
  reply.push_back(accept());
  rule(chain, "reply", {}, std::move(reply));
  rule(chain, "no handshake yet", {},
       {is_protocol(fw::Protocol::tcp),
        match_masked(Field::tcp_flags, u8(kSyn | kRst), u8(0), Compare::not_equal), accept()});
  rule(chain, "count", {}, {jump("CLOUDRON_RATELIMIT")});
  rule(chain, "admit", {}, {c.admit(), accept()});
}

}  // namespace

void compile_base(Compilation& c) {
  // Rules, not a verdict map: two tests of the state cost less than one lookup.
  Chain& input = c.chain("input");
  input.base = BaseHook{Hook::input, kPriority, VerdictKind::drop, {}};
  rule(input, "admitted flow", {}, {c.admitted(), accept()});
  rule(input, "loopback", {}, {match(Field::iif, u32(1)), accept()});
  rule(input, "first packet", {}, {in_state(kStateNew), go("input_new")});
  rule(input, "later packet", {}, {in_state(kStateEstablished), go("input_established")});
  rule(input, "blocked", {}, {jump("blocked")});
  rule(input, "of a known flow", {}, {in_state(kStateRelated), accept()});
  rule(input, "neighbours", {}, {in_state(kStateUntracked), go("CLOUDRON")});

  Chain& forward = c.chain("forward");
  forward.base = BaseHook{Hook::forward, kPriority, VerdictKind::accept, {}};
  rule(forward, "admitted flow", {}, {c.admitted(), accept()});
  rule(forward, "first packet", {}, {in_state(kStateNew), go("forward_new")});
  rule(forward, "later packet", {}, {in_state(kStateEstablished), go("forward_established")});
  rule(forward, "blocked", {}, {jump("blocked")});
  rule(forward, "of a known flow", {}, {in_state(kStateRelated), accept()});
  rule(forward, "of no known flow", {}, {go("CLOUDRON_FORWARD")});

  // A reply on the input hook belongs to a connection that the host itself opened. On the forward
  // hook it may be the second step of a handshake that must still be counted.
  established(c, "input_established", true);
  established(c, "forward_established", false);

  Chain& input_new = c.chain("input_new");
  c.counter("not_syn");
  // A connection picked up in its middle could be counted in a forged sender's name.
  rule(input_new, "new without SYN", {},
       {is_protocol(fw::Protocol::tcp),
        match_masked(Field::tcp_flags, u8(kFin | kSyn | kRst | kAck), u8(kSyn), Compare::not_equal),
        count("not_syn"), drop()});
  rule(input_new, "blocked", {}, {jump("blocked")});
  rule(input_new, "limits", {}, {jump("CLOUDRON_RATELIMIT")});
  rule(input_new, "ports", {}, {go("CLOUDRON")});

  Chain& forward_new = c.chain("forward_new");
  rule(forward_new, "blocked", {}, {jump("blocked")});
  rule(forward_new, "limits", {}, {jump("CLOUDRON_RATELIMIT")});
  rule(forward_new, "apps", {}, {go("CLOUDRON_FORWARD")});
}

}  // namespace chains
