// A policy's firewall over packets that are made here.
// SPDX-License-Identifier: GPL-2.0-or-later
#include <deque>
#include <map>
#include <random>

#include <gtest/gtest.h>

#include "fw/effective/policy.hpp"
#include "fw/simulate/compare.hpp"
#include "fw/simulate/firewall.hpp"
#include "fw/simulate/hosts.hpp"

namespace simulate {
namespace {

using capture::Packet;
using fw::Family;
using fw::Ip;

constexpr Nanoseconds kSecond = 1'000'000'000;
constexpr Nanoseconds kBegin = 1'700'000'000 * kSecond;
constexpr std::uint8_t kFin = 1, kSyn = 2, kRst = 4, kAck = 16;

Ip ip(const char* text) { return *fw::parse_ip(text); }
const Ip kHost = ip("203.0.113.1");
const Ip kHost6 = ip("2001:db8::1");

fw::Policy policy(const std::string& text) {
  auto parsed = fw::parse_policy(text, "policy.toml");
  EXPECT_TRUE(parsed.ok());
  return parsed.policy;
}

Firewall firewall(const std::string& text, Addresses addresses = {}, Options options = {}) {
  addresses.hosts = {kHost, kHost6};
  auto made = Firewall::make(Rules(policy(text), addresses), options);
  EXPECT_TRUE(made);
  return std::move(*made);
}

/// Traffic in order of time.
class Traffic {
 public:
  Nanoseconds now = kBegin;

  void send(Ip from, std::uint16_t from_port, Ip to, std::uint16_t to_port, std::uint8_t flags,
            std::uint8_t protocol = 6) {
    Packet p;
    p.time = now;
    p.source = from;
    p.destination = to;
    p.source_port = from_port;
    p.destination_port = to_port;
    p.protocol = protocol;
    p.tcp_flags = flags;
    packets.push_back(p);
  }
  /// SYN, SYN-ACK, ACK; 3 ms.
  void connect(Ip from, std::uint16_t from_port, Ip to, std::uint16_t port) {
    send(from, from_port, to, port, kSyn);
    now += kSecond / 1000;
    send(to, port, from, from_port, kSyn | kAck);
    now += kSecond / 1000;
    send(from, from_port, to, port, kAck);
    now += kSecond / 1000;
  }
  void udp(Ip from, std::uint16_t from_port, Ip to, std::uint16_t port) {
    send(from, from_port, to, port, 0, 17);
  }
  void into(Firewall& firewall) {
    firewall.take(packets);
    packets.clear();
  }
  std::vector<Packet> packets;
};

const Tally& tally(const Firewall& firewall, const std::string& limit) {
  for (const Tally& t : firewall.tallies()) {
    if (t.limit().name == limit) return t;
  }
  ADD_FAILURE() << limit;
  return firewall.tallies().front();
}

class BothFamilies : public testing::TestWithParam<Family> {
 protected:
  Ip host() const { return GetParam() == Family::ipv4 ? kHost : kHost6; }
  /// Each is a client of its own.
  Ip client(unsigned i) const {
    if (GetParam() == Family::ipv4) return {Family::ipv4, ip("198.18.0.0").bits + i};
    return {Family::ipv6, ip("2001:db8:1::").bits + (fw::U128{i} << 64) + 7};
  }
  Traffic traffic;
};
INSTANTIATE_TEST_SUITE_P(, BothFamilies, testing::Values(Family::ipv4, Family::ipv6),
                         [](const auto& family) {
                           return family.param == Family::ipv4 ? "IPv4" : "IPv6";
                         });

TEST_P(BothFamilies, TheDefaultPolicyAdmitsFiveInTenSeconds) {
  Firewall fw = firewall("");
  for (std::uint16_t i = 0; i < 7; ++i) traffic.connect(client(1), 1000 + i, host(), 22);
  traffic.connect(client(2), 1000, host(), 202);
  traffic.now += 10 * kSecond;
  traffic.connect(client(1), 2000, host(), 22);
  traffic.into(fw);
  const Tally& ssh = tally(fw, "ssh");
  EXPECT_EQ(ssh.totals.admitted, 7u);
  EXPECT_EQ(ssh.totals.refused, 2u) << "at the SYN; what follows of them is not counted again";
  EXPECT_EQ(ssh.totals.refused_shaken, 2u);
  EXPECT_EQ(ssh.totals.connections, 9u);
  EXPECT_EQ(ssh.totals.clients, 2u);
  const auto refused = ssh.refused_clients();
  ASSERT_EQ(refused.size(), 1u);
  EXPECT_EQ(refused[0].refused, 2u);
  EXPECT_EQ(refused[0].connections, 8u);
  EXPECT_EQ(refused[0].last - refused[0].first, 3 * kSecond / 1000);
  EXPECT_EQ(ssh.smallest().count, 7u);
}

TEST_P(BothFamilies, AFullMeterCountsFurtherClientsByTheirNetworks) {
  Firewall fw = firewall("[[limit]]\nname = \"ssh\"\nports = [22]\nrate = \"3/1h\"\n");
  constexpr unsigned kRoom = 65'535;  // all of one /16, or /48
  for (unsigned i = 0; i < kRoom; ++i) traffic.connect(client(i), 1000, host(), 22);
  traffic.into(fw);
  EXPECT_EQ(tally(fw, "ssh").totals.overflowed, 0u);
  for (unsigned network = 1; network <= 10; ++network) {
    for (std::uint16_t i = 0; i < 4; ++i) {
      traffic.connect(client(kRoom + 1 + 256 * network), 1000 + i, host(), 22);
    }
  }
  traffic.into(fw);
  const Tally& ssh = tally(fw, "ssh");
  EXPECT_EQ(ssh.totals.overflowed, 30u) << "each has its whole budget";
  EXPECT_EQ(ssh.totals.admitted, kRoom + 30u);
  EXPECT_EQ(ssh.totals.refused_shaken, 10u);
}

TEST_P(BothFamilies, ForgedSynsSpendNothing) {
  Firewall fw = firewall("");
  for (std::uint16_t i = 0; i < 100; ++i) traffic.send(client(1), 1000 + i, host(), 22, kSyn);
  traffic.connect(client(1), 5000, host(), 22);
  traffic.into(fw);
  EXPECT_EQ(tally(fw, "ssh").totals.admitted, 1u);
  EXPECT_EQ(tally(fw, "ssh").totals.refused, 0u);
  EXPECT_EQ(tally(fw, "ssh").smallest().count, 1u);
}

TEST_P(BothFamilies, AHandshakeWithoutTheHostsAnswerIsNone) {
  for (const bool one_way : {false, true}) {
    Options options;
    options.one_way = one_way;
    Firewall fw = firewall("", {}, options);
    traffic.send(client(1), 1000, host(), 22, kSyn);
    traffic.send(client(1), 1000, host(), 22, kAck);
    traffic.into(fw);
    EXPECT_EQ(tally(fw, "ssh").totals.connections, one_way ? 1u : 0u);
  }
}

TEST_P(BothFamilies, AListOfAnOpeningOpensToItsAddresses) {
  Addresses addresses;
  fw::AddressSet& office = addresses.lists["office"];
  append(office, {GetParam(), client(1).bits, client(1).bits});
  normalize(office);
  Firewall fw = firewall(
      "[[open]]\nports = [9100]\nfrom = [\"office\"]\n"
      "[[list]]\nname = \"office\"\nfile = \"office.txt\"\n",
      addresses);
  for (const unsigned i : {1u, 2u, 3u}) traffic.connect(client(i), 1000, host(), 9100);
  traffic.into(fw);
  EXPECT_EQ(fw.drops().closed, 2u);
}

TEST_P(BothFamilies, WhatIsClosedBlockedListedOrTheHostsOwn) {
  Addresses addresses;
  for (auto [set, i] : {std::pair{&addresses.blocked, 1u}, {&addresses.listed, 2u}}) {
    append(*set, {GetParam(), client(i).bits, client(i).bits});
    normalize(*set);
  }
  Firewall fw = firewall("", addresses);
  for (const unsigned i : {1u, 2u, 3u}) traffic.connect(client(i), 1000, host(), 443);
  traffic.send(client(3), 1001, host(), 23, kSyn);
  traffic.send(client(3), 1001, host(), 23, kSyn);
  traffic.udp(client(3), 1001, host(), 53);
  traffic.connect(host(), 40'000, client(3), 25);
  traffic.udp(host(), 40'000, client(3), 53);
  traffic.udp(client(3), 53, host(), 40'000);
  traffic.send(client(3), 9, host(), 80, kAck);
  traffic.send(client(3), 9, client(4), 80, kSyn);
  traffic.into(fw);
  EXPECT_EQ(fw.drops().blocked, 1u);
  EXPECT_EQ(fw.drops().listed, 1u);
  EXPECT_EQ(fw.drops().closed, 3u);
  EXPECT_EQ(fw.seen().of_host, 2u);
  EXPECT_EQ(fw.seen().unknown_tcp, 1u) << "what follows a dropped SYN is known to";
  EXPECT_EQ(fw.seen().foreign, 1u);
  EXPECT_EQ(tally(fw, "web").totals.admitted, 1u);
  const auto ports = fw.closed_ports();
  ASSERT_EQ(ports.size(), 2u);
  EXPECT_EQ(ports[0].port, 23);
  EXPECT_EQ(ports[0].packets, 2u);
  EXPECT_EQ(ports[1].protocol, fw::Protocol::udp);
  ASSERT_EQ(fw.closed_senders(10).size(), 1u);
  EXPECT_EQ(fw.closed_senders(10)[0].address, client(3));
  EXPECT_EQ(fw.closed_senders(10)[0].packets, 3u);
}

TEST_P(BothFamilies, ManySendersLendNobodyTheirPackets) {
  Firewall fw = firewall("");
  for (unsigned i = 0; i < 20; ++i) traffic.udp(client(1), 1001, host(), 53);
  for (unsigned i = 2; i < 20'000; ++i) traffic.udp(client(i), 1001, host(), 53);
  traffic.into(fw);
  const auto senders = fw.closed_senders(10);
  ASSERT_FALSE(senders.empty());
  EXPECT_EQ(senders[0].address, client(1));
  EXPECT_EQ(senders[0].packets, 20u);
  for (std::size_t i = 1; i < senders.size(); ++i) EXPECT_EQ(senders[i].packets, 1u);
}

TEST_P(BothFamilies, TrustedOnesAreNotCounted) {
  Firewall fw = firewall("[trusted]\nnetworks = [\"198.18.0.0/24\", \"2001:db8:1::/48\"]\n");
  for (std::uint16_t i = 0; i < 7; ++i) traffic.connect(client(1), 1000 + i, host(), 22);
  traffic.into(fw);
  EXPECT_EQ(tally(fw, "ssh").totals.uncounted, 7u);
  EXPECT_EQ(tally(fw, "ssh").totals.refused, 0u);
}

TEST_P(BothFamilies, UdpCountsItsFlows) {
  Firewall fw = firewall(
      "[ports]\nudp = [53]\n[[limit]]\nname = \"dns\"\nports = [\"udp/53\"]\nrate = \"3/10s\"\n");
  for (std::uint16_t i = 0; i < 5; ++i) {
    for (int packet = 0; packet < 3; ++packet) traffic.udp(client(1), 1000 + i, host(), 53);
  }
  traffic.into(fw);
  const Tally& dns = tally(fw, "dns");
  EXPECT_EQ(dns.totals.admitted, 3u);
  EXPECT_EQ(dns.totals.connections, 5u);
  EXPECT_EQ(dns.totals.refused, 6u) << "every packet of a refused flow is a new attempt";
  EXPECT_EQ(dns.smallest().count, 5u);
}

TEST_P(BothFamilies, APortMayBeUsedAgain) {
  Firewall fw = firewall("");
  for (int i = 0; i < 6; ++i) {
    traffic.connect(client(1), 1000, host(), 22);
    traffic.send(client(1), 1000, host(), 22, i % 2 == 0 ? kFin | kAck : kRst);
  }
  traffic.into(fw);
  EXPECT_EQ(tally(fw, "ssh").totals.admitted, 5u);
  EXPECT_EQ(tally(fw, "ssh").totals.refused, 1u);
}

TEST_P(BothFamilies, ConcurrentOnesAreBounded) {
  Firewall fw =
      firewall("[[limit]]\nname = \"ssh\"\nports = [22]\nrate = \"1000/s\"\nconcurrent = 3\n");
  for (std::uint16_t i = 0; i < 5; ++i) traffic.connect(client(1), 1000 + i, host(), 22);
  traffic.connect(client(2), 1000, host(), 22);
  traffic.send(client(1), 1000, host(), 22, kRst);
  traffic.now += 11 * kSecond;
  traffic.connect(client(1), 1010, host(), 22);
  traffic.into(fw);
  EXPECT_EQ(tally(fw, "ssh").totals.admitted, 5u);
  EXPECT_EQ(tally(fw, "ssh").totals.refused, 2u);
  EXPECT_EQ(tally(fw, "ssh").totals.refused_concurrent, 2u);
  EXPECT_EQ(tally(fw, "ssh").smallest().concurrent, 5u);
  EXPECT_TRUE(tally(fw, "ssh").smallest().concurrent_exact);
}

TEST_P(BothFamilies, ThoseThatEndedAreNotAtOnce) {
  Firewall fw =
      firewall("[[limit]]\nname = \"ssh\"\nports = [22]\nrate = \"1000/s\"\nconcurrent = 1\n");
  for (std::uint16_t i = 0; i < 5; ++i) {
    traffic.connect(client(1), 1000 + i, host(), 22);
    if (i == 4) break;
    traffic.send(client(1), 1000 + i, host(), 22, kFin | kAck);
    traffic.send(host(), 22, client(1), 1000 + i, kAck);
    traffic.send(host(), 22, client(1), 1000 + i, kFin | kAck);
    traffic.send(client(1), 1000 + i, host(), 22, kAck);
  }
  traffic.send(client(1), 1004, host(), 22, kFin | kAck);
  traffic.send(client(1), 2000, host(), 22, kSyn);
  traffic.into(fw);
  EXPECT_EQ(tally(fw, "ssh").totals.admitted, 5u);
  EXPECT_EQ(tally(fw, "ssh").totals.refused_concurrent, 1u) << "half closed is open";
  EXPECT_EQ(tally(fw, "ssh").smallest().concurrent, 2u);
}

TEST_P(BothFamilies, MoreAtOnceThanAreRememberedAreAtLeast) {
  Firewall fw =
      firewall("[[limit]]\nname = \"ssh\"\nports = [22]\nrate = \"1000/s\"\nconcurrent = 2\n");
  for (std::uint16_t i = 0; i < 1000; ++i) traffic.connect(client(1), 1000 + i, host(), 22);
  traffic.into(fw);
  EXPECT_EQ(tally(fw, "ssh").totals.refused_concurrent, 998u);
  EXPECT_GT(tally(fw, "ssh").smallest().concurrent, 200u);
  EXPECT_FALSE(tally(fw, "ssh").smallest().concurrent_exact);
}

/// The window looks at a SYN, too: the handshakes alone would need only one.
TEST_P(BothFamilies, WhatIsEnoughIsEnoughForTheSyns) {
  const auto run = [&](const char* rate) {
    Firewall fw =
        firewall(std::string("[[limit]]\nname = \"ssh\"\nports = [22]\nrate = \"") + rate + "\"\n");
    traffic.now = kBegin;
    traffic.connect(client(1), 1000, host(), 22);
    traffic.now = kBegin + 99 * kSecond / 10;
    traffic.send(client(1), 1001, host(), 22, kSyn);
    traffic.send(host(), 22, client(1), 1001, kSyn | kAck);
    traffic.now = kBegin + 102 * kSecond / 10;
    traffic.send(client(1), 1001, host(), 22, kAck);
    traffic.into(fw);
    return std::pair(tally(fw, "ssh").totals.refused, tally(fw, "ssh").smallest().count);
  };
  EXPECT_EQ(run("1/10s"), std::pair(1uz, 2uz));
  EXPECT_EQ(run("2/10s"), std::pair(0uz, 2uz));
  EXPECT_EQ(run("20/10s"), std::pair(0uz, 2uz));
}

TEST_P(BothFamilies, AnAckMayStandBeforeTheSynAck) {
  for (const bool forged : {false, true}) {
    Firewall fw = firewall("");
    constexpr std::uint32_t kNumber = 0xfeffffff;  // of the SYN-ACK: the ACK's is one more
    for (std::uint16_t late = 0; late < 2; ++late) {
      const auto port = static_cast<std::uint16_t>(1000 + late);
      traffic.send(client(1), port, host(), 22, kSyn);
      traffic.send(host(), 22, client(1), port, kSyn | kAck);
      traffic.packets.back().sequence = kNumber;
      traffic.send(client(1), port, host(), 22, kAck);
      traffic.packets.back().acknowledged = forged ? 0x12345678 : kNumber + 1;
      if (late != 0) std::swap(traffic.packets[4], traffic.packets[5]);
    }
    traffic.into(fw);
    EXPECT_EQ(tally(fw, "ssh").totals.connections, forged ? 0u : 2u);
  }
}

/// Whoever is refused holds no place; and what the capture shows of it counts for what is enough.
TEST_P(BothFamilies, TheRefusedAreNotOpenButLiveOn) {
  const char* const policy =
      "[[limit]]\nname = \"ssh\"\nports = [22]\nrate = \"1/10s\"\nconcurrent = 1\n";
  const auto end = [&](std::uint16_t port) {
    traffic.send(client(1), port, host(), 22, kFin | kAck);
    traffic.send(host(), 22, client(1), port, kFin | kAck);
    traffic.send(client(1), port, host(), 22, kAck);
  };
  Firewall at_syn = firewall(policy);
  traffic.connect(client(1), 1000, host(), 22);
  end(1000);
  traffic.now = kBegin + 2 * kSecond;
  traffic.connect(client(1), 1001, host(), 22);  // refused by the rate, and goes on
  traffic.now = kBegin + 20 * kSecond;
  traffic.connect(client(1), 1002, host(), 22);
  traffic.into(at_syn);
  EXPECT_EQ(tally(at_syn, "ssh").totals.refused, 1u);
  EXPECT_EQ(tally(at_syn, "ssh").totals.refused_concurrent, 0u);
  EXPECT_EQ(tally(at_syn, "ssh").smallest().concurrent, 2u);

  // Refused with the handshake: for as long as it goes on, minutes later too.
  Firewall later =
      firewall("[[limit]]\nname = \"ssh\"\nports = [22]\nrate = \"1/10s\"\nconcurrent = 9\n");
  for (std::uint16_t port = 1000; port < 1002; ++port) {
    traffic.send(client(1), port, host(), 22, kSyn);
  }
  for (std::uint16_t port = 1000; port < 1002; ++port) {
    traffic.send(host(), 22, client(1), port, kSyn | kAck);
    traffic.send(client(1), port, host(), 22, kAck);
  }
  for (int i = 0; i < 50; ++i) {
    traffic.now += 10 * kSecond;
    traffic.send(client(1), 1000, host(), 22, kAck);
    traffic.send(host(), 22, client(1), 1001, kAck);
  }
  traffic.connect(client(1), 1002, host(), 22);
  traffic.into(later);
  EXPECT_EQ(tally(later, "ssh").totals.refused_shaken, 1u);
  EXPECT_EQ(tally(later, "ssh").smallest().concurrent, 3u);
  EXPECT_EQ(later.seen().unknown_tcp, 0u);
}

/// What follows is of a connection whose begin was seen, however long it takes.
TEST_P(BothFamilies, WhatFollowsADroppedOrHalfClosedOneIsKnown) {
  Firewall fw = firewall("");
  traffic.connect(client(1), 1000, host(), 8080);
  traffic.connect(client(1), 1001, host(), 443);
  traffic.send(client(1), 1001, host(), 443, kFin | kAck);
  for (int i = 0; i < 30; ++i) {
    traffic.now += 60 * kSecond;
    traffic.send(host(), 8080, client(1), 1000, kAck);
    traffic.send(host(), 443, client(1), 1001, kAck);
  }
  traffic.into(fw);
  EXPECT_EQ(fw.drops().closed, 1u);
  EXPECT_EQ(fw.seen().unknown_tcp, 0u);
}

TEST_P(BothFamilies, AfterTheClockWentBackABucketIsFull) {
  Firewall fw =
      firewall("[[limit]]\nname = \"ssh\"\nports = [22]\nrate = \"20/10s\"\nburst = 20\n");
  for (int jump = 0; jump < 2; ++jump) {
    traffic.now = kBegin - jump * 3600 * kSecond;
    for (std::uint16_t i = 0; i < 100; ++i) traffic.connect(client(1), 1000 + i, host(), 22);
  }
  traffic.into(fw);
  EXPECT_EQ(tally(fw, "ssh").smallest().burst, 100u);
  const auto refused = tally(fw, "ssh").refused_clients();
  EXPECT_LT(refused.at(0).first, refused.at(0).last);
}

TEST_P(BothFamilies, AClockThatGoesBackForgets) {
  Firewall fw = firewall("");
  for (std::uint16_t i = 0; i < 6; ++i) traffic.connect(client(1), 1000 + i, host(), 22);
  traffic.now -= 3600 * kSecond;
  for (std::uint16_t i = 0; i < 6; ++i) traffic.connect(client(1), 1000 + i, host(), 22);
  traffic.into(fw);
  EXPECT_EQ(fw.seen().clock_back, 1u);
  EXPECT_EQ(tally(fw, "ssh").totals.admitted, 10u);
  EXPECT_EQ(tally(fw, "ssh").smallest().count, 6u);
  EXPECT_EQ(fw.first(), kBegin - 3600 * kSecond + 6 * 3 * kSecond / 1000);
}

constexpr const char* kApps =
    "[apps]\nnetwork = [\"172.18.0.0/16\", \"fd00::/64\"]\n"
    "[[app]]\nname = \"wiki\"\naddresses = [\"172.18.0.2\", \"fd00::2\"]\npublishes = [8080]\n"
    "addons = [\"mysql\"]\n"
    "[[app]]\nname = \"shop\"\naddresses = [\"172.18.0.3\", \"fd00::3\"]\naddons = []\n"
    "[[addon]]\nname = \"mysql\"\naddresses = [\"172.18.0.10\", \"fd00::10\"]\nports = [3306]\n"
    "[[limit]]\nname = \"database\"\nports = [3306]\nfrom = \"apps\"\nper = \"app\"\n"
    "rate = \"4/10s\"\n";

TEST(Simulate, AppsReachTheirAddonsWithinTheirLimits) {
  Firewall fw = firewall(kApps);
  Traffic traffic;
  for (std::uint16_t i = 0; i < 3; ++i) {
    traffic.connect(ip("172.18.0.2"), 1000 + i, ip("172.18.0.10"), 3306);
    traffic.connect(ip("fd00::2"), 1000 + i, ip("fd00::10"), 3306);
  }
  traffic.send(ip("172.18.0.3"), 1000, ip("172.18.0.10"), 3306, kSyn);
  traffic.send(ip("fd00::3"), 1000, ip("fd00::2"), 80, kSyn);
  traffic.connect(ip("172.18.0.3"), 1001, ip("198.18.0.1"), 443);
  traffic.udp(ip("172.18.0.3"), 1001, kHost, 53);
  traffic.udp(ip("172.18.0.3"), 1001, kHost, 54);
  traffic.connect(ip("198.18.0.1"), 1002, kHost, 8080);
  traffic.into(fw);
  const Tally& database = tally(fw, "database");
  EXPECT_EQ(database.totals.admitted, 4u) << "one budget for both families";
  EXPECT_EQ(database.totals.connections, 6u);
  EXPECT_EQ(database.totals.clients, 1u);
  EXPECT_EQ(to_string(database.refused_clients()[0].client, database.limit(), fw.rules().policy()),
            "app wiki");
  EXPECT_EQ(fw.drops().isolated, 2u);
  EXPECT_EQ(fw.drops().closed, 1u);
}

TEST(Simulate, WhatIsOpenForSomeIsOpenForThem) {
  Firewall fw = firewall(
      "[[open]]\nports = [9100]\nprotocols = [\"gre\"]\nfrom = [\"198.18.0.1\"]\n"
      "[[open]]\nports = [9101]\ninterfaces = [\"wg0\"]\n");
  Traffic traffic;
  traffic.connect(ip("198.18.0.1"), 1000, kHost, 9100);
  traffic.connect(ip("198.18.0.2"), 1000, kHost, 9100);
  traffic.connect(ip("198.18.0.2"), 1001, kHost, 9101);
  traffic.send(ip("198.18.0.1"), 0, kHost, 0, 0, 47);
  traffic.send(ip("198.18.0.2"), 0, kHost, 0, 0, 47);
  traffic.into(fw);
  EXPECT_EQ(fw.drops().closed, 1u);
  EXPECT_EQ(fw.drops().others, 1u);
}

TEST(Simulate, PingsBeyondTheRateAreDropped) {
  Firewall fw = firewall("");
  Traffic traffic;
  for (int i = 0; i < 70; ++i) {
    traffic.send(ip("198.18.0.1"), 0, kHost, 0, 0, 1);
    traffic.packets.back().icmp_type = 8;
    traffic.send(ip("198.18.0.2"), 0, kHost, 0, 0, 1);
    traffic.packets.back().icmp_type = static_cast<std::uint8_t>(i < 50 ? 8 : 0);
  }
  traffic.into(fw);
  EXPECT_EQ(fw.drops().pings, 20u) << "each source has its own budget";
}

/// What the smallest limit is by trying all. The times are those of ACKs, each 2 ms behind its SYN,
/// which a window looks at.
std::uint64_t smallest_by_trying(const std::vector<std::deque<Nanoseconds>>& clients,
                                 Nanoseconds period) {
  for (std::uint64_t count = 1;; ++count) {
    bool refused = false;
    for (const auto& times : clients) {
      if (count <= 16) {
        for (std::size_t i = count; i < times.size(); ++i) {
          refused = refused || times[i] - 2 * kSecond / 1000 - times[i - count] < period;
        }
      } else {
        double tokens = static_cast<double>(count);
        Nanoseconds last = times.empty() ? 0 : times.front();
        for (const Nanoseconds t : times) {
          tokens = std::min(static_cast<double>(count), tokens + static_cast<double>(t - last) *
                                                                     static_cast<double>(count) /
                                                                     static_cast<double>(period));
          last = t;
          refused = refused || tokens < 1 - 1e-9;
          tokens -= 1;
        }
      }
    }
    if (!refused) return count;
  }
}

TEST(Tally, TheSmallestLimitIsTheSmallest) {
  std::mt19937_64 random(1);
  for (int round = 0; round < 60; ++round) {
    const auto per_s = static_cast<Nanoseconds>(1 + random() % 40);
    Firewall fw = firewall("[[limit]]\nname = \"ssh\"\nports = [22]\nrate = \"1000000/2s\"\n");
    Traffic traffic;
    std::vector<std::deque<Nanoseconds>> clients(5);
    for (std::uint16_t i = 0; i < 400; ++i) {
      const auto who = static_cast<std::size_t>(random() % clients.size());
      traffic.connect({Family::ipv4, ip("198.18.0.0").bits + who}, 1000 + i, kHost, 22);
      clients[who].push_back(traffic.packets.back().time);
      traffic.now +=
          kSecond / 1000 + static_cast<Nanoseconds>(random() % (2 * 1'000'000'000 / per_s));
    }
    traffic.into(fw);
    ASSERT_EQ(tally(fw, "ssh").smallest().count, smallest_by_trying(clients, 2 * kSecond))
        << "round " << round;
  }
}

TEST(Tally, WhatItSuggestsRefusesNobody) {
  std::mt19937_64 random(2);
  for (int round = 0; round < 40; ++round) {
    Traffic traffic;
    for (std::uint16_t i = 0; i < 500; ++i) {
      const Ip who{Family::ipv4, ip("198.18.0.0").bits + random() % 3};
      traffic.connect(who, 1000 + i, kHost, 22);
      traffic.now += static_cast<Nanoseconds>(random() % (kSecond / (1 + random() % 50)));
    }
    const std::vector<Packet> packets = traffic.packets;
    auto with = [&](const std::string& rate) {
      Firewall fw = firewall("[[limit]]\nname = \"ssh\"\nports = [22]\nrate = \"" + rate + "\"\n");
      fw.take(packets);
      return std::pair(tally(fw, "ssh").totals.refused, tally(fw, "ssh").smallest());
    };
    const auto [refused, smallest] = with("1/10s");
    const auto [none, same] = with(std::to_string(smallest.count) + "/10s");
    EXPECT_EQ(none, 0u) << smallest.count;
    EXPECT_EQ(same.count, smallest.count);
    if (smallest.count > 1) {
      EXPECT_GT(with(std::to_string(smallest.count - 1) + "/10s").first, 0u) << smallest.count;
    }
  }
}

TEST(Flows, AFullTableForgetsWhatWouldEndFirst) {
  auto flows = Flows::make(Flows::kSlotsMin * 4);
  ASSERT_TRUE(flows);
  const std::size_t all = Flows::kSlotsMin * 8;
  std::mt19937_64 random(3);
  std::vector<std::uint64_t> ids;
  for (std::size_t i = 0; i < all; ++i) {
    Flow flow;
    flow.id = random() | 1;
    flow.end = static_cast<Moment>(i < all / 2 ? 100 : 1000);
    flows->insert(flow, 1);
    ids.push_back(flow.id);
  }
  std::size_t early = 0, late = 0;
  for (std::size_t i = 0; i < all; ++i) {
    (i < all / 2 ? early : late) += flows->find(ids[i], 1) != nullptr ? 1u : 0u;
  }
  EXPECT_EQ(early + late + flows->forgotten(), all);
  EXPECT_GT(late, early * 10);
  EXPECT_EQ(flows->find(ids.back(), 1000), nullptr) << "its time is over";
}

TEST(Series, WidensWithoutLosing) {
  struct Count {
    std::uint64_t n = 0;
    Count& operator+=(const Count& o) {
      n += o.n;
      return *this;
    }
  };
  Series<Count> series;
  for (Nanoseconds second = 0; second < 100'000; second += 7) ++series.at(second * kSecond).n;
  EXPECT_EQ(series.width(), 32u);
  std::uint64_t all = 0;
  for (const Count& bin : series.bins()) all += bin.n;
  EXPECT_EQ(all, (100'000 + 6) / 7u);
  EXPECT_LE(series.bins().size(), Series<Count>::kBinsMax);
}

TEST(Hosts, AreFound) {
  Traffic traffic;
  for (std::uint16_t i = 0; i < 50; ++i) {
    traffic.connect({Family::ipv4, ip("198.18.0.0").bits + i}, 1000, kHost, 80);
    traffic.connect({Family::ipv6, ip("2001:db8:1::").bits + i}, 1000, kHost6, 80);
  }
  const auto frequent = find_hosts(traffic.packets, {}, {ip("192.0.2.9")}, {});
  EXPECT_EQ(frequent.addresses, (std::vector{kHost, kHost6}));
  EXPECT_EQ(frequent.why, Hosts::Why::frequency);
  EXPECT_FALSE(frequent.one_way);
  EXPECT_EQ(frequent.share, 1.0);

  const auto here = find_hosts(traffic.packets, {}, {ip("127.0.0.1"), ip("198.18.0.3")}, {});
  EXPECT_EQ(here.why, Hosts::Why::machine);

  traffic.packets[1].direction = capture::Direction::outgoing;
  EXPECT_EQ(find_hosts(traffic.packets, {}, {}, {}).addresses, std::vector{kHost});

  // One client, one host: both take part in all.
  Traffic two;
  two.connect(ip("192.0.2.1"), 1000, kHost, 80);
  EXPECT_EQ(find_hosts(two.packets, {}, {}, {}).addresses, std::vector{kHost});
  EXPECT_FALSE(find_hosts(two.packets, {}, {}, {}).rival);
  two.packets.clear();
  two.udp(ip("192.0.2.1"), 53, kHost, 53);
  EXPECT_EQ(find_hosts(two.packets, {}, {}, {}).rival, kHost);

  // A broadcast address has most packets, and never sends.
  Traffic chatter;
  chatter.connect(ip("192.0.2.9"), 1000, kHost, 80);
  for (std::uint16_t i = 0; i < 50; ++i) {
    chatter.udp({Family::ipv4, ip("198.18.0.0").bits + i}, 1900, ip("203.0.113.255"), 1900);
  }
  EXPECT_EQ(find_hosts(chatter.packets, {}, {}, {}).addresses, std::vector{kHost});
  Traffic loopback;
  loopback.connect(ip("127.0.0.1"), 1000, ip("127.0.0.1"), 80);
  EXPECT_TRUE(find_hosts(loopback.packets, {}, {}, {}).addresses.empty());

  const auto given = find_hosts(traffic.packets, {ip("198.18.0.4")}, {}, {});
  EXPECT_EQ(given.addresses, std::vector{ip("198.18.0.4")});
  EXPECT_LT(given.share, 0.1);
}

TEST(Compare, TellsWhatAnotherPolicyChanges) {
  Traffic traffic;
  for (std::uint16_t i = 0; i < 7; ++i) {
    traffic.connect(ip("198.18.0.1"), 1000 + i, kHost, 22);
    traffic.connect(ip("198.18.0.2"), 1000 + i, kHost, 443);
    traffic.send(ip("198.18.0.2"), 1000 + i, kHost, 25, kSyn);
  }
  Firewall before = firewall("");
  Firewall after = firewall(
      "[ports]\ntcp = [22, 25, 443]\n[[limit]]\nname = \"ssh\"\nports = [22]\nrate = \"9/10s\"\n"
      "[[limit]]\nname = \"web\"\nports = [443]\nrate = \"6/10s\"\n");
  before.take(traffic.packets);
  after.take(traffic.packets);
  const Comparison c = compare(before, after);
  ASSERT_EQ(c.clients.size(), 2u);
  EXPECT_EQ(c.clients[0].client, "198.18.0.1");
  EXPECT_EQ(c.clients[0].before, 2u);
  EXPECT_EQ(c.clients[0].after, 0u);
  EXPECT_EQ(c.clients[1].client, "198.18.0.2");
  EXPECT_EQ(c.clients[1].after, 1u);
  ASSERT_EQ(c.ports.size(), 1u);
  EXPECT_EQ(c.ports[0].port, 25);
  EXPECT_EQ(c.ports[0].before, 7u);
}

}  // namespace
}  // namespace simulate
