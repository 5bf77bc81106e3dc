// The decision about a flow, in its label: to admit, to refuse, and when that ends.
//
// A SYN on the ports of a live connection changes nothing: it may be forged, and a live socket
// answers it with a challenge ACK (RFC 5961). A SYN-ACK that answers it is the proof that there is
// a new connection, for no live socket sends one; then the life of the entry is over, and what
// follows is counted. A SYN-ACK alone is no proof: a server whose queue of connections is full
// sends it again to a client that was counted already.
//
// With SYN cookies a server takes a connection from an acknowledgement alone, and that of an
// earlier handshake again, for two minutes, once its socket is gone. So the end of a connection is
// noted, too: after the client's reset what follows is counted, after the server's it is answered
// with another, and once both sides have closed no new data passes uncounted.
//
// Entries that are older than the rules have no room for labels. Those that were open when the
// rules were made are in the set `adopted`, by the id of the entry.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "chains/compile_parts.hpp"

namespace chains {

using namespace build;

namespace {

constexpr std::chrono::hours kAdoptedFor{5 * 24};  // as long as conntrack keeps what is silent
constexpr std::chrono::minutes kAdoptedGc{10};

Expr labelled(const Bytes& mask, const Bytes& value) {
  return match_masked(Field::ct_label, mask, value);
}
Expr set_label(Bytes bits) { return CtLabelSet{std::move(bits)}; }

/// A rule for each life from that one on: where it is on, `then`.
template <class Then>
void in_each_life(const Compilation& c, Chain& chain, const std::string& id, int from,
                  const Then& then) {
  for (int life = from; life < fw::kLives; ++life) {
    const Bytes over = c.admission.over(life);
    std::vector<Expr> exprs{match_masked(Field::ct_label, over, over, Compare::not_equal)};
    for (Expr& expr : then(life)) exprs.push_back(std::move(expr));
    rule(chain, id, {}, std::move(exprs));
  }
}

void adopted_set(Compilation& c) {
  Set& set = c.set(kAdopted, {Field::ct_id});
  set.content = Content::learned;
  set.dynamic = true;
  set.timeout = true;
  set.size = fw::kAdoptedMax;
  set.timeout_default = kAdoptedFor;
  set.gc_interval = kAdoptedGc;
}

/// What a SYN does on the ports of a flow that is decided on. Comes back if it may go on.
void syn_again(Compilation& c) {
  const Admission& a = c.admission;
  Chain& chain = c.chain("syn_again");
  const Bytes last = a.over(fw::kLives - 1);
  rule(chain, "too many connections in one entry", {},
       {labelled(last, last), count("not_syn"), drop()});
  for (int life = 0; life < fw::kLives; ++life) {
    rule(
        chain, "a SYN since", {},
        {labelled(a.counted(life) | a.over(life), a.counted(life)), set_label(a.syn(life)), ret()});
  }
}

Expr has_flags(std::uint8_t flags) { return match_masked(Field::tcp_flags, u8(flags), u8(flags)); }

/// For each life a rule: where a decision stands, these bits are set.
template <class Bits>
void note_in_each_life(Compilation& c, const char* name, const char* id, const Bits& bits) {
  const Admission& a = c.admission;
  Chain& chain = c.chain(name);
  for (int life = 0; life < fw::kLives; ++life) {
    rule(chain, id, {},
         {labelled(a.counted(life) | a.over(life), a.counted(life)), set_label(bits(life)), ret()});
  }
}

/// Resets and FINs of both sides, on their way in, out and through. Each comes back.
void ends(Compilation& c) {
  const Admission& a = c.admission;
  note_in_each_life(c, "client_reset", "the client's reset",
                    [&a](int life) { return a.over(life); });
  note_in_each_life(c, "client_closed", "the client's end",
                    [&a](int life) { return a.client_closed(life); });
  note_in_each_life(c, "server_reset", "the server's reset",
                    [&a](int life) { return a.refused(life); });
  note_in_each_life(c, "server_closed", "the server's end",
                    [&a](int life) { return a.server_closed(life); });
  Chain client{"client_ends", {}, {}, false};
  rule(client, "not of the client", {}, {match(Field::ct_direction, u8(1)), ret()});
  Chain server{"server_ends", {}, {}, false};
  rule(server, "not of the server", {}, {match(Field::ct_direction, u8(0)), ret()});
  for (Chain* chain : {&client, &server}) {
    const std::string of = chain == &client ? "client" : "server";
    rule(*chain, "reset", {}, {is_protocol(fw::Protocol::tcp), has_flags(kRst), go(of + "_reset")});
    rule(*chain, "end", {}, {is_protocol(fw::Protocol::tcp), has_flags(kFin), go(of + "_closed")});
    c.out.chains.push_back(std::move(*chain));
  }
}

/// A SYN-ACK leaves, from the host or from what it routes to.
void syn_answered(Compilation& c) {
  const Admission& a = c.admission;
  Chain& chain = c.chain("syn_answered");
  rule(chain, "not of the server", {}, {match(Field::ct_direction, u8(0)), ret()});
  for (int life = 0; life < fw::kLives; ++life) {
    rule(chain, "a new connection", {},
         {labelled(a.syn(life) | a.over(life), a.syn(life)), set_label(a.answered(life)), ret()});
  }
  rule(chain, "a new connection", {},
       {c.unlabelled(), DynSet{DynOp::remove, {{Field::ct_id, {}}}, kAdopted, {}}});
}

/// Flows that are not the entry's first connection, or older than the rules, or refused. Comes back
/// if there is to be a decision. The client of a refused flow may still reset it.
void unusual_flow(Compilation& c) {
  const Admission& a = c.admission;
  const Key id{{Field::ct_id, {}}};
  Chain& chain = c.chain("unusual_flow");
  for (int life = 0; life < fw::kLives; ++life) {
    const Bytes closed = a.counted(life) | a.client_closed(life) | a.server_closed(life);
    rule(chain, "data after both have closed", {},
         {labelled(closed | a.over(life), closed), is_protocol(fw::Protocol::tcp),
          match_masked(Field::tcp_payload, u8(0), u8(0)), match(Field::ct_direction, u8(0)),
          set_label(a.over(life))});
    rule(chain, "admitted flow", {},
         {labelled(a.counted(life) | a.refused(life) | a.over(life), a.counted(life)), accept()});
  }
  rule(chain, "older than the rules", {},
       {c.unlabelled(), in_set(id, kAdopted), DynSet{DynOp::update, id, kAdopted, {}}, accept()});
  for (int life = 0; life < fw::kLives; ++life) {
    rule(chain, "was refused", {},
         {labelled(a.refused(life) | a.over(life), a.refused(life)), is_protocol(fw::Protocol::tcp),
          match_masked(Field::tcp_flags, u8(kRst), u8(0)), RejectTcpReset{}});
  }
}

/// An entry without room keeps its admission by its id. So does one whose label another program
/// cleared.
void admit(Compilation& c) {
  c.counter(kUnlabelled);
  const Admission& a = c.admission;
  Chain& chain = c.chain("admit");
  rule(chain, "admit", {},
       {labelled(a.seen() | a.over(0), a.seen()), set_label(a.counted(0)), accept()});
  rule(chain, "no label", {},
       {c.unlabelled(), DynSet{DynOp::add, {{Field::ct_id, {}}}, kAdopted, {}}, count(kUnlabelled),
        accept()});
  in_each_life(c, chain, "admit", 1, [&](int life) {
    return std::vector{set_label(c.admission.counted(life)), accept()};
  });
  rule(chain, "admit", {}, {accept()});

  Chain& uncounted = c.chain("admit_uncounted");
  rule(uncounted, "no handshake yet", {},
       {is_protocol(fw::Protocol::tcp),
        match_masked(Field::tcp_flags, u8(kSyn), u8(0), Compare::not_equal), accept()});
  rule(uncounted, "admit", {}, {go("admit")});
}

void note_refusal(Compilation& c) {
  const Admission& a = c.admission;
  Chain& note = c.chain("note_refusal");
  in_each_life(c, note, "refused", 0, [&](int life) {
    return std::vector{set_label(a.counted(life) | a.refused(life)), ret()};
  });
}

/// Of a refused packet: no SYN-ACK has begun another connection since a reset of the client's. That
/// may have been forged, within the window of a live connection: so it is neither answered nor
/// evidence, and the connection goes on once there is budget. Nor is anything answered where no
/// connection is left to be distinguished from another.
void after_a_reset(Compilation& c) {
  const Admission& a = c.admission;
  Chain& chain = c.chain("after_a_reset");
  constexpr int kLast = fw::kLives - 1;
  rule(chain, "too many connections in one entry", {},
       {labelled(a.over(kLast), a.over(kLast)), drop()});
  for (int life = 0; life < kLast; ++life) {
    rule(chain, "no connection since", {},
         {labelled(a.over(life) | a.over(life + 1), a.over(life)),
          match_masked(Field::ct_label, a.answered(life), a.answered(life), Compare::not_equal),
          drop()});
  }
}

}  // namespace

Expr Compilation::admitted() const {
  return labelled(
      admission.counted(0) | admission.refused(0) | admission.over(0) | admission.client_closed(0),
      admission.counted(0));
}

Expr Compilation::unlabelled() const {
  return match_masked(Field::ct_label, admission.seen(), admission.seen(), Compare::not_equal);
}

Expr Compilation::note_seen() const { return set_label(admission.seen()); }

Expr Compilation::note_closed() const { return set_label(admission.closed()); }

Expr Compilation::note_counted() const { return set_label(admission.counted(0)); }

Expr Compilation::not_counted() const {
  return match_masked(Field::ct_label, admission.counted(0), admission.counted(0),
                      Compare::not_equal);
}

void known_flow_rules(const Compilation& c, Chain& chain, const std::string& undecided) {
  const Admission& a = c.admission;
  rule(chain, "no decision yet", {},
       {labelled(a.seen() | a.counted(0) | a.over(0), a.seen()), go(undecided)});
  rule(chain, "unusual", {}, {jump("unusual_flow")});
  rule(chain, "no decision yet", {}, {go(undecided)});
}

void compile_admission(Compilation& c) {
  adopted_set(c);
  syn_again(c);
  ends(c);
  syn_answered(c);
  unusual_flow(c);
  admit(c);
  note_refusal(c);
  after_a_reset(c);

  Chain& output = c.chain("output");
  output.base = BaseHook{Hook::output, kPriority, VerdictKind::accept, {}};
  rule(output, "a connection begins or ends", {},
       {is_protocol(fw::Protocol::tcp),
        match_masked(Field::tcp_flags, u8(kFin | kSyn | kRst), u8(0), Compare::not_equal),
        go("output_edge")});
  Chain& edge = c.chain("output_edge");
  rule(edge, "a SYN is answered", {},
       {is_protocol(fw::Protocol::tcp), has_flags(kSyn), go("syn_answered")});
  rule(edge, "an end", {}, {go("server_ends")});
}

}  // namespace chains
