// What plugins contribute to a policy: limits before it is read, ports after it.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/policy/contribution.hpp"

#include <algorithm>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fw/effective/policy.hpp"
#include "fw/policy/policy_tables.hpp"

namespace fw {
namespace {

using std::string;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

/// A plugin as another one could be: a limit, and a port that is opened when metrics are served.
constexpr Contribution kOtherPlugin{
    "other", nullptr,
    [](Policy policy) {
      policy.limits.push_back(
          default_limit("other", tcp_ports({8443}), Source::outside, {7, std::chrono::seconds{1}}));
      return policy;
    },
    [](Policy policy) {
      if (policy.metrics)
        policy.contributed_ports.push_back({tcp_ports({8443}).front(), policy.ports_where});
      else
        policy.offers.push_back({tcp_ports({8443}), "[metrics] listen"});
      return policy;
    }};

Parsed read_with_other(const string& text) { return parse_policy(text, "p", {&kOtherPlugin, 1}); }

string problem_text(const Parsed& parsed) {
  string text;
  for (const Problem& problem : parsed.problems) text += to_string(problem) + "\n";
  return text;
}

std::vector<string> limits_of(const std::vector<Limit>& limits) {
  std::vector<string> all;
  for (const Limit& limit : limits) all.push_back(limit.name);
  return all;
}

TEST(Contribution, NoneLeavesTheCore) {
  EXPECT_EQ(with_defaults({}), core_policy());
  EXPECT_EQ(contributed(core_policy(), {}), core_policy());
  constexpr Contribution kIdle{"idle"};
  EXPECT_EQ(contributed(with_defaults({&kIdle, 1}), {&kIdle, 1}), core_policy());
  EXPECT_THAT(limits_of(core_policy().limits),
              ElementsAre("web", "ssh", "database", "auth", "ping"));
}

TEST(Contribution, ItsDefaultLimitsAreReplacedAndSwitchedOffAsAllAre) {
  EXPECT_EQ(read_with_other("").policy.limits.back().name, "other");
  const Parsed replaced = read_with_other(
      "[[limit]]\nname = \"other\"\nports = [8443]\nrate = \"9/s\"\nfrom = \"outside\"\n");
  EXPECT_TRUE(replaced.ok()) << problem_text(replaced);
  EXPECT_EQ(limits_of(replaced.policy.limits), limits_of(read_with_other("").policy.limits));
  EXPECT_EQ(replaced.policy.limits.back().rate.count, 9u);
  const Parsed off = read_with_other("[[limit]]\nname = \"other\"\nenabled = false\n");
  EXPECT_TRUE(off.ok()) << problem_text(off);
  EXPECT_EQ(off.policy.limits, core_policy().limits);
}

TEST(Contribution, OpensPortsWithThePlaceThatAskedForThem) {
  const Parsed parsed =
      read_with_other("[ports]\ntcp = [22]\n[metrics]\nlisten = \"127.0.0.1:9100\"\n");
  ASSERT_TRUE(parsed.ok()) << problem_text(parsed);
  const auto open = all_open_ports(parsed.policy);
  ASSERT_EQ(open.size(), 2u);
  EXPECT_EQ(to_string(open[1].value), "tcp/8443");
  EXPECT_EQ(to_string(open[1].where), "p:2:7");
}

TEST(Contribution, IsSeenByTheCheckOfTheWhole) {
  const Parsed twice =
      read_with_other("[ports]\ntcp = [22, 8443]\n[metrics]\nlisten = \"127.0.0.1:9100\"\n");
  EXPECT_THAT(problem_text(twice), HasSubstr("tcp/8443 is open already"));
}

TEST(Contribution, ALimitOfClosedPortsNamesTheOffer) {
  const string text =
      "[[limit]]\nname = \"x\"\nports = [8443]\nrate = \"9/s\"\n"
      "[[limit]]\nname = \"other\"\nenabled = false\n";
  EXPECT_THAT(problem_text(read_with_other(text)),
              HasSubstr("open it in [ports] or with [metrics] listen, or take"));
  EXPECT_THAT(problem_text(read_with_other(text + "[metrics]\nlisten = \"127.0.0.1:9100\"\n")),
              Not(HasSubstr("nothing to count")));
}

TEST(Contribution, OfAPolicyThatCannotBeReadIsThatOfTheDefault) {
  EXPECT_EQ(read_with_other("[").policy.limits, with_defaults({&kOtherPlugin, 1}).limits);
  EXPECT_EQ(read_with_other("[").policy.offers.size(), 1u);
}

TEST(EffectivePolicy, MailIsAmongTheContributions) {
  ASSERT_FALSE(contributions().empty());
  EXPECT_EQ(contributions().front().plugin, "mail");
  EXPECT_EQ(parse_policy("", "").policy, default_policy());
  EXPECT_THAT(limits_of(default_policy().limits),
              ElementsAre("web", "ssh", "mail", "mail-apps", "database", "mail-relay",
                          "mail-receive", "auth", "ping"));
}

TEST(EffectivePolicy, MailOpensItsPortsAtItsPlace) {
  EXPECT_THAT(default_policy().contributed_ports, IsEmpty());
  const Parsed parsed = parse_policy("\n[mail]\nenabled = true\n", "policy.toml");
  ASSERT_TRUE(parsed.ok()) << problem_text(parsed);
  string open;
  for (const auto& [port, where] : parsed.policy.contributed_ports)
    open += to_string(port) + " at " + to_string(where) + "\n";
  EXPECT_EQ(open,
            "tcp/25 at policy.toml:3:11\ntcp/587 at policy.toml:3:11\n"
            "tcp/993 at policy.toml:3:11\ntcp/4190 at policy.toml:3:11\n");
  EXPECT_THAT(parsed.policy.offers, IsEmpty());
}

TEST(EffectivePolicy, MailThatIsOffIsOnOffer) {
  const Parsed parsed = parse_policy(
      "[mail]\nenabled = false\n[[limit]]\nname = \"x\"\nports = [587]\n"
      "rate = \"9/s\"\n[[limit]]\nname = \"mail\"\nenabled = false\n",
      "p");
  EXPECT_THAT(problem_text(parsed), HasSubstr("or with [mail] enabled = true"));
}

}  // namespace
}  // namespace fw
