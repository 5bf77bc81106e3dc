// A network that fills a limit's meter leaves the clients of others their budgets.
// SPDX-License-Identifier: GPL-2.0-or-later
#include <algorithm>
#include <map>

#include "tests/lab/apps.hpp"
#include "tests/lab/family.hpp"

namespace lab {
namespace {

constexpr unsigned kRoom = 65'535;

/// The n-th network of the size that is asked when the meter is full (a /24, a /56), n < 65,536: of
/// 256 in one that is asked after that (a /16, a /48).
Ip in_network(Family family, unsigned n) {
  if (family == Family::ipv4) return {family, (fw::U128{20} << 24) + (fw::U128{n} << 8) + 1};
  return {family, (fw::U128{0x2a00} << 112) + (fw::U128{n} << 72) + 1};
}

class AloneFairShare : public OverFamily {
 protected:
  /// One client of each of ten small networks, which are not the attacker's.
  std::vector<unsigned> honest() const {
    std::vector<unsigned> all;
    for (unsigned i = 1; i <= 10; ++i) all.push_back(256 * i + 1);
    return all;
  }
  /// The meter of the rate is full as well, or not, by how fast the flows come.
  std::uint64_t let_in() const {
    return counter(net.host, "game.accepted") + counter(net.host, "game.overflowed");
  }
  std::uint64_t decided(const char* limit) const {
    std::uint64_t sum = 0;
    for (const char* way : {"accepted", "overflowed", "refused"}) {
      sum += counter(net.host, std::string(limit) + "." + way);
    }
    return sum;
  }
  /// Handshakes of strangers, all of one /16 or /48, each of which is reset at once.
  void handshakes(RawLink& link, unsigned count, std::uint16_t port) const {
    constexpr unsigned kAtOnce = 256;
    for (unsigned first = 0; first < count; first += kAtOnce) {
      std::map<Ip, Packet> waiting;
      for (unsigned i = first; i < std::min(first + kAtOnce, count); ++i) {
        const Ip from = stranger(family(), i);
        waiting[from] = {from, host(), kTcp, 5555, port, kSyn, 1000, 0};
      }
      for (const auto end = Clock::now() + 30s; !waiting.empty();) {
        ASSERT_LT(Clock::now(), end) << "SYNs without an answer";
        std::vector<Packet> syns;
        for (const auto& [from, syn] : waiting) syns.push_back(syn);
        link.send(syns);
        std::vector<Packet> rest;
        for (const auto patience = Clock::now() + 300ms;
             rest.size() < 2 * syns.size() && Clock::now() < patience;) {
          for (const Packet& answer : link.receive(50ms)) {
            if (answer.flags != (kSyn | kAck) || waiting.erase(answer.to) == 0) continue;
            for (const std::uint8_t flags : {kAck, kRst}) {
              rest.push_back({answer.to, host(), kTcp, 5555, port, flags, 1001,
                              flags == kAck ? answer.sequence + 1 : 0});
            }
          }
        }
        link.send(rest);
      }
    }
  }
  /// A UDP flow of each of so many sources.
  template <class Source>
  void flows(RawLink& link, unsigned count, Source source) const {
    std::vector<Packet> packets;
    for (unsigned i = 0; i < count; ++i) {
      packets.push_back(
          {source(i), host(), kUdp, static_cast<std::uint16_t>(5000 + i % 1000), 5000});
    }
    link.send(packets);
  }
};
BOTH_FAMILIES(AloneFairShare);

TEST_P(AloneFairShare, HandshakesOfOneNetworkTakeNobodyElsesBudget) {
  Server server(net.host, {22});
  fw.apply(limit_toml("ssh", "22", "outside", "ip", "3/1h"));
  RawLink link(net);
  handshakes(link, kRoom, 22);
  ASSERT_TRUE(eventually([&] { return decided("ssh") >= kRoom; })) << decided("ssh");
  ASSERT_EQ(counter(net.host, "ssh.accepted"), kRoom) << "the meter is full";
  for (const unsigned n : honest()) {
    EXPECT_EQ(served(from(n).tries(host(), {22}, {5, {}, 3s})), 3u) << n;
  }
  EXPECT_EQ(counter(net.host, "ssh.overflowed"), 30u);
}

TEST_P(AloneFairShare, FlowsOfOneNetworkTakeNobodyElsesBudget) {
  fw.apply("[ports]\ntcp = [22]\nudp = [5000]\n" +
           limit_toml("dns", "\"udp/5000\"", "outside", "ip", "30/1h"));
  RawLink link(net);
  flows(link, kRoom, [&](unsigned i) { return stranger(family(), i); });
  ASSERT_TRUE(eventually([&] { return decided("dns") >= kRoom; })) << decided("dns");
  ASSERT_EQ(counter(net.host, "dns.accepted"), kRoom);
  for (const unsigned n : honest()) {
    flows(link, 31, [&](unsigned) { return client(family(), n); });
  }
  ASSERT_TRUE(eventually([&] { return decided("dns") >= kRoom + 310; })) << decided("dns");
  EXPECT_EQ(counter(net.host, "dns.overflowed"), 300u) << "30 of each";
  EXPECT_EQ(counter(net.host, "dns.refused"), 10u);
  // Who is in a network of the attacker's size with somebody else shares with that.
  flows(link, 5, [&](unsigned) { return client(family(), honest().front() + 1); });
  EXPECT_TRUE(eventually([&] { return counter(net.host, "dns.refused") == 15; }));
}

TEST_P(AloneFairShare, ManyNetworksLeaveTheClientsOfLargerOnesTheirBudgets) {
  fw.apply("[ports]\ntcp = [22]\nudp = [5000]\n" +
           limit_toml("dns", "\"udp/5000\"", "outside", "ip", "2/1h"));
  RawLink link(net);
  flows(link, kRoom, [&](unsigned i) { return stranger(family(), i); });
  ASSERT_TRUE(eventually([&] { return decided("dns") >= kRoom; })) << decided("dns");
  flows(link, kRoom, [&](unsigned i) { return in_network(family(), i); });
  ASSERT_TRUE(eventually([&] { return decided("dns") >= 2 * kRoom; })) << decided("dns");
  ASSERT_EQ(counter(net.host, "dns.overflowed"), kRoom) << "both are full";
  // A /48 has the budget of one client; a /16 that of 16.
  const std::uint64_t budget = family() == Family::ipv4 ? 32 : 2;
  flows(link, 40, [&](unsigned i) { return client(family(), 256 * i); });
  ASSERT_TRUE(eventually([&] { return decided("dns") >= 2 * kRoom + 40; })) << decided("dns");
  EXPECT_EQ(counter(net.host, "dns.overflowed"), kRoom + budget);
}

constexpr const char* kThreeAtOnce = "concurrent = 3";

TEST_P(AloneFairShare, OpenFlowsOfOneNetworkTakeNobodyElsesPlaces) {
  fw.apply("[ports]\ntcp = [22]\nudp = [5000]\n" +
           limit_toml("game", "\"udp/5000\"", "outside", "ip", "10000/s", kThreeAtOnce));
  RawLink link(net);
  flows(link, kRoom, [&](unsigned i) { return stranger(family(), i); });
  ASSERT_TRUE(eventually([&] { return decided("game") >= kRoom; })) << decided("game");
  ASSERT_EQ(let_in(), kRoom) << "the meter is full";
  for (const unsigned n : honest()) {
    flows(link, 5, [&](unsigned) { return client(family(), n); });
  }
  ASSERT_TRUE(eventually([&] { return decided("game") >= kRoom + 50; })) << decided("game");
  EXPECT_EQ(let_in(), kRoom + 30) << "three of each";
  // Further sources of one small network have what one has.
  flows(link, 100, [&](unsigned i) { return stranger(family(), kRoom + 1 + i); });
  ASSERT_TRUE(eventually([&] { return decided("game") >= kRoom + 150; })) << decided("game");
  EXPECT_EQ(let_in(), kRoom + 33);
}

TEST_P(AloneFairShare, HalfOpenConnectionsOfOneNetworkTakeNobodyElsesPlaces) {
  const Server server(net.host, {22});  // no reset ends what the strangers begin
  fw.apply(limit_toml("ssh", "22", "outside", "ip", "10000/s", kThreeAtOnce));
  RawLink link(net);
  const auto syns = [&](unsigned count, auto source) {
    std::vector<Packet> packets;
    for (unsigned i = 0; i < count; ++i) {
      packets.push_back(
          {source(i), host(), kTcp, static_cast<std::uint16_t>(5000 + i), 22, kSyn, 1, 0});
    }
    link.send(packets);
  };
  syns(kRoom, [&](unsigned i) { return stranger(family(), i); });
  EXPECT_EQ(counter(net.host, "ssh.refused"), 0u);
  for (const unsigned n : honest()) {
    syns(5, [&](unsigned) { return in_network(family(), n); });
  }
  EXPECT_TRUE(eventually([&] { return counter(net.host, "ssh.refused") >= 20; }));
  EXPECT_EQ(counter(net.host, "ssh.refused"), 20u) << "each has three";
}

TEST_P(AloneFairShare, OpenFlowsOfManyNetworksLeaveALargerOneItsPlaces) {
  fw.apply("[ports]\ntcp = [22]\nudp = [5000]\n" +
           limit_toml("game", "\"udp/5000\"", "outside", "ip", "10000/s", kThreeAtOnce));
  RawLink link(net);
  flows(link, kRoom, [&](unsigned i) { return stranger(family(), i); });
  ASSERT_TRUE(eventually([&] { return decided("game") >= kRoom; })) << decided("game");
  flows(link, kRoom, [&](unsigned i) { return in_network(family(), i); });
  ASSERT_TRUE(eventually([&] { return decided("game") >= 2 * kRoom; })) << decided("game");
  ASSERT_EQ(let_in(), 2 * kRoom) << "both are full";
  flows(link, 40, [&](unsigned i) { return client(family(), 256 * i); });
  ASSERT_TRUE(eventually([&] { return decided("game") >= 2 * kRoom + 40; })) << decided("game");
  // All of a /48 have what one has; in IPv4 nothing is left that counts.
  EXPECT_EQ(let_in(), 2 * kRoom + (family() == Family::ipv4 ? 40 : 3));
}

}  // namespace
}  // namespace lab
