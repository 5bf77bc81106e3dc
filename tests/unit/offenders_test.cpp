// Who is blocked for being refused, and who is not.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/daemon/offenders.hpp"

#include <gtest/gtest.h>

#include "fw/base/limits.hpp"
#include "fw/effective/policy.hpp"

namespace fw {
namespace {

using namespace std::chrono_literals;
using chains::Refusal;

Policy policy(const std::string& text) {
  const Parsed parsed = parse_policy(text, "p");
  EXPECT_TRUE(parsed.ok()) << (parsed.problems.empty() ? "" : to_string(parsed.problems.front()));
  return parsed.policy;
}

Instant at(std::chrono::milliseconds time) { return {time, WallTime{} + 24h + time}; }

Refusal refused(const std::string& from, const std::string& limit = "ssh", bool shaken = true) {
  Refusal refusal;
  refusal.why = Refusal::Why::limit;
  refusal.limit = limit;
  refusal.shaken = shaken;
  refusal.packet.source = *parse_ip(from);
  refusal.packet.destination_port = 22;
  return refusal;
}

Refusal closed(const std::string& from, std::uint16_t port) {
  Refusal refusal;
  refusal.why = Refusal::Why::closed;
  refusal.packet.source = *parse_ip(from);
  refusal.packet.destination_port = port;
  return refusal;
}

constexpr const char* kThree = "[[offender]]\nafter = \"3 refused/10s\"\nmax = \"3h\"\n";

TEST(Offenders, AreThoseWhoAreRefusedSoOftenInThePeriod) {
  Offenders offenders(policy(kThree));
  EXPECT_FALSE(offenders.see(refused("198.18.0.1"), at(0s)));
  EXPECT_FALSE(offenders.see(refused("198.18.0.1"), at(1s)));
  EXPECT_FALSE(offenders.see(refused("198.18.0.2"), at(2s))) << "somebody else";
  EXPECT_FALSE(offenders.see(refused("198.18.0.1"), at(10'500ms))) << "the first is out of it";
  const auto decision = offenders.see(refused("198.18.0.1"), at(11s));
  ASSERT_TRUE(decision);
  EXPECT_EQ(to_string(decision->range), "198.18.0.1");
  EXPECT_EQ(decision->duration, 1h);
  EXPECT_EQ(decision->evidence, (Evidence{"limit ssh", 3, {22}, at(1s).wall, at(11s).wall}));
  EXPECT_EQ(to_string(decision->evidence),
            "3 refused by limit ssh, port 22, from 00:00:01 to 00:00:11 UTC");
  EXPECT_EQ(decision->where, (Location{"p", 1, 1}));
}

TEST(Offenders, AnIpv6NetworkIsOne) {
  Offenders offenders(policy(kThree));
  (void)offenders.see(refused("2001:db8::1"), at(0s));
  (void)offenders.see(refused("2001:db8::2"), at(0s));
  const auto decision = offenders.see(refused("2001:db8::ffff:3"), at(0s));
  ASSERT_TRUE(decision);
  EXPECT_EQ(to_string(decision->range), "2001:db8::/64");
}

TEST(Offenders, BehindATranslatorEachAddressIsOne) {
  Offenders offenders(policy(kThree));
  for (int i = 0; i < 2; ++i) {
    EXPECT_FALSE(offenders.see(refused("64:ff9b::c000:201"), at(0s)));
    EXPECT_FALSE(offenders.see(refused("64:ff9b::c000:202"), at(0s)));
  }
  const auto decision = offenders.see(refused("64:ff9b::c000:201"), at(0s));
  ASSERT_TRUE(decision);
  EXPECT_EQ(to_string(decision->range), "64:ff9b::c000:201");
}

TEST(Offenders, RepetitionDoublesUpToTheMost) {
  Offenders offenders(policy(kThree));
  std::chrono::seconds now = 0s;
  for (const auto expected : {3600s, 7200s, 10'800s, 10'800s}) {
    std::optional<BanDecision> decision;
    for (int i = 0; i < 3; ++i) decision = offenders.see(refused("198.18.0.1"), at(now));
    ASSERT_TRUE(decision);
    EXPECT_EQ(decision->duration, expected);
    now += expected;
  }
  now += 3h;
  std::optional<BanDecision> decision;
  for (int i = 0; i < 3; ++i) decision = offenders.see(refused("198.18.0.1"), at(now));
  EXPECT_EQ(decision->duration, 1h) << "long ago";
}

TEST(Offenders, WhatWasOnItsWayAtTheBlockIsNoRepetition) {
  Offenders offenders(policy(kThree));
  for (int i = 0; i < 2; ++i) (void)offenders.see(refused("198.18.0.1"), at(0s));
  EXPECT_TRUE(offenders.see(refused("198.18.0.1"), at(0s)));
  for (int i = 0; i < 100; ++i) EXPECT_FALSE(offenders.see(refused("198.18.0.1"), at(1s)));
  // Unblocked by hand, it may offend again.
  for (int i = 0; i < 2; ++i) (void)offenders.see(refused("198.18.0.1"), at(6s));
  EXPECT_EQ(offenders.see(refused("198.18.0.1"), at(6s))->times, 2u);
}

TEST(Offenders, ABlockThatCouldNotBeMadeIsNoRepetition) {
  Offenders offenders(policy(kThree));
  std::chrono::seconds now = 0s;
  const auto next = [&] {
    std::optional<BanDecision> decision;
    for (int i = 0; i < 3; ++i) decision = offenders.see(refused("198.18.0.1"), at(now));
    now += 6s;
    return decision;
  };
  for (int i = 0; i < 2; ++i) {
    const auto failed = next();
    ASSERT_TRUE(failed);
    EXPECT_EQ(failed->times, 1u);
    offenders.take_back(*failed);
  }
  EXPECT_EQ(next()->times, 1u);
  const auto second = next();
  ASSERT_TRUE(second);
  EXPECT_EQ(second->times, 2u);
  offenders.take_back(*second);
  EXPECT_EQ(next()->times, 2u);
}

TEST(Offenders, WhatAnybodyCanForgeIsNoEvidence) {
  Offenders offenders(policy(kThree));
  for (int i = 0; i < 1000; ++i) {
    EXPECT_FALSE(offenders.see(refused("198.18.0.1", "ssh", false), at(0s)));
    EXPECT_FALSE(offenders.see(closed("198.18.0.1", static_cast<std::uint16_t>(i)), at(0s)));
  }
  EXPECT_EQ(offenders.suspects(), 0u);
}

TEST(Offenders, TheTrustedNeverOffend) {
  Offenders offenders(
      policy("[trusted]\nnetworks = [\"198.18.0.0/24\", \"2001:db8::1\"]\n" + std::string(kThree)));
  for (int i = 0; i < 10; ++i) {
    EXPECT_FALSE(offenders.see(refused("198.18.0.1"), at(0s)));
    EXPECT_FALSE(offenders.see(refused("2001:db8::2"), at(0s))) << "one of its network is trusted";
  }
}

TEST(Offenders, OnlyOfTheLimitsThatAreNamed) {
  Offenders offenders(policy(std::string(kThree) + "limits = [\"web\"]\n"));
  for (int i = 0; i < 10; ++i) EXPECT_FALSE(offenders.see(refused("198.18.0.1"), at(0s)));
  (void)offenders.see(refused("198.18.0.1", "web"), at(0s));
  (void)offenders.see(refused("198.18.0.1", "web"), at(0s));
  EXPECT_TRUE(offenders.see(refused("198.18.0.1", "web"), at(0s)));
}

TEST(Offenders, ClosedPortsAreDifferentOnes) {
  Offenders offenders(policy("[[offender]]\nclosed_ports = \"3/1m\"\n"));
  for (int i = 0; i < 10; ++i) EXPECT_FALSE(offenders.see(closed("198.18.0.1", 23), at(0s)));
  EXPECT_FALSE(offenders.see(closed("198.18.0.1", 24), at(1s)));
  const auto decision = offenders.see(closed("198.18.0.1", 25), at(2s));
  ASSERT_TRUE(decision);
  EXPECT_EQ(decision->evidence.ports, (std::vector<std::uint16_t>{23, 24, 25}));
}

TEST(Offenders, MemoryIsBounded) {
  Offenders offenders(policy(kThree));
  (void)offenders.see(refused("198.18.0.1"), at(0s));
  (void)offenders.see(refused("198.18.0.1"), at(0s));
  for (std::size_t i = 0; i < 2 * kSuspectsMax; ++i) {
    Refusal refusal = refused("198.19.0.0");
    refusal.packet.source.bits += i;
    (void)offenders.see(refusal, at(1s));
  }
  EXPECT_EQ(offenders.suspects(), kSuspectsMax);
  EXPECT_FALSE(offenders.see(refused("198.18.0.1"), at(1s))) << "quiet the longest: forgotten";
}

TEST(OffenderPolicy, SaysWhatIsWrong) {
  for (const auto& [text, says] : std::vector<std::pair<std::string, std::string>>{
           {"[[offender]]\nblock = \"1h\"\n", "lacks after"},
           {"[[offender]]\nafter = \"20/10m\"\n", "write e.g. \"20 refused/10m\""},
           {"[[offender]]\nafter = \"20 refused/10x\"\n", "unknown unit 'x'"},
           {"[[offender]]\nafter = \"1000 refused/1h\"\n", "the count must be at most 256"},
           {"[[offender]]\nafter = \"2 refused/1m\"\nblock = \"2h\"\nmax = \"1h\"\n", "less than"},
           {"[[offender]]\nafter = \"2 refused/1m\"\nlimits = [\"shh\"]\n", "did you mean \"ssh\""},
           {"[[offender]]\nclosed_ports = \"2/1m\"\nlimits = [\"ssh\"]\n", "without after"},
           {"[[offender]]\nafter = \"2 refused/1m\"\n[advanced]\nnflog_group = 0\n",
            "[[offender]] cannot work"}}) {
    const Parsed parsed = parse_policy(text, "p");
    ASSERT_FALSE(parsed.ok()) << text;
    EXPECT_NE(to_string(parsed.problems.front()).find(says), std::string::npos)
        << to_string(parsed.problems.front());
  }
}

}  // namespace
}  // namespace fw
