// Rules of an admin's own: what is read of nft's language, and what is said of the rest.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "chains/rule_text.hpp"

#include <gtest/gtest.h>
#include <libnftnl/rule.h>

#include "chains/netlink/expressions.hpp"
#include "chains/netlink/handles.hpp"
#include "chains/text.hpp"
#include "fw/base/limits.hpp"
#include "fw/effective/policy.hpp"
#include "tests/unit/samples.hpp"

namespace chains {
namespace {

RulesOfFiles read(const std::string& text) {
  leave_sample("rules", text);
  return read_rules({{"r.nft", text}});
}

/// Rules of CLOUDRON_BEFORE as nft writes them.
std::string rules(const std::string& text) {
  const RulesOfFiles got = read("chain CLOUDRON_BEFORE {\n" + text + "\n}\n");
  for (const fw::Problem& problem : got.problems) ADD_FAILURE() << to_string(problem);
  const Chain* chain = find(got.rules.chains, rules_chain("CLOUDRON_BEFORE"));
  std::string out;
  if (chain == nullptr) return "none";
  for (const Rule& rule : chain->rules) out += to_text(rule) + "\n";
  return out;
}

TEST(RuleText, WhatItReadsIsWhatItWrites) {
  for (const char* rule :
       {"ip saddr 198.51.100.9 tcp dport 9100 accept",
        "ip6 saddr 2001:db8::/32 udp dport 53 accept", "iifname \"wg*\" accept",
        "iifname != \"eth0\" drop", "oifname \"br0\" drop", "meta l4proto 112 accept",
        "ip daddr != 10.0.0.0/8 drop", "ct state new drop", "icmp type echo-request accept",
        "icmpv6 type 135 counter accept", "limit rate 10/second burst 20 packets accept",
        "tcp sport 53 reject with tcp reset", "log prefix \"mine \" level info",
        "meta nfproto ipv6 counter return", "reject", "log prefix \"mine\" group 5"}) {
    std::string expected = std::string(rule) + "\n";
    const auto mended = [&expected](const std::string& from, const std::string& to) {
      if (const auto at = expected.find(from); at != expected.npos)
        expected.replace(at, from.size(), to);
    };
    mended("tcp sport", "meta l4proto tcp th sport");
    mended("tcp dport", "meta l4proto tcp th dport");
    mended("type 135", "type nd-neighbor-solicit");
    EXPECT_EQ(rules(rule), expected);
  }
}

TEST(RuleText, SetsInBracesAreSetsOfTheTable) {
  const RulesOfFiles got = read(
      "add rule inet cloudron CLOUDRON_AFTER ip saddr { 192.0.2.1, 198.51.100.0/24,\n 192.0.2.1 } "
      "tcp dport { 80, 8000-8100, 8050-8200 } accept comment \"mine\" # more\n");
  EXPECT_TRUE(got.problems.empty());
  ASSERT_EQ(got.rules.sets.size(), 2u);
  EXPECT_EQ(got.rules.sets[0].elements.size(), 2u) << "each once";
  EXPECT_TRUE(got.rules.sets[0].interval);
  EXPECT_EQ(to_text(got.rules.sets[1], got.rules.sets[1].elements[1]), "8000-8200");
  const Chain* chain = find(got.rules.chains, rules_chain("CLOUDRON_AFTER"));
  ASSERT_NE(chain, nullptr);
  EXPECT_EQ(to_text(chain->rules[0]),
            "ip saddr @rules.1 meta l4proto tcp th dport @rules.2 accept");
  EXPECT_EQ(chain->rules[0].id, "mine");
  EXPECT_EQ(chain->rules[0].where, (fw::Location{"r.nft", 1, 39}));
}

TEST(RuleText, TablesAndChainsMayStandAroundRules) {
  const RulesOfFiles got = read(
      "table inet cloudron {\n\tchain CLOUDRON_FORWARD_BEFORE {\n\t\tcounter; drop\n\t}\n"
      "chain CLOUDRON_BEFORE { accept }\n}\nadd rule inet cloudron CLOUDRON_BEFORE drop");
  for (const fw::Problem& problem : got.problems) ADD_FAILURE() << to_string(problem);
  EXPECT_EQ(find(got.rules.chains, "CLOUDRON_FORWARD_BEFORE.rules")->rules.size(), 2u);
  EXPECT_EQ(find(got.rules.chains, "CLOUDRON_BEFORE.rules")->rules.size(), 2u);
}

TEST(RuleText, WhatTheKernelGivesBackIsTheSame) {
  const RulesOfFiles got = read(
      "chain CLOUDRON_BEFORE {\n ip saddr 192.0.2.0/25 tcp sport != 1-1023 tcp dport 22 ct state "
      "new,untracked counter log prefix \"x\" level err accept\n udp dport 53 udp sport 53 log "
      "group "
      "7 reject\n th dport { 1, 5 } iifname { \"a\", \"b\" } limit rate 3/minute drop\n tcp dport "
      "1 "
      "reject with tcp reset\n oifname \"eth*\" ip6 daddr ff02::/16 return\n}\n");
  for (const fw::Problem& problem : got.problems) ADD_FAILURE() << to_string(problem);
  for (const Chain& chain : got.rules.chains) {
    for (const Rule& rule : chain.rules) {
      const RuleHandle out(nftnl_rule_alloc());
      lower(rule.exprs, out.get());
      EXPECT_TRUE(raise(out.get()) == rule.exprs) << to_text(rule);
    }
  }
}

struct Bad {
  const char* text;
  const char* where;
  const char* what;
};

TEST(RuleText, WhatItDoesNotKnowItSaysWithAPlaceAndARemedy) {
  const Bad all[] = {
      {"flush ruleset", "r.nft:1:1", "a rule stands in a chain"},
      {"table ip nat {\n}", "r.nft:1:7", "only for the table inet cloudron"},
      {"add rule inet cloudron input accept", "r.nft:1:24", "rules go into CLOUDRON_BEFORE"},
      {"add chain inet cloudron x", "r.nft:1:5", "only rules can be added"},
      {"chain CLOUDRON_BEFORE {\n  ip saddr 1.2.3 accept\n}", "r.nft:2:12", "1.2.3"},
      {"chain CLOUDRON_BEFORE {\n  ip saddr ::1 accept\n}", "r.nft:2:12", "write ip6 saddr"},
      {"chain CLOUDRON_BEFORE {\n  tcp dport ssh accept\n}", "r.nft:2:13", "is not a port"},
      {"chain CLOUDRON_BEFORE {\n  tcp dport 22 jump x\n}", "r.nft:2:16", "is unknown here"},
      {"chain CLOUDRON_BEFORE {\n  tcp dport 22 acept\n}", "r.nft:2:16", "did you mean accept?"},
      {"chain CLOUDRON_BEFORE {\n  accept drop\n}", "r.nft:2:10", "may follow the verdict"},
      {"chain CLOUDRON_BEFORE {\n  ct mark 1 accept\n}", "r.nft:2:6", "only the state"},
      {"chain CLOUDRON_BEFORE {\n  limit rate over 5/second drop\n}", "r.nft:2:14", "over"},
      {"chain CLOUDRON_BEFORE {\n  iifname { \"a*\", \"b\" } drop\n}", "r.nft:2:13", "a rule for"},
      {"chain CLOUDRON_BEFORE {\n  accept\n", "r.nft:3:1", "a } is missing"},
      {"}", "r.nft:1:1", "no open {"},
  };
  for (const Bad& bad : all) {
    const RulesOfFiles got = read(bad.text);
    ASSERT_FALSE(got.problems.empty()) << bad.text;
    EXPECT_EQ(to_string(got.problems[0].where), bad.where) << bad.text;
    EXPECT_NE(got.problems[0].what.find(bad.what), std::string::npos) << bad.text << "\n"
                                                                      << got.problems[0].what;
  }
}

TEST(RuleText, ARuleHasNoMorePartsThanTheKernelTakes) {
  const std::string before = "add rule inet cloudron CLOUDRON_BEFORE ";
  const auto counters = [](std::size_t count) {
    std::string text;
    for (std::size_t i = 0; i < count; ++i) text += "counter ";
    return text;
  };
  EXPECT_EQ(read(before + counters(fw::kRulePartsMax - 1) + "accept\n").problems.size(), 0u);
  const RulesOfFiles longer = read(before + counters(fw::kRulePartsMax) + "accept\n");
  ASSERT_EQ(longer.problems.size(), 1u);
  EXPECT_TRUE(longer.problems[0].what.starts_with("a rule has 24 parts at most"));
}

TEST(RuleText, EveryBadRuleIsNamed) {
  const RulesOfFiles got =
      read("chain CLOUDRON_BEFORE {\n  foo\n  tcp dport 22 accept\n  bar\n}\n");
  EXPECT_EQ(got.problems.size(), 2u);
}

TEST(RuleFiles, AreRememberedBehindThePolicy) {
  const std::vector<fw::RuleFile> files{{"/etc/x/rules.d/1.nft", "# one\n\nchain {\n"},
                                        {"/etc/x/rules.d/2.nft", ""}};
  const std::string policy = "[ports]\ntcp = [22]\n";
  const std::string text = fw::with_rules(policy, files);
  const auto [own, again] = fw::without_rules(text);
  EXPECT_EQ(own, "[ports]\ntcp = [22]\n");
  EXPECT_EQ(again, files);
  EXPECT_EQ(fw::without_rules(policy).first, policy);
  EXPECT_EQ(fw::parse_policy(text, "p").policy.rules, files);
}

}  // namespace
}  // namespace chains
