// What is open and what is closed (P1, P2), and what every host needs to live on a network.
// SPDX-License-Identifier: GPL-2.0-or-later
#include <algorithm>
#include <set>

#include <fmt/format.h>

#include "tests/lab/family.hpp"

namespace lab {
namespace {

using PortSet = std::set<std::uint16_t>;

class Ports : public OverFamily {
 protected:
  /// Every TCP port that answers a SYN in any way.
  PortSet answering() {
    RawLink link(net);
    const std::uint16_t source = ++scans_;
    PortSet out;
    const auto note = [&](const std::vector<Packet>& packets) {
      for (const Packet& p : packets) {
        if (p.protocol == kTcp && p.port_to == source) out.insert(p.port_from);
      }
    };
    for (unsigned first = 1; first < 65'536; first += 4096) {
      std::vector<Packet> syns;
      for (unsigned port = first; port < std::min(first + 4096, 65'536u); ++port) {
        const auto to = static_cast<std::uint16_t>(port);
        syns.push_back({stranger(family(), 7), host(), kTcp, source, to, kSyn, 1, 0});
      }
      link.send(syns);
      note(link.receive(10ms));
    }
    for (auto more = link.receive(300ms); !more.empty(); more = link.receive(300ms)) note(more);
    return out;
  }

  /// Echo replies to as many requests, sent at once.
  std::size_t echo_replies(std::size_t requests, bool one_identifier) {
    const bool v4 = family() == Family::ipv4;
    RawLink link(net);
    std::vector<Packet> pings;
    for (std::size_t i = 0; i < requests; ++i) {
      const auto id = static_cast<std::uint16_t>(one_identifier ? 7 : i + 1000);
      pings.push_back({stranger(family(), 7), host(), v4 ? kIcmp : kIcmp6, id,
                       static_cast<std::uint16_t>(v4 ? 8 : 128), 0, static_cast<std::uint32_t>(i),
                       0});
    }
    link.send(pings);
    std::size_t replies = 0;
    for (auto more = link.receive(300ms); !more.empty(); more = link.receive(300ms)) {
      for (const Packet& p : more) replies += p.port_to == (v4 ? 0 : 129);
    }
    return replies;
  }

 private:
  std::uint16_t scans_ = 5000;
};
BOTH_FAMILIES(Ports);

TEST_P(Ports, DefaultPolicyOpensFourTcpPortsAndNoOther) {
  const Server server(net.host, {22, 80, 202, 443, 8080});
  EXPECT_EQ(answering().size(), 65'535u) << "a host without firewall answers on every port";
  fw.apply();
  EXPECT_EQ(answering(), (PortSet{22, 80, 202, 443}));
}

TEST_P(Ports, MailOpensFourMoreAndNoOther) {
  fw.apply("[mail]\nenabled = true\n");
  EXPECT_EQ(answering(), (PortSet{22, 25, 80, 202, 443, 587, 993, 4190}));
  fw.apply("[mail]\nenabled = false\n");
  EXPECT_EQ(answering(), (PortSet{22, 80, 202, 443}));
}

TEST_P(Ports, ThePolicysPortsAndRangesAreOpenHoweverMany) {
  std::string list;
  PortSet wanted{22};
  for (std::uint16_t port = 1001; port < 3000; port = static_cast<std::uint16_t>(port + 7)) {
    wanted.insert(port);
    list += fmt::format("{}, ", port);
  }
  for (std::uint16_t port = 8000; port <= 8100; ++port) wanted.insert(port);
  fw.apply(fmt::format("[ports]\ntcp = [22, {}\"8000-8100\", \"8050-8100\"]\n", list));
  EXPECT_EQ(answering(), wanted);
}

TEST_P(Ports, UdpIsClosedButForThePolicysPorts) {
  const Server server(net.host, {}, {53, 5000, 6000, 6010, 6011});
  fw.apply();
  for (const auto port : PortList{53, 5000, 6000}) {
    EXPECT_EQ(from(1).udp(host(), port, kShort), Outcome::timed_out) << port;
  }
  fw.apply("[ports]\nudp = [5000, \"6000-6010\"]\n");
  for (const auto port : PortList{5000, 6000, 6010}) {
    EXPECT_EQ(from(1).udp(host(), port), Outcome::served) << port;
  }
  for (const auto port : PortList{53, 6011}) {
    EXPECT_EQ(from(1).udp(host(), port, kShort), Outcome::timed_out) << port;
  }
}

TEST_P(Ports, AnAppsAddressDoesNotHelpAnOutsider) {
  // Apps may ask the host for names; so far nobody told the firewall on which device apps are.
  const Server server(net.host, {}, {53});
  AppBridge bridge(net);
  fw.apply("[apps]\nnetwork = [\"172.18.0.0/16\", \"2001:db8:172::/64\"]\n");
  RawLink link(net);
  link.send({{app_address(family(), 2), host(), kUdp, 5555, 53}});
  EXPECT_FALSE(eventually([&] { return server.received(53) > 0; }, 300ms));
}

TEST_P(Ports, OddPacketsGetNoAnswerFromOpenPorts) {
  fw.apply();
  RawLink link(net);
  for (const auto flags :
       std::vector<std::uint8_t>{0, kFin, kAck, kRst, kFin | kPsh | 32, kSyn | kFin, kSyn | kRst,
                                 kSyn | kAck, kAck | kPsh}) {
    link.send({{stranger(family(), 1), host(), kTcp, 5000, 80, flags, 1, 1}});
    const auto answers = link.receive(100ms);
    EXPECT_TRUE(std::none_of(answers.begin(), answers.end(),
                             [](const Packet& p) { return p.protocol == kTcp; }))
        << "TCP flags " << static_cast<int>(flags);
  }
}

TEST_P(Ports, PingIsAnswered) {
  fw.apply();
  EXPECT_EQ(echo_replies(1, true), 1u);
}

TEST_P(Ports, PingsOfOneAreLimitedToFiftyASecondHoweverManyTheirIdentifiers) {
  fw.apply();
  const auto begin = Clock::now();
  const std::size_t replies = echo_replies(1000, false);
  const double passed = seconds_of(Clock::now() - begin);
  EXPECT_GE(replies, 50u);
  EXPECT_LE(static_cast<double>(replies), 50 + 50 * passed + 1) << "in " << passed << " s";
}

TEST_P(Ports, APingFloodOfOneFlowIsLimitedToFiftyASecond) {
  fw.apply();
  EXPECT_EQ(echo_replies(1, true), 1u) << "after an answer the flow counts as established";
  const auto begin = Clock::now();
  const std::size_t replies = echo_replies(1000, true);
  const double passed = seconds_of(Clock::now() - begin);
  EXPECT_GE(replies, 49u);
  EXPECT_LE(static_cast<double>(replies), 50 + 50 * passed + 1) << "in " << passed << " s";
}

TEST_P(Ports, NeighboursAreStillFound) {
  const Server server(net.host, {80});
  const Server peer(net.outside, {80});
  fw.apply();
  const Client host_client(net.host, host());
  for (int i = 0; i < 2; ++i) {
    ip_commands(net.host, "neighbour flush dev eth0\n");
    ip_commands(net.outside, "neighbour flush dev eth0\n");
    EXPECT_EQ(Client(net.outside, gateway_address(family())).tcp(host(), 80), Outcome::served);
    ip_commands(net.host, "neighbour flush dev eth0\n");
    ip_commands(net.outside, "neighbour flush dev eth0\n");
    EXPECT_EQ(host_client.tcp(gateway_address(family()), 80), Outcome::served);
  }
}

TEST_P(Ports, LoopbackIsFreeAndNeverCounted) {
  const Server server(net.host, {22, 8080}, {5000});
  fw.apply();
  const Ip loopback = *fw::parse_ip(family() == Family::ipv4 ? "127.0.0.1" : "::1");
  for (const Ip own : {loopback, host()}) {
    const Client self(net.host, own);
    EXPECT_EQ(served(self.tries(own, {22}, {20})), 20u);
    EXPECT_EQ(self.tcp(own, 8080), Outcome::served);
    EXPECT_EQ(self.udp(own, 5000), Outcome::served);
  }
  EXPECT_EQ(counter(net.host, "ssh.accepted"), 0u);
}

TEST_P(Ports, TheHostReachesOut) {
  const Server peer(net.outside, {22, 8080}, {5000});
  fw.apply();
  const Client host_client(net.host, host());
  EXPECT_EQ(served(host_client.tries(gateway_address(family()), {8080, 22}, {20})), 20u);
  EXPECT_EQ(host_client.udp(gateway_address(family()), 5000), Outcome::served);
  EXPECT_EQ(counter(net.host, "ssh.accepted"), 0u) << "limits are for who comes in";
}

TEST_P(Ports, ErrorsAboutThePathsMtuPass) {
  // far -- 1280 bytes at most -- outside -- host: nobody but the ICMP error tells the host.
  const Namespace far;
  const bool v4 = family() == Family::ipv4;
  far.sysctl("ipv6/conf/default/accept_dad", "0");
  net.outside.sysctl("ipv4/ip_forward", "1");
  net.outside.sysctl("ipv6/conf/all/forwarding", "1");
  ip_commands(net.outside, fmt::format("link add far0 mtu 1280 type veth peer name eth0 netns {}\n"
                                       "address add 198.18.130.1/24 dev far0\n"
                                       "address add 2001:db8:77::1/64 dev far0 nodad\n"
                                       "link set far0 up\n",
                                       far.path()));
  ip_commands(far,
              "address add 198.18.130.2/24 dev eth0\n"
              "address add 2001:db8:77::2/64 dev eth0 nodad\n"
              "link set eth0 up\n"
              "route add default via 198.18.130.1\n"
              "route add default via 2001:db8:77::1\n");
  const Server server(net.host, {80});
  fw.apply();
  const Client client(far, *fw::parse_ip(v4 ? "198.18.130.2" : "2001:db8:77::2"));
  Session session = client.session(host(), 80);
  EXPECT_TRUE(session.echoes(5s, 20'000)) << "full-sized answers never arrive";
}

}  // namespace
}  // namespace lab
