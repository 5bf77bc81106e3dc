// The hooks and the way of a packet through them.
#include "chains/compile_parts.hpp"

namespace chains {

using namespace build;

namespace {

constexpr std::int32_t kPriority = -10;  // just before the filter priority of every other tool

/// A connection picked up in its middle could be counted in a forged sender's name.
void drop_without_syn(Chain& chain) {
  rule(chain, "new without SYN", {},
       {is_protocol(fw::Protocol::tcp),
        match_masked(Field::tcp_flags, u8(kFin | kSyn | kRst | kAck), u8(kSyn), Compare::not_equal),
        count("not_syn"), drop()});
}

/// A reset is no evidence of a handshake (a forged SYN's victim answers with one): it passes
/// uncounted. A SYN is asked like any other. What else comes before the handshake is complete is
/// forged too: after the victim's reset the kernel takes an acknowledgement with any number for one
/// of a flow that had an answer, but it says "assured" of completed handshakes only.
void pass_without_handshake(Chain& chain, const std::string& first) {
  rule(chain, "no handshake yet", {},
       {is_protocol(fw::Protocol::tcp),
        match_masked(Field::tcp_flags, u8(kRst), u8(0), Compare::not_equal), accept()});
  rule(chain, "no handshake yet", {},
       {is_protocol(fw::Protocol::tcp),
        match_masked(Field::tcp_flags, u8(kSyn), u8(0), Compare::not_equal), go(first)});
  constexpr std::uint32_t kAssured = 1u << 2;  // IPS_ASSURED
  rule(chain, "no handshake", {},
       {is_protocol(fw::Protocol::tcp), match_masked(Field::ct_status, u32(kAssured), u32(0)),
        count("not_syn"), drop()});
}

/// A client may begin a new connection in the place of one that has ended; the kernel then goes on
/// with the same entry, mark and all. Connections that are ending are forgotten within two minutes,
/// those that live within days (net.netfilter.nf_conntrack_tcp_timeout_*).
void count_the_next(Compilation& c, Chain& chain) {
  constexpr std::uint32_t kEnding = 125'000;  // ms
  Bytes within(4);
  for (int i = 0; i < 4; ++i) within[static_cast<std::size_t>(i)] = kEnding >> (24 - 8 * i) & 0xff;
  rule(chain, "a new one in the place of an old one", {},
       {is_protocol(fw::Protocol::tcp),
        match_masked(Field::tcp_flags, u8(kFin | kSyn | kRst | kAck), u8(kSyn)), c.admitted(),
        Match{{Field::ct_expiration, {}}, Compare::less, within}, CtMarkClear{c.mark}});
}

/// First packets: an app's are looked at by the limits of apps; those from outside by the limit of
/// the port, once it is known to be open.
void first_packet(Compilation& c, const std::string& name, const std::string& next, bool syn) {
  Chain chain{name, {}, {}, false};
  if (syn) {
    drop_without_syn(chain);
    before_blocks(chain);
  } else {
    // The early drop lets it pass, for it may be the host's own answer.
    rule(chain, "blocked", {},
         {is_protocol(fw::Protocol::udp), match(Field::udp_dport, u16(68)), jump("blocked")});
  }
  rule(chain, "blocked", {}, {jump("blocked_new")});
  if (!syn) {
    // A connection that was cut and forgotten.
    rule(chain, "to blocked, without SYN", {},
         {is_protocol(fw::Protocol::tcp), match_masked(Field::tcp_flags, u8(kSyn), u8(0)),
          jump("blocked_target")});
  }
  fast_open_rules(c, chain, syn ? Hook::input : Hook::forward);
  if (c.around.panic) rule(chain, "panic", {}, {jump("panic")});
  app_address_rules(c, chain, "an app", jump("from_app"));
  rule(chain, "is it open?", {}, {go(next)});
  c.out.chains.push_back(std::move(chain));
}

/// Later packets on the input hook, of a flow that is not admitted yet.
void input_established(Compilation& c) {
  Chain chain{"input_established", {}, {}, false};
  before_blocks(chain);
  rule(chain, "blocked", {}, {jump("blocked")});
  // A reply here belongs to a connection that the host itself opened.
  rule(chain, "reply", {}, {match(Field::ct_direction, u8(1)), c.admit(), accept()});
  // Every ping is a packet of one flow: admitted, it would escape its limit.
  for (const std::uint8_t icmp : {std::uint8_t{1}, std::uint8_t{58}}) {
    rule(chain, "ping", {}, {match(Field::l4proto, u8(icmp)), go("CLOUDRON")});
  }
  pass_without_handshake(chain, "input_new");
  rule(chain, "count", {}, {jump("CLOUDRON_RATELIMIT")});
  rule(chain, "admit", {}, {c.admit(), accept()});
  c.out.chains.push_back(std::move(chain));
}

/// The same on the forward hook, where a reply may be the second step of a handshake that must
/// still be counted, and where limits are for apps and for what is published: what this host routes
/// for others is not counted.
void forward_established(Compilation& c) {
  Chain chain{"forward_established", {}, {}, false};
  rule(chain, "blocked", {}, {jump("blocked")});
  rule(chain, "reply", {}, {match(Field::ct_direction, u8(1)), accept()});
  rule(chain, "to blocked", {}, {jump("blocked_target")});
  pass_without_handshake(chain, "forward_new");
  rule(chain, "count", {}, {jump("forward_count")});
  rule(chain, "admit", {}, {c.admit(), accept()});
  c.out.chains.push_back(std::move(chain));

  Chain& counted = c.chain("forward_count");
  rule(counted, "published", {}, {is_published(), go("CLOUDRON_RATELIMIT")});
  app_rules(c, counted, "an app", go("ratelimit_apps"));
}

}  // namespace

void compile_base(Compilation& c) {
  // Rules, not a verdict map: two tests of the state cost less than one lookup.
  Chain& input = c.chain("input");
  input.base = BaseHook{Hook::input, kPriority, VerdictKind::drop, {}};
  count_the_next(c, input);
  rule(input, "admitted flow", {}, {c.admitted(), accept()});
  rule(input, "loopback", {}, {match(Field::iif, u32(1)), accept()});
  rule(input, "first packet", {}, {in_state(kStateNew), go("input_new")});
  rule(input, "later packet", {}, {in_state(kStateEstablished), go("input_established")});
  before_blocks(input);
  rule(input, "blocked", {}, {jump("blocked")});
  rule(input, "of a known flow", {}, {in_state(kStateRelated), accept()});
  rule(input, "neighbours", {}, {in_state(kStateUntracked), go("CLOUDRON")});

  Chain& forward = c.chain("forward");
  forward.base = BaseHook{Hook::forward, kPriority, VerdictKind::accept, {}};
  count_the_next(c, forward);
  rule(forward, "admitted flow", {}, {c.admitted(), accept()});
  rule(forward, "first packet", {}, {in_state(kStateNew), go("forward_new")});
  rule(forward, "later packet", {}, {in_state(kStateEstablished), go("forward_established")});
  forwarded_before_blocks(forward);
  rule(forward, "blocked", {}, {jump("blocked")});
  rule(forward, "of a known flow", {}, {in_state(kStateRelated), accept()});
  rule(forward, "of no known flow", {}, {go("CLOUDRON_FORWARD")});

  c.counter("not_syn");
  first_packet(c, "input_new", "CLOUDRON", true);
  first_packet(c, "forward_new", "CLOUDRON_FORWARD", false);
  input_established(c);
  forward_established(c);
}

}  // namespace chains
