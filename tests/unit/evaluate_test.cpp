// What a packet meets in a ruleset, by the semantics of nf_tables.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "chains/evaluate.hpp"

#include <gtest/gtest.h>

#include "chains/build.hpp"
#include "chains/text.hpp"
#include "fw/effective/policy.hpp"

namespace chains {
namespace {

using namespace build;
using namespace std::chrono_literals;

const fw::Ip kClient4{fw::Family::ipv4, 0xcb007105};  // 203.0.113.5
const fw::Ip kHost4{fw::Family::ipv4, 0xcb007101};
const fw::Ip kClient6{fw::Family::ipv6, fw::U128{0x20010db800050000} << 64 | 5};
const fw::Ip kHost6{fw::Family::ipv6, fw::U128{0x20010db8ffff0000} << 64 | 1};

Bytes label(std::uint8_t bits) {
  Bytes out(16);
  out.front() = bits;
  return out;
}

std::optional<bool> nothing(const Set&, const Bytes&) { return false; }

Arrival tcp(std::uint16_t port, std::uint8_t flags = kSyn, std::uint32_t state = kStateNew) {
  Arrival a;
  a.packet = {kClient4, kHost4, 40'000, port, 6, flags, 0, true};
  a.device = {"eth0", 7};
  a.connection.emplace().state = state;
  a.connection->original_dport = port;
  return a;
}

/// A ruleset with an input chain of these rules, which drops what they leave.
struct Table {
  Table() {
    ruleset.chains.push_back({"input", BaseHook{Hook::input, 0, VerdictKind::drop, {}}, {}, false});
  }
  Chain& add(std::string name) {
    ruleset.chains.push_back({std::move(name), {}, {}, false});
    return ruleset.chains.back();
  }
  Table& says(std::vector<Expr> exprs, std::size_t chain = 0) {
    rule(ruleset.chains[chain], "", {}, std::move(exprs));
    return *this;
  }
  Evaluation ask(const Arrival& arrival, Time now = 0s) {
    return evaluate(ruleset, Hook::input, arrival, nothing, state, now);
  }
  Outcome outcome(const Arrival& arrival, Time now = 0s) { return ask(arrival, now).outcome; }

  Ruleset ruleset;
  State state;
};

Set learned(std::string name, std::uint32_t size, std::chrono::milliseconds timeout) {
  Set set;
  set.name = std::move(name);
  set.key = {Field::ip_saddr};
  set.content = Content::learned;
  set.dynamic = set.timeout = true;
  set.size = size;
  set.timeout_default = timeout;
  return set;
}

Expr add_to(const char* set, DynOp op, decltype(DynSet::state) state = {}) {
  return DynSet{op, {{Field::ip_saddr, {}}}, set, state};
}

Arrival from(std::uint32_t last) {
  Arrival a = tcp(22);
  a.packet.source.bits = 0xcb007100 + last;
  return a;
}

TEST(Evaluate, TheEndOfAChainGoesBackToTheLastJump) {
  Table t;
  t.add("a");
  t.add("b");
  t.says({jump("a")}).says({accept()});
  t.says({go("b")}, 1).says({drop()}, 1);  // what stands behind a goto is not met again
  t.says({ret()}, 2).says({drop()}, 2);
  const Evaluation e = t.ask(tcp(22));
  EXPECT_EQ(e.outcome, Outcome::accepted);
  std::string way;
  for (const Step& step : e.steps) way += step.chain + std::to_string(*step.rule) + " ";
  EXPECT_EQ(way, "input0 a0 b0 input1 ");
}

TEST(Evaluate, ReturnInABaseChainIsItsPolicy) {
  Table t;
  t.says({ret()}).says({accept()});
  const Evaluation e = t.ask(tcp(22));
  EXPECT_EQ(e.outcome, Outcome::dropped);
  EXPECT_FALSE(e.steps.back().rule);
}

TEST(Evaluate, ANameOfAnInterfaceMayBeComparedByItsBeginning) {
  Table t;
  t.says({match(Field::iifname, interface_bytes("et*")), accept()});
  EXPECT_EQ(t.outcome(tcp(22)), Outcome::accepted);
  Table exact;
  exact.says({match(Field::iifname, interface_bytes("et")), accept()});
  EXPECT_EQ(exact.outcome(tcp(22)), Outcome::dropped);
  EXPECT_EQ(to_text(t.ruleset.chains[0].rules[0]), "iifname \"et*\" accept");
  EXPECT_EQ(to_text(exact.ruleset.chains[0].rules[0]), "iifname \"et\" accept");
}

TEST(Evaluate, ADormantTableSeesNothing) {
  Table t;
  t.ruleset.dormant = true;
  EXPECT_EQ(t.outcome(tcp(22)), Outcome::accepted);
}

TEST(Evaluate, BaseChainsAreAskedByPriorityUntilOneDrops) {
  Table t;
  t.says({accept()});
  t.ruleset.chains.push_back(
      {"early", BaseHook{Hook::input, -5, VerdictKind::drop, {}}, {}, false});
  EXPECT_EQ(t.ask(tcp(22)).steps.front().chain, "early");
  EXPECT_EQ(t.outcome(tcp(22)), Outcome::dropped);
}

TEST(Evaluate, MasksAndOrder) {
  Table t;
  t.says({match_masked(Field::tcp_flags, u8(kSyn | kAck), u8(kSyn)), accept()});
  EXPECT_EQ(t.outcome(tcp(22, kSyn | 8)), Outcome::accepted);
  EXPECT_EQ(t.outcome(tcp(22, kSyn | kAck)), Outcome::dropped);
}

TEST(Evaluate, AnOptionIsTakenOffOnceAndDataStays) {
  Table t;
  t.says({StripTcpOption{kTcpFastOpen}, StripTcpOption{kTcpExperimental}})
      .says({match(Field::tcp_fast_open, u8(1)), drop()})
      .says({match(Field::tcp_experimental, u8(1)), drop()})
      .says({match_masked(Field::tcp_payload, u8(0), u8(0)), drop()})
      .says({accept()});
  Arrival a = tcp(22);
  a.packet.fast_open = a.packet.experimental = 1;
  EXPECT_EQ(t.outcome(a), Outcome::accepted);
  a.packet.fast_open = 2;
  EXPECT_EQ(t.outcome(a), Outcome::dropped);
  a.packet.fast_open = 0;
  a.packet.experimental = 2;
  EXPECT_EQ(t.outcome(a), Outcome::dropped);
  a.packet.experimental = 0;
  a.packet.payload = 1;
  EXPECT_EQ(t.outcome(a), Outcome::dropped);
}

TEST(Evaluate, WithoutAConnectionThereIsOnlyItsState) {
  Table t;
  t.says({match_masked(Field::ct_mark, u32(1), u32(1), Compare::not_equal), accept()})
      .says({match_masked(Field::ct_label, label(1), label(1)), accept()})
      .says({in_state(kStateInvalid), Verdict{VerdictKind::drop, {}}});
  Arrival a = tcp(22);
  a.connection.reset();
  const Evaluation e = t.ask(a);
  EXPECT_EQ(e.outcome, Outcome::dropped);
  EXPECT_EQ(e.steps[0].mismatch, 0u);
  EXPECT_EQ(e.steps[1].mismatch, 0u);
  EXPECT_TRUE(e.steps[2].matched());
}

TEST(Evaluate, BitsOfALabelAreSetAndOtherBitsStay) {
  Table t;
  t.says({CtLabelSet{label(4)}})
      .says({match_masked(Field::ct_label, label(5), label(5)), CtLabelSet{label(8)}, accept()});
  Arrival a = tcp(22);
  a.connection->label = label(1);
  EXPECT_EQ(t.ask(a).label, label(13));
}

TEST(Evaluate, AKeyIsTakenOutOfASetWhetherItIsThereOrNot) {
  Table t;
  Set known;
  known.name = "known";
  known.key = {Field::ct_id};
  known.content = Content::learned;
  known.dynamic = true;
  t.ruleset.sets.push_back(known);
  const Key id{{Field::ct_id, {}}};
  t.says({DynSet{DynOp::remove, id, "known", {}}})
      .says({in_set(id, "known"), Verdict{VerdictKind::drop, {}}})
      .says({DynSet{DynOp::add, id, "known", {}}, accept()});
  EXPECT_EQ(t.outcome(tcp(22)), Outcome::accepted);
  EXPECT_EQ(t.outcome(tcp(22)), Outcome::accepted);
}

TEST(Evaluate, IntervalsHoldBothEnds) {
  Table t;
  Set map;
  map.name = "ports";
  map.key = {Field::ct_original_dport};
  map.interval = true;
  map.data = Verdict{};
  map.elements = {{u16(8000), u16(8100), Verdict{VerdictKind::accept, {}}, {}, {"p", 3, 1}}};
  t.ruleset.sets.push_back(map);
  t.says({vmap({{Field::ct_original_dport, {}}}, "ports")});
  for (const auto& [port, outcome] : {std::pair{7999, Outcome::dropped},
                                      {8000, Outcome::accepted},
                                      {8100, Outcome::accepted},
                                      {8101, Outcome::dropped}}) {
    EXPECT_EQ(t.outcome(tcp(static_cast<std::uint16_t>(port))), outcome) << port;
  }
  EXPECT_EQ(t.ask(tcp(8000)).steps.front().where.line, 3) << "the element's line";
}

TEST(Evaluate, ConcatenationsComparePartByPart) {
  Table t;
  Set set;
  set.name = "services";
  set.key = {Field::l4proto, Field::th_dport};
  set.elements = {{concat({u8(17), u16(53)}), {}, {}, {}, {}}};
  t.ruleset.sets.push_back(set);
  t.says({in_set(Key{{Field::l4proto, {}}, {Field::th_dport, {}}}, "services"), accept()});
  EXPECT_EQ(t.outcome(tcp(53)), Outcome::dropped);
  Arrival a = tcp(53);
  a.packet.protocol = 17;
  EXPECT_EQ(t.outcome(a), Outcome::accepted);
  a.packet.protocol = 1;  // the port is a part of the checksum, but no ICMP is in the set
  EXPECT_EQ(t.outcome(a), Outcome::dropped);
  a.packet.protocol = 17;
  a.packet.complete = false;  // a later fragment has no port: the rule ends
  EXPECT_EQ(t.outcome(a), Outcome::dropped);
}

TEST(Evaluate, LookupsOfLearnedSetsSpendWhatTheElementHolds) {
  Table t;
  t.ruleset.sets.push_back(learned("slot", 10, 10s));
  const Key key{{Field::ip_saddr, {}}};
  t.says(
      {not_in_set(key, "slot"), add_to("slot", DynOp::add, RateLimit{1, Unit::week, 2}), accept()});
  t.says({in_set(key, "slot"), accept()});
  EXPECT_EQ(t.outcome(tcp(22)), Outcome::accepted) << "added";
  EXPECT_EQ(t.outcome(tcp(22)), Outcome::accepted) << "the second token";
  EXPECT_EQ(t.outcome(tcp(22)), Outcome::dropped) << "the element's limit says no";
}

TEST(Evaluate, ASlotLastsItsTimeout) {
  Table t;
  t.ruleset.sets.push_back(learned("slot", 10, 10s));
  t.says({add_to("slot", DynOp::add, RateLimit{1, Unit::week, 1}), accept()});
  EXPECT_EQ(t.outcome(tcp(22), 0s), Outcome::accepted);
  EXPECT_EQ(t.outcome(tcp(22), 9999ms), Outcome::dropped);
  EXPECT_EQ(t.outcome(tcp(22), 10s), Outcome::accepted);
}

TEST(Evaluate, UpdateRestartsTheTimeoutAndAddDoesNot) {
  for (const DynOp op : {DynOp::add, DynOp::update}) {
    Table t;
    t.ruleset.sets.push_back(learned("seen", 10, 10s));
    t.says({not_in_set(Key{{Field::ip_saddr, {}}}, "seen"), add_to("seen", DynOp::add), accept()});
    t.says({add_to("seen", op), drop()});
    EXPECT_EQ(t.outcome(tcp(22), 0s), Outcome::accepted);
    EXPECT_EQ(t.outcome(tcp(22), 6s), Outcome::dropped);
    EXPECT_EQ(t.outcome(tcp(22), 12s), op == DynOp::add ? Outcome::accepted : Outcome::dropped);
  }
}

TEST(Evaluate, AFullSetDoesNotMatchNewKeys) {
  Table t;
  t.ruleset.sets.push_back(learned("seen", 2, 10s));
  t.says({add_to("seen", DynOp::add), accept()});
  EXPECT_EQ(t.outcome(from(1), 0s), Outcome::accepted);
  EXPECT_EQ(t.outcome(from(2), 1s), Outcome::accepted);
  EXPECT_EQ(t.outcome(from(3), 2s), Outcome::dropped);
  EXPECT_EQ(t.outcome(from(1), 2s), Outcome::accepted) << "who is there stays";
  EXPECT_EQ(t.outcome(from(3), 10s), Outcome::accepted) << "the first has ended";
}

TEST(Evaluate, ElementsKeepTheLimitThatTheyWereMadeWith) {
  Table t;
  t.ruleset.sets.push_back(learned("meter", 10, 100s));
  t.says({add_to("meter", DynOp::update, RateLimit{1, Unit::hour, 1}), accept()});
  EXPECT_EQ(t.outcome(tcp(22)), Outcome::accepted);
  t.ruleset.chains[0].rules.clear();
  t.says({add_to("meter", DynOp::update, RateLimit{1, Unit::hour, 100}), accept()});
  EXPECT_EQ(t.outcome(tcp(22)), Outcome::dropped);
  EXPECT_EQ(t.outcome(from(9)), Outcome::accepted);
}

TEST(Evaluate, BucketsRefillByNanoseconds) {
  Bucket bucket = Bucket::full({20, Unit::minute, 2}, 0s);  // one in 3 s
  EXPECT_TRUE(bucket.take(0s));
  EXPECT_TRUE(bucket.take(0s));
  EXPECT_FALSE(bucket.take(3s - 1ns));
  EXPECT_TRUE(bucket.take(3s));
  EXPECT_EQ(bucket.tokens(1h), 2u);
}

TEST(Evaluate, NamedLimitsAreSharedAndCountersCount) {
  Table t;
  t.ruleset.objects = {{"few", RateLimit{1, Unit::week, 2}, {}, {}}, {"seen", {}, {}, {}}};
  Set map;
  map.name = "apps";
  map.key = {Field::ip_saddr};
  map.data = ObjectKind::limit;
  for (const std::uint8_t last : {std::uint8_t{1}, std::uint8_t{2}}) {
    map.elements.push_back({{203, 0, 113, last}, {}, std::string("few"), {}, {}});
  }
  t.ruleset.sets.push_back(map);
  t.says({ObjectMap{ObjectKind::limit, {{Field::ip_saddr, {}}}, "apps"}, count("seen"), accept()});
  EXPECT_EQ(t.outcome(from(1)), Outcome::accepted);
  EXPECT_EQ(t.outcome(from(3)), Outcome::dropped) << "not in the map";
  EXPECT_EQ(t.outcome(from(2)), Outcome::accepted);
  EXPECT_EQ(t.outcome(from(1)), Outcome::dropped);
  EXPECT_EQ(t.state.counters["seen"], 2u);
}

TEST(Evaluate, ConnLimitsCountConnectionsNotPackets) {
  Table t;
  t.ruleset.sets.push_back(learned("open", 10, 0s));
  t.says({add_to("open", DynOp::add, ConnLimit{1}), drop()}).says({accept()});
  Arrival second = tcp(22);
  second.packet.source_port = 40'001;
  EXPECT_EQ(t.outcome(tcp(22)), Outcome::accepted);
  EXPECT_EQ(t.outcome(tcp(22)), Outcome::accepted);
  EXPECT_EQ(t.outcome(second), Outcome::dropped);
  forget(t.state, ends_of(tcp(22).packet));
  EXPECT_EQ(t.outcome(second), Outcome::accepted) << "the refused attempt is not kept";
}

TEST(Evaluate, AResetIsADropThatTellsTheSender) {
  Table t;
  t.says({RejectTcpReset{}});
  EXPECT_EQ(t.outcome(tcp(22)), Outcome::reset);
}

TEST(Evaluate, WhatIsNotKnownIsSaidAndNotGuessed) {
  Table t;
  t.says({match(Field::l4proto, u8(17)), Foreign{"quota"}, accept()});
  t.says({Foreign{"counter pkts 0 bytes 0"}, Foreign{"meta set mark"}, accept()});
  const Evaluation e = t.ask(tcp(22));
  EXPECT_EQ(e.outcome, Outcome::unknown);
  EXPECT_EQ(e.unknown, "a rule says \"meta set mark\"");
  EXPECT_EQ(e.steps.size(), 2u) << "a rule that ends before it needs no answer";

  Table route;
  route.says({match(Field::route_back, u32(0)), drop()});
  EXPECT_EQ(route.outcome(tcp(22)), Outcome::unknown);

  Table away;
  away.says({jump("admin_chain")});
  EXPECT_EQ(away.ask(tcp(22)).unknown, "chain admin_chain is the admin's own");
}

TEST(Evaluate, ABudgetThatTheKernelDoesNotTellIsAssumedAndNamed) {
  Table t;
  t.ruleset.objects = {{"few", RateLimit{1, Unit::hour, 1}, {}, {}}};
  t.state.limits["few"] = {RateLimit{1, Unit::hour, 1}, 0, 0s, false};
  t.says({use_limit("few"), accept()});
  const Evaluation e = t.ask(tcp(22), 1s);
  EXPECT_EQ(e.outcome, Outcome::accepted);
  EXPECT_EQ(e.assumed, std::vector<std::string>{"few"});
  EXPECT_TRUE(t.ask(tcp(22), 2h).assumed.empty()) << "full by then";
}

/// The default policy with its own port list, asked by a client from outside.
class Connect : public testing::TestWithParam<fw::Family> {
 protected:
  Beginning to(std::uint16_t port, Time now = 0s) {
    const bool v4 = GetParam() == fw::Family::ipv4;
    return connect_to_host(ruleset, v4 ? kClient4 : kClient6, v4 ? kHost4 : kHost6, port,
                           {"eth0", 7}, managed, state, now);
  }
  static HostFacts host_facts() {
    HostFacts facts;
    facts.devices = {{"eth0", 7}};
    return facts;
  }

  Ruleset ruleset = compile(fw::default_policy(), host_facts());
  Managed managed = nothing;
  State state;
};
INSTANTIATE_TEST_SUITE_P(, Connect, testing::Values(fw::Family::ipv4, fw::Family::ipv6),
                         [](const auto& param) {
                           return param.param == fw::Family::ipv4 ? "IPv4" : "IPv6";
                         });

TEST_P(Connect, OpenPortsTakeTheWholeHandshake) {
  for (const std::uint16_t port : std::vector<std::uint16_t>{22, 80, 202, 443}) {
    const Beginning b = to(port);
    EXPECT_EQ(b.outcome(), Outcome::accepted) << port;
    ASSERT_EQ(b.packets.size(), 2u);
    const Admission admission(fw::kLabelBitDefault);
    EXPECT_EQ(b.packets[0].second.label, admission.seen()) << "a SYN admits nothing";
    EXPECT_TRUE(admission.admits(b.packets[1].second.label));
  }
}

TEST_P(Connect, ClosedPortsDropTheSyn) {
  const Beginning b = to(3306);
  EXPECT_EQ(b.outcome(), Outcome::dropped);
  EXPECT_EQ(b.packets.size(), 1u);
  EXPECT_EQ(state.counters["closed"], 1u);
}

TEST_P(Connect, TheSixthInTenSecondsIsRefused) {
  for (int i = 0; i < 5; ++i) EXPECT_EQ(to(i % 2 == 0 ? 22 : 202).outcome(), Outcome::accepted);
  EXPECT_EQ(to(22).outcome(), Outcome::dropped) << "at the SYN";
  EXPECT_EQ(to(22, 10s + 4ms).outcome(), Outcome::accepted);
  EXPECT_EQ(state.counters["ssh.refused"], 1u);
}

TEST_P(Connect, BlockedSourcesAreDroppedAtIngress) {
  managed = [](const Set& set, const Bytes&) { return set.name.starts_with("block"); };
  const Beginning b = to(443);
  EXPECT_EQ(b.outcome(), Outcome::dropped);
  EXPECT_EQ(b.packets[0].second.steps.back().chain, "ingress_blocked");
  managed = [](const Set&, const Bytes&) { return std::nullopt; };
  EXPECT_EQ(to(443).outcome(), Outcome::unknown);
}

TEST(Connections, ThroughTheHostTheAnswerMustPassToo) {
  // An app may send to a blocked address, but what comes back is dropped.
  const Ruleset ruleset = compile(fw::default_policy(), {});
  const fw::Ip app{fw::Family::ipv4, 0xac121002};
  Arrival first;
  first.packet = {app, kClient4, 40'000, 443, 6, 0, 0, true};
  first.route_back = true;
  State state;
  auto blocked = [](const Set& set, const Bytes& key) -> std::optional<bool> {
    return set.name == "block4" && key == fw::to_bytes(kClient4);
  };
  const Beginning b = begin_connection(ruleset, Hook::forward, first, blocked, state, 0s);
  EXPECT_EQ(b.outcome(), Outcome::dropped);
  EXPECT_EQ(b.packets.back().first, Beginning::Packet::answer);
  EXPECT_EQ(begin_connection(ruleset, Hook::forward, first, nothing, state, 0s).packets.size(), 3u);
}

}  // namespace
}  // namespace chains
