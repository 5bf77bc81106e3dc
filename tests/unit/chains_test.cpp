// The compiler, the difference and the kernel's form of rules, without a kernel.
// SPDX-License-Identifier: GPL-2.0-or-later
#include <algorithm>
#include <set>

#include <gtest/gtest.h>
#include <libnftnl/rule.h>

#include "chains/compile.hpp"
#include "chains/diff.hpp"
#include "chains/netlink/expressions.hpp"
#include "chains/netlink/handles.hpp"
#include "chains/text.hpp"
#include "fw/effective/policy.hpp"

namespace chains {
namespace {

HostFacts one_device() {
  HostFacts facts;
  facts.devices = {{"eth0", 7}};
  return facts;
}

fw::Policy policy_of(std::string_view text) {
  fw::Parsed parsed = fw::parse_policy(text, "policy.toml");
  for (const fw::Problem& problem : parsed.problems) {
    EXPECT_NE(problem.severity, fw::Severity::error) << to_string(problem);
  }
  return std::move(parsed.policy);
}

constexpr std::string_view kRich = R"(
[ports]
tcp = [22, 443, "8000-8100", "8050-8200"]
udp = [53]
[trusted]
networks = ["198.18.5.0/24", "172.18.7.0/24", "203.0.113.0/28", "203.0.113.64/28", "2001:db8:5::/64"]
[apps]
network = ["172.18.0.0/16", "2001:db8:18::/64"]
[advanced]
nflog_group = 7
[[limit]]
name = "dns"
ports = ["udp/53", "tcp/443"]
from = "outside"
per = "ip"
rate = "20/10m"
concurrent = 5
prefix4 = 24
[[limit]]
name = "web"
enabled = false
[[limit]]
name = "few"
ports = ["9000-9010"]
from = "apps"
per = "app"
rate = "3/11s"
[[app]]
name = "wiki"
addresses = ["172.18.16.2", "2001:db8:18::2"]
publishes = ["tcp/29418"]
addons = ["mysql"]
[[app]]
name = "blog"
addresses = ["172.18.16.3"]
[[addon]]
name = "mysql"
addresses = ["172.18.0.10"]
ports = [3306]
)";

Ruleset rich() { return compile(policy_of(kRich), one_device()); }

const Chain& chain(const Ruleset& ruleset, const std::string& name) {
  const Chain* found = find(ruleset.chains, name);
  if (found == nullptr) throw std::out_of_range("no chain " + name);
  return *found;
}

std::string text(const Chain& chain) {
  std::string out;
  for (const Rule& rule : chain.rules) out += to_text(rule) + "\n";
  return out;
}

TEST(Compile, EstablishedPacketsMeetTheirLabelSecond) {
  const Ruleset ruleset = compile(fw::default_policy(), one_device());
  const auto& input = chain(ruleset, "input").rules;
  EXPECT_EQ(to_text(input[0]),
            "tcp flags & (fin|syn|rst) != 0 ct state established jump input_edge");
  const auto& forward = chain(ruleset, "forward").rules;
  EXPECT_EQ(to_text(forward[0]), "tcp flags & (fin|syn|rst) != 0 jump forward_edge");
  for (const auto* rules : {&input, &forward}) {
    EXPECT_EQ(to_text((*rules)[1]), "ct label & (97|98|100|101) == 97 accept");
  }
}

TEST(Compile, SshIsFiveSlotsOfTenSecondsAndATick) {
  const Ruleset ruleset = compile(fw::default_policy(), one_device());
  EXPECT_EQ(text(chain(ruleset, "ssh.look4")),
            "ip saddr != @ssh.5/10s.slot4.1 accept\n"
            "ip saddr != @ssh.5/10s.slot4.2 accept\n"
            "ip saddr != @ssh.5/10s.slot4.3 accept\n"
            "ip saddr != @ssh.5/10s.slot4.4 accept\n"
            "ip saddr != @ssh.5/10s.slot4.5 accept\n"
            "goto ssh.refuse\n");
  EXPECT_EQ(
      to_text(*find(ruleset.sets, "ssh.5/10s.slot6.5")),
      "set ssh.5/10s.slot6.5 { type ipv6_addr; size 65535; flags dynamic,timeout; timeout 10s4ms; "
      "gc-interval 1s; }");
  EXPECT_EQ(to_text(chain(ruleset, "ssh.count6").rules.front()),
            "add @ssh.5/10s.slot6.1 { ip6 saddr & ffff:ffff:ffff:ffff:: limit rate 1/week burst 1 "
            "packets } counter name \"ssh.accepted\" goto admit");
}

TEST(Compile, TheTickIsThatOfTheKernel) {
  HostFacts slow = one_device();
  slow.tick = std::chrono::milliseconds{10};
  const Ruleset ruleset = compile(fw::default_policy(), slow);
  EXPECT_EQ(find(ruleset.sets, "ssh.5/10s.slot4.1")->timeout_default.count(), 10'010);
}

TEST(Compile, ABucketForgetsOnlyWhenItIsFullAgain) {
  const Ruleset ruleset = compile(policy_of("[[limit]]\nname = \"ssh\"\nports = [22]\n"
                                            "from = \"outside\"\nper = \"ip\"\nrate = \"20/10m\"\n"
                                            "burst = 40\n"),
                                  one_device());
  EXPECT_EQ(to_text(chain(ruleset, "ssh.count4").rules.front()),
            "update @ssh.20/10m.burst40.meter4 { ip saddr limit rate 2/minute burst 40 packets } "
            "counter name \"ssh.accepted\" goto admit");
  EXPECT_GE(find(ruleset.sets, "ssh.20/10m.burst40.meter4")->timeout_default,
            std::chrono::minutes{20});
  EXPECT_EQ(find(ruleset.sets, "ssh.20/10m.burst40.refused4")->timeout_default.count(), 100);
}

TEST(Compile, AnAppsWindowIsOneTokenLimitObjects) {
  const Ruleset ruleset = rich();
  const Object* slot = find(ruleset.objects, "few.3/11s.app.wiki.3");
  ASSERT_NE(slot, nullptr);
  // 604800 s / 54981 is the shortest period in whole weeks' parts that is not under 11 s.
  EXPECT_EQ(to_text(*slot), "limit few.3/11s.app.wiki.3 { rate 54981/week burst 1 packets }");
  EXPECT_EQ(find(ruleset.objects, "few.3/11s.app.wiki.4"), nullptr);
  const Set* map4 = find(ruleset.sets, "few.3/11s.apps4.3");
  const Set* map6 = find(ruleset.sets, "few.3/11s.apps6.3");
  EXPECT_EQ(to_text(*map4, map4->elements.front()), "172.18.16.2 : \"few.3/11s.app.wiki.3\"");
  EXPECT_EQ(to_text(*map6, map6->elements.front()), "2001:db8:18::2 : \"few.3/11s.app.wiki.3\"");
}

TEST(Compile, TrustedNetworksComeBeforeApps) {
  const Ruleset ruleset = rich();
  EXPECT_EQ(text(chain(ruleset, "CLOUDRON_RATELIMIT")).substr(0, 147),
            "jump trusted\n"
            "ip saddr 172.18.0.0/16 meta iifkind \"bridge\" goto ratelimit_apps\n"
            "ip6 saddr 2001:db8:18::/64 meta iifkind \"bridge\" goto ratelimit_apps\n")
      << text(chain(ruleset, "CLOUDRON_RATELIMIT"));
  // A few networks are compared one by one, more are a set.
  EXPECT_EQ(find(ruleset.sets, "trusted6"), nullptr);
  const Ruleset more = compile(policy_of("[trusted]\nnetworks = [\"10.0.0.0/25\", "
                                         "\"10.0.0.128/25\", \"10.2.0.0/16\", \"10.3.0.1\", "
                                         "\"10.4.0.0/16\", \"10.6.0.0/16\"]"),
                               one_device());
  const Set* trusted = find(more.sets, "trusted4");
  ASSERT_NE(trusted, nullptr);
  EXPECT_EQ(trusted->elements.size(), 5u);
  EXPECT_EQ(to_text(*trusted, trusted->elements.front()), "10.0.0.0/24");
}

TEST(Compile, APortLeadsToItsLimit) {
  const Ruleset ruleset = rich();
  const Set* open = find(ruleset.sets, "open_tcp");
  std::string elements;
  for (const Element& element : open->elements) elements += to_text(*open, element) + "\n";
  EXPECT_EQ(elements,
            "22 : jump ssh.look\n"
            "443 : jump dns.look\n"
            "29418 : accept\n");
  const Set* udp = find(ruleset.sets, "open_udp");
  EXPECT_EQ(to_text(*udp, udp->elements.front()), "53 : jump dns.new");
}

TEST(Compile, OverlappingPortRangesBecomeOne) {
  const Ruleset ruleset = rich();
  const Set* set = find(ruleset.sets, "open_tcp_ranges");
  ASSERT_EQ(set->elements.size(), 1u);
  EXPECT_EQ(to_text(*set, set->elements.front()), "8000-8200 : accept");
}

TEST(Compile, AppsReachOnlyTheirAddons) {
  const Ruleset ruleset = rich();
  const Set* reach = find(ruleset.sets, "reach4");
  std::set<std::string> pairs;
  for (const Element& element : reach->elements) pairs.insert(to_text(*reach, element));
  // "blog" leaves its addons out: it may reach all.
  EXPECT_EQ(pairs, (std::set<std::string>{"172.18.16.2 . 172.18.0.10 . tcp . 3306",
                                          "172.18.16.3 . 172.18.0.10 . tcp . 3306"}));
}

TEST(Compile, EveryNameThatARuleUsesExists) {
  for (const Ruleset& ruleset : {rich(), compile(fw::default_policy(), one_device())}) {
    for (const Chain& chain : ruleset.chains) {
      for (const Rule& rule : chain.rules) {
        for (const Expr& expr : rule.exprs) {
          const Uses used = uses(expr);
          EXPECT_TRUE(used.set.empty() || find(ruleset.sets, used.set)) << used.set;
          EXPECT_TRUE(used.chain.empty() || find(ruleset.chains, used.chain)) << used.chain;
          EXPECT_TRUE(used.object.empty() || find(ruleset.objects, used.object)) << used.object;
        }
      }
    }
  }
}

TEST(Compile, NamesAreUnique) {
  const Ruleset ruleset = rich();
  std::set<std::string> names;
  for (const Set& set : ruleset.sets) EXPECT_TRUE(names.insert(set.name).second) << set.name;
  names.clear();
  for (const Chain& c : ruleset.chains) EXPECT_TRUE(names.insert(c.name).second) << c.name;
  names.clear();
  for (const Object& o : ruleset.objects) EXPECT_TRUE(names.insert(o.name).second) << o.name;
}

TEST(Netlink, RulesComeBackFromTheKernelsFormAsTheyWere) {
  for (const Ruleset& ruleset : {rich(), compile(fw::default_policy(), one_device())}) {
    for (const Chain& chain : ruleset.chains) {
      for (const Rule& rule : chain.rules) {
        const RuleHandle out(nftnl_rule_alloc());
        lower(rule.exprs, out.get());
        EXPECT_TRUE(raise(out.get()) == rule.exprs) << to_text(rule);
      }
    }
  }
}

TEST(Diff, NothingToDoBetweenEquals) {
  const Ruleset ruleset = rich();
  EXPECT_TRUE(diff(&ruleset, ruleset).empty());
  EXPECT_TRUE(describe(&ruleset, ruleset, Unused::remove, 1).empty());
}

TEST(Diff, ARuleThatOnlyMovedInThePolicyIsTheSame) {
  const Ruleset before = rich();
  const Ruleset after =
      compile(policy_of("# a new first line\n" + std::string(kRich)), one_device());
  EXPECT_TRUE(diff(&before, after).empty());
}

TEST(Diff, AnOpenedPortIsOneElement) {
  const Ruleset before = compile(policy_of("[ports]\ntcp = [22]"), one_device());
  const Ruleset after = compile(policy_of("[ports]\ntcp = [22, 25]"), one_device());
  const Plan plan = diff(&before, after);
  EXPECT_TRUE(plan.clear_chains.empty());
  ASSERT_EQ(plan.add_elements.size(), 2u);
  EXPECT_EQ(plan.add_elements[0].set.name, "open_tcp");
  EXPECT_EQ(plan.add_elements[1].set.name, "limited_tcp");
  const auto lines = describe(&before, after, Unused::remove, 10).lines;
  ASSERT_EQ(lines.size(), 2u);
  const Description first = describe(&before, after, Unused::remove, 1);
  EXPECT_EQ(first.all, 2u);
  EXPECT_EQ(first.lines, std::vector{lines.front()});
  EXPECT_EQ(lines.front().sign, '+');
  EXPECT_EQ(lines.front().text, "25 : jump mail.look");
  EXPECT_EQ(to_string(lines.front().where).substr(0, 13), "policy.toml:2");
}

/// Of a window of five: slots of sources, of /24, /56 and /48, and what a /16 and a /32 share.
constexpr std::size_t kSshSets = 5 * (1 + 1) + 1 + 5 * (1 + 2) + 1;

TEST(Diff, AChangedLimitStartsAfreshAlone) {
  const std::string ssh =
      "[[limit]]\nname = \"ssh\"\nports = [22]\nfrom = \"outside\"\nper = \"ip\"\nrate = ";
  const Ruleset before = compile(policy_of(ssh + "\"5/10s\"\n"), one_device());
  const Ruleset after = compile(policy_of(ssh + "\"5/20s\"\n"), one_device());
  const Plan plan = diff(&before, after);
  EXPECT_EQ(plan.add_sets.size(), kSshSets);
  for (const Set* set : plan.add_sets) {
    EXPECT_TRUE(set->name.starts_with("ssh.5/20s.")) << set->name;
  }
  for (const auto& [name, table] : plan.clear_chains) {
    EXPECT_TRUE(name.starts_with("ssh.")) << name;
  }
  ASSERT_EQ(plan.remove_objects.size(), 1u);
  EXPECT_EQ(plan.remove_objects.front().name, "ssh.5/10s.overflow");
}

TEST(Diff, WhatIsKeptUnusedIsNoDifference) {
  const std::string ssh =
      "[[limit]]\nname = \"ssh\"\nports = [22]\nfrom = \"outside\"\nper = \"ip\"\nrate = ";
  const Ruleset before = compile(policy_of(ssh + "\"5/10s\"\n"), one_device());
  const Ruleset after = compile(policy_of(ssh + "\"5/20s\"\n"), one_device());
  const Plan plan = diff(&before, after, Unused::keep);
  EXPECT_TRUE(plan.remove_sets.empty());
  EXPECT_TRUE(plan.remove_objects.empty());
  EXPECT_EQ(plan.add_sets.size(), kSshSets);
  Ruleset held = after;  // as the kernel has it then
  for (const Set& set : before.sets) {
    if (find(after.sets, set.name) == nullptr) held.sets.push_back(set);
  }
  for (const Object& object : before.objects) {
    if (find(after.objects, object.name) == nullptr) held.objects.push_back(object);
  }
  EXPECT_EQ(held.sets.size(), after.sets.size() + kSshSets);
  EXPECT_TRUE(diff(&held, after, Unused::keep).empty());
  EXPECT_TRUE(describe(&held, after, Unused::keep, 1).empty());
  EXPECT_EQ(diff(&held, after).remove_sets.size(), kSshSets);
  const Plan back = diff(&held, before);
  for (const Set* set : back.add_sets) ADD_FAILURE() << set->name << " would forget";
  EXPECT_TRUE(back.add_objects.empty());
}

TEST(Diff, ASetMadeAnewTakesItsRulesAlong) {
  const Ruleset before = rich();
  Ruleset after = before;
  for (Set& set : after.sets) {
    if (set.name == "reach4") set.size = 4096;
  }
  const Plan plan = diff(&before, after);
  EXPECT_EQ(plan.remove_sets, std::vector<Named>{{"reach4"}});
  EXPECT_NE(std::find(plan.clear_chains.begin(), plan.clear_chains.end(), Named{"to_apps"}),
            plan.clear_chains.end());
  EXPECT_TRUE(std::ranges::any_of(plan.fill_chains,
                                  [](const Chain* chain) { return chain->name == "to_apps"; }));
}

TEST(Diff, AdminChainsAreMadeOnceAndLeftAlone) {
  Ruleset before = rich();
  for (Chain& c : before.chains) {
    if (c.admin) c.rules.push_back({"mine", {}, {Verdict{VerdictKind::accept, {}}}});
  }
  const Ruleset desired = rich();
  EXPECT_TRUE(diff(&before, desired).empty());
  const Plan first = diff(nullptr, desired);
  EXPECT_NE(find(first.add_chains, "CLOUDRON_BEFORE"), nullptr);
}

}  // namespace
}  // namespace chains
