// SSH: never more than 5 connections of one client in any 10 s, exactly (L3).
// SPDX-License-Identifier: GPL-2.0-or-later
#include <algorithm>
#include <thread>

#include "tests/lab/apps.hpp"
#include "tests/lab/family.hpp"

namespace lab {
namespace {

class Ssh : public OverFamily {
 protected:
  Ssh() : server(net.host, {22, 202, 80}) {}

  std::size_t admitted_at_once(const Client& client, std::size_t count, const PortList& ports) {
    return served(client.tries(host(), ports, {count, {}, 700ms}));
  }
  std::size_t remembered() const {
    const char* const slot = family() == Family::ipv4 ? "ssh.5/10s.slot4.1" : "ssh.5/10s.slot6.1";
    return elements(net.host, slot).size();
  }

  Server server;
};
BOTH_FAMILIES(Ssh);

TEST_P(Ssh, FiveConnectionsAreServedAndTheSixthIsNot) {
  fw.apply();
  for (int i = 1; i <= 5; ++i) EXPECT_EQ(from(1).tcp(host(), 22), Outcome::served) << i;
  EXPECT_EQ(from(1).tcp(host(), 22, kShort), Outcome::timed_out);
  EXPECT_EQ(from(2).tcp(host(), 22), Outcome::served) << "another client is not meant";
  EXPECT_EQ(from(1).tcp(host(), 80), Outcome::served) << "another port is not meant";
}

TEST_P(Ssh, FiveOfManyAtOnceAreServed) {
  fw.apply();
  const auto tries = from(1).tries(host(), {22}, {40, {}, 700ms});
  EXPECT_EQ(served(tries), 5u);
  EXPECT_EQ(server.accepted(22), 5u);
  EXPECT_EQ(counter(net.host, "ssh.accepted"), 5u);
  EXPECT_EQ(counter(net.host, "ssh.refused"), 35u);
}

TEST_P(Ssh, BothPortsShareTheBudget) {
  fw.apply();
  EXPECT_EQ(admitted_at_once(from(1), 3, {22}), 3u);
  EXPECT_EQ(admitted_at_once(from(1), 4, {202}), 2u);
  EXPECT_EQ(admitted_at_once(from(1), 2, {22, 202}), 0u);
}

TEST_P(Ssh, NoWindowHoldsMoreThanFiveUnderASteadyStream) {
  fw.apply();
  const auto tries = from(1).tries(host(), {22, 202}, {1060, 20ms, 300ms});
  EXPECT_EQ(most_in(10s, tries), 5u);
  // Refused attempts do not extend the refusal: as soon as a slot is free it is taken.
  ASSERT_GE(served(tries), 15u) << "5 at 0 s, 5 at 10 s, 5 at 20 s";
}

TEST_P(Ssh, WhoKeepsTheLimitIsNeverRefused) {
  fw.apply();
  std::vector<Try> even;
  std::thread other([&] {
    even = from(1).tries(host(), {22}, {11, 2200ms});  // 5 in 11 s, evenly
  });
  std::vector<std::size_t> bursts;  // 5 at once, then a pause
  for (int i = 0; i < 3; ++i) {
    const auto next = Clock::now() + 11s;
    bursts.push_back(served(from(2).tries(host(), {22}, {5})));
    if (i < 2) std::this_thread::sleep_until(next);
  }
  other.join();
  EXPECT_EQ(served(even), 11u);
  EXPECT_EQ(bursts, (std::vector<std::size_t>{5, 5, 5}));
}

TEST_P(Ssh, TrustedNetworksAreNotCounted) {
  fw.apply("[trusted]\nnetworks = [\"198.18.1.0/24\", \"2001:db8:18:100::/56\"]\n");
  EXPECT_EQ(admitted_at_once(from(0x101), 30, {22}), 30u);
  EXPECT_EQ(remembered(), 0u);
  EXPECT_EQ(counter(net.host, "ssh.accepted"), 0u);
  EXPECT_EQ(admitted_at_once(from(0x201), 8, {22}), 5u) << "its neighbour is counted";
}

TEST_P(Ssh, ConnectionsThatStayUseOneSlotEach) {
  fw.apply();
  std::vector<Session> sessions;
  for (int i = 0; i < 5; ++i) sessions.push_back(from(1).session(host(), 22));
  for (Session& session : sessions) {
    for (int i = 0; i < 3; ++i) EXPECT_TRUE(session.echoes());
  }
  EXPECT_EQ(counter(net.host, "ssh.accepted"), 5u);
  EXPECT_EQ(from(1).tcp(host(), 22, kShort), Outcome::timed_out);
  for (Session& session : sessions) EXPECT_TRUE(session.echoes()) << "a refusal harms nobody else";
}

TEST_P(Ssh, ThePolicyCanCountNetworksAsOneClient) {
  fw.apply(limit_toml("ssh", "22, 202", "outside", "ip", "5/10s", "prefix4 = 24\nprefix6 = 56"));
  EXPECT_EQ(admitted_at_once(from(0x101), 4, {22}), 4u);
  EXPECT_EQ(admitted_at_once(from(0x1fe), 4, {22}), 1u);
  EXPECT_EQ(admitted_at_once(from(0x201), 4, {22}), 4u);
}

/// One client in IPv6 is a /64.
class Ssh6 : public Ssh {};
INSTANTIATE_TEST_SUITE_P(, Ssh6, testing::Values(Family::ipv6), family_name);

TEST_P(Ssh6, TwoAddressesOfOneSlash64ShareTheBudget) {
  fw.apply();
  const Client neighbour(net.outside, client_of_same_64(1, 0x1234));
  EXPECT_EQ(admitted_at_once(from(1), 3, {22}), 3u);
  EXPECT_EQ(admitted_at_once(neighbour, 6, {22}), 2u);
  EXPECT_EQ(admitted_at_once(from(1), 2, {22}), 0u);
  EXPECT_EQ(admitted_at_once(from(2), 6, {22}), 5u) << "the next /64 is another client";
}

TEST_P(Ssh6, ThePolicyCanMakeAClientOfAnotherSize) {
  fw.apply(limit_toml("ssh", "22, 202", "outside", "ip", "5/10s", "prefix6 = 128"));
  const Client neighbour(net.outside, client_of_same_64(1, 0x1234));
  EXPECT_EQ(admitted_at_once(from(1), 6, {22}), 5u);
  EXPECT_EQ(admitted_at_once(neighbour, 6, {22}), 5u);
}

}  // namespace
}  // namespace lab
