// The hooks, and the path of a packet through them.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "chains/compile_parts.hpp"

namespace chains {

using namespace build;

namespace {

/// A connection picked up in its middle could be counted in a forged sender's name.
void drop_without_syn(Chain& chain) {
  rule(chain, "new without SYN", {},
       {is_protocol(fw::Protocol::tcp),
        match_masked(Field::tcp_flags, u8(kFin | kSyn | kRst | kAck), u8(kSyn), Compare::not_equal),
        count("not_syn"), drop()});
}

/// A reset is no evidence of a handshake (a forged SYN's victim answers with one): it passes
/// uncounted. What else comes before the handshake is complete is
/// forged too: after the victim's reset the kernel takes an acknowledgement with any number for one
/// of a flow that had an answer, but it says "assured" of completed handshakes only.
void pass_without_handshake(Chain& chain) {
  rule(chain, "no handshake yet", {},
       {is_protocol(fw::Protocol::tcp),
        match_masked(Field::tcp_flags, u8(kRst), u8(0), Compare::not_equal), accept()});
  constexpr std::uint32_t kAssured = 1u << 2;  // IPS_ASSURED
  rule(chain, "no handshake", {},
       {is_protocol(fw::Protocol::tcp), match_masked(Field::ct_status, u32(kAssured), u32(0)),
        count("not_syn"), drop()});
}

/// A SYN on the ports of a known flow is asked like any other, whatever was decided about the flow.
/// Resets and FINs are noted. On the way through the host those of both sides come here.
void edge_chains(Compilation& c) {
  const Expr no_syn = match_masked(Field::tcp_flags, u8(kSyn), u8(0));
  const Expr acks = match_masked(Field::tcp_flags, u8(kAck), u8(0), Compare::not_equal);
  const Expr syns = match_masked(Field::tcp_flags, u8(kSyn), u8(0), Compare::not_equal);
  Chain& input = c.chain("input_edge");
  rule(input, "loopback", {}, {match(Field::iif, u32(1)), accept()});
  rule(input, "an answer", {}, {is_protocol(fw::Protocol::tcp), syns, acks, ret()});
  rule(input, "an end", {}, {is_protocol(fw::Protocol::tcp), no_syn, go("client_ends")});
  rule(input, "on the ports of a known flow", {}, {jump("syn_again")});
  rule(input, "is it open?", {}, {go("input_new")});
  Chain& forward = c.chain("forward_edge");
  rule(forward, "a SYN is answered", {},
       {is_protocol(fw::Protocol::tcp), syns, acks, go("syn_answered")});
  // Of servers behind this host: what comes in the name of one on the outside may be forged.
  rule(forward, "a published server's end", {},
       {is_protocol(fw::Protocol::tcp), no_syn, match(Field::ct_direction, u8(1)), is_published(),
        go("server_ends")});
  rule(forward, "an addon's end", {},
       {is_protocol(fw::Protocol::tcp), no_syn, match(Field::ct_direction, u8(1)),
        match(Field::iifkind, device_bytes("bridge")), go("server_ends")});
  rule(forward, "the client's end", {},
       {is_protocol(fw::Protocol::tcp), no_syn, go("client_ends")});
  rule(forward, "of a known flow", {}, {in_state(kStateEstablished), jump("syn_again")});
  rule(forward, "is it open?", {}, {in_state(kStateEstablished), go("forward_new")});
}

/// First packets: an app's are looked at by the limits of apps; those from outside by the limit of
/// the port, once it is known to be open.
void first_packet(Compilation& c, const std::string& name, const std::string& next, bool syn) {
  Chain chain{name, {}, {}, false};
  if (syn) {
    drop_without_syn(chain);
    before_blocks(chain);
  } else {
    // The early drop lets these pass, for they may be the host's own answers.
    rule(chain, "blocked, without SYN", {},
         {is_protocol(fw::Protocol::tcp),
          match_masked(Field::tcp_flags, u8(kAck), u8(0), Compare::not_equal), jump("blocked")});
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
  rule(chain, "seen", {}, {c.note_seen()});
  if (c.facts.panic) rule(chain, "panic", {}, {jump("panic")});
  app_address_rules(c, chain, "an app", jump("from_app"));
  rule(chain, "is it open?", {}, {go(next)});
  c.out.chains.push_back(std::move(chain));
}

/// Later packets on the input hook, of a flow that is not admitted yet.
void input_established(Compilation& c) {
  known_flow_rules(c, c.chain("input_established"), "input_undecided");
  Chain chain{"input_undecided", {}, {}, false};
  before_blocks(chain);
  rule(chain, "blocked", {}, {jump("blocked")});
  // A reply here belongs to a connection that the host itself opened.
  rule(chain, "reply", {}, {match(Field::ct_direction, u8(1)), c.note_seen(), go("admit")});
  // Every ping is a packet of one flow: admitted, it would escape its limit.
  for (const std::uint8_t icmp : {std::uint8_t{1}, std::uint8_t{58}}) {
    rule(chain, "ping", {}, {match(Field::l4proto, u8(icmp)), go("CLOUDRON")});
  }
  pass_without_handshake(chain);
  rule(chain, "count", {}, {jump("CLOUDRON_RATELIMIT")});
  rule(chain, "admit", {}, {go("admit")});
  c.out.chains.push_back(std::move(chain));
}

/// The same on the forward hook, where a reply may be the second step of a handshake that must
/// still be counted, and where limits are for apps and for what is published: what this host routes
/// for others is not counted.
void forward_established(Compilation& c) {
  known_flow_rules(c, c.chain("forward_established"), "forward_undecided");
  Chain chain{"forward_undecided", {}, {}, false};
  rule(chain, "blocked", {}, {jump("blocked")});
  rule(chain, "reply", {}, {match(Field::ct_direction, u8(1)), accept()});
  rule(chain, "to blocked", {}, {jump("blocked_target")});
  pass_without_handshake(chain);
  rule(chain, "count", {}, {jump("forward_count")});
  rule(chain, "admit", {}, {go("admit")});
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
  const Expr edge =
      match_masked(Field::tcp_flags, u8(kFin | kSyn | kRst), u8(0), Compare::not_equal);
  rule(input, "a connection begins or ends", {},
       {is_protocol(fw::Protocol::tcp), edge, in_state(kStateEstablished), jump("input_edge")});
  rule(input, "admitted flow", {}, {c.admitted(), accept()});
  rule(input, "loopback", {}, {match(Field::iif, u32(1)), accept()});
  rule(input, "first packet", {}, {in_state(kStateNew), go("input_new")});
  rule(input, "later packet", {}, {in_state(kStateEstablished), go("input_established")});
  before_blocks(input);
  rule(input, "blocked", {}, {jump("blocked")});
  rule(input, "of a known flow", {}, {in_state(kStateRelated), accept()});
  rule(input, "neighbours", {}, {in_state(kStateUntracked), go("CLOUDRON")});
  admin_rules(c, input, "CLOUDRON_BEFORE");

  Chain& forward = c.chain("forward");
  forward.base = BaseHook{Hook::forward, kPriority, VerdictKind::accept, {}};
  rule(forward, "a connection begins or ends", {},
       {is_protocol(fw::Protocol::tcp), edge, jump("forward_edge")});
  errors_between_apps(c, forward);
  rule(forward, "admitted flow", {}, {c.admitted(), accept()});
  rule(forward, "first packet", {}, {in_state(kStateNew), go("forward_new")});
  rule(forward, "later packet", {}, {in_state(kStateEstablished), go("forward_established")});
  forwarded_before_blocks(forward);
  rule(forward, "blocked", {}, {jump("blocked")});
  rule(forward, "of a known flow", {}, {in_state(kStateRelated), accept()});
  rule(forward, "of no known flow", {}, {go("CLOUDRON_FORWARD")});

  c.counter("not_syn");
  edge_chains(c);
  first_packet(c, "input_new", "CLOUDRON", true);
  first_packet(c, "forward_new", "CLOUDRON_FORWARD", false);
  input_established(c);
  forward_established(c);
}

}  // namespace chains
