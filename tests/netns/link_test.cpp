// What a host needs on its own link goes on: addresses, multicast, ping (N1).
// SPDX-License-Identifier: GPL-2.0-or-later
#include <algorithm>

#include <arpa/inet.h>
#include <fmt/format.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include "tests/lab/apps.hpp"
#include "tests/lab/family.hpp"

namespace lab {
namespace {

Ip ip(const char* text) { return *fw::parse_ip(text); }

class OnTheLink : public OverFamily {
 protected:
  bool v4() const { return family() == Family::ipv4; }

  /// A member of a multicast group, for as long as it lives, that listens on a UDP port.
  Fd join(Ip group, std::uint16_t port) const {
    return net.host.in([&] {
      Fd fd(::socket(v4() ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0));
      sockaddr_in6 any{};  // of IPv4 what matters stands at the same places
      any.sin6_family = v4() ? AF_INET : AF_INET6;
      any.sin6_port = htons(port);
      EXPECT_EQ(::bind(fd.get(), reinterpret_cast<const sockaddr*>(&any),
                       v4() ? sizeof(sockaddr_in) : sizeof any),
                0);
      const auto device = static_cast<int>(if_nametoindex("eth0"));
      const auto bytes = to_bytes(group);
      if (v4()) {
        ip_mreqn join{};
        std::copy(bytes.begin(), bytes.end(), reinterpret_cast<char*>(&join.imr_multiaddr));
        join.imr_ifindex = device;
        EXPECT_EQ(::setsockopt(fd.get(), IPPROTO_IP, IP_ADD_MEMBERSHIP, &join, sizeof join), 0);
      } else {
        ipv6_mreq join{};
        std::copy(bytes.begin(), bytes.end(), reinterpret_cast<char*>(&join.ipv6mr_multiaddr));
        join.ipv6mr_interface = static_cast<unsigned>(device);
        EXPECT_EQ(::setsockopt(fd.get(), IPPROTO_IPV6, IPV6_JOIN_GROUP, &join, sizeof join), 0);
      }
      return fd;
    });
  }

  /// Echo replies to as many requests of a source, sent at once.
  std::size_t echo_replies(RawLink& link, Ip from, std::size_t requests) const {
    std::vector<Packet> pings;
    for (std::size_t i = 0; i < requests; ++i) {
      pings.push_back({from, host(), v4() ? kIcmp : kIcmp6, 7,
                       static_cast<std::uint16_t>(v4() ? 8 : 128), 0, static_cast<std::uint32_t>(i),
                       0});
    }
    link.send(pings);
    std::size_t replies = 0;
    for (auto more = link.receive(300ms); !more.empty(); more = link.receive(300ms)) {
      for (const Packet& p : more) replies += p.port_to == (v4() ? 0 : 129) && p.to == from;
    }
    return replies;
  }
};
BOTH_FAMILIES(OnTheLink);

TEST_P(OnTheLink, APingFloodOfOneLeavesTheOthersTheirAnswers) {
  fw.apply();
  RawLink link(net);
  EXPECT_GE(echo_replies(link, stranger(family(), 7), 1000), 50u);
  for (unsigned n = 20; n < 30; ++n) {
    EXPECT_EQ(echo_replies(link, stranger(family(), n), 1), 1u) << "stranger " << n;
  }
  EXPECT_GT(counter(net.host, "ping.refused"), 0u);
}

TEST_P(OnTheLink, WhoIsTrustedPingsAsOftenAsItLikes) {
  fw.apply(fmt::format("[trusted]\nnetworks = [\"{}\"]\n", to_string(stranger(family(), 7))));
  RawLink link(net);
  EXPECT_EQ(echo_replies(link, stranger(family(), 7), 500), 500u);
}

TEST_P(OnTheLink, TheLimitOfPingsIsThePolicys) {
  fw.apply("[[limit]]\nname = \"ping\"\nrate = \"3/10m\"\n");
  RawLink link(net);
  EXPECT_EQ(echo_replies(link, stranger(family(), 7), 20), 3u) << "one flow, three packets";
  EXPECT_EQ(echo_replies(link, stranger(family(), 8), 20), 3u);
  fw.apply("[[limit]]\nname = \"ping\"\nenabled = false\n");
  EXPECT_EQ(echo_replies(link, stranger(family(), 7), 500), 500u);
}

TEST_P(OnTheLink, QuestionsAboutMulticastGroupsAreAnswered) {
  // Whoever does not answer loses its groups at the next switch that looks into IGMP or MLD.
  const Ip group = v4() ? ip("239.1.2.3") : ip("ff15::1234");
  const Fd member = join(group, 5000);
  fw.apply();
  RawLink link(net);
  // The older version of each protocol: a report of that kind is an answer to nothing but this.
  std::string query;
  if (v4()) {
    query = std::string("\x11\x01\0\0", 4);
  } else {
    query = std::string("\x82\0\0\0\0\x64\0\0", 8);
  }
  for (const std::uint8_t byte : to_bytes(group)) query += static_cast<char>(byte);
  const Ip router = v4() ? gateway_address(family()) : ip("fe80::77");
  const std::string frame = link.frame_of({router, group, v4() ? kIgmp : kIcmp6, query, 1});
  const std::uint16_t report = v4() ? 0x16 : 131;
  EXPECT_TRUE(eventually([&] {
    link.send(Frames{frame});
    const auto came = link.receive(300ms);
    return std::ranges::any_of(came, [&](const Packet& p) {
      return p.protocol == (v4() ? kIgmp : kIcmp6) && p.port_to == report && p.to == group;
    });
  }));
}

TEST_P(OnTheLink, AnswersOfDhcpServersAreKnownByWhereTheyGo) {
  const std::uint16_t port = v4() ? 68 : 546;
  const Server client(net.host, {}, {port});
  ip_commands(net.host, "address add fe80::1/64 dev eth0 nodad\n");
  fw.apply("[trusted]\nnetworks = [\"192.0.2.1\"]\n");  // who may still log in in a panic
  RawLink link(net);
  const std::uint16_t from_port = v4() ? 67 : 547;
  const Ip elsewhere = stranger(family(), 1);
  link.send({{elsewhere, host(), kUdp, from_port, port}});
  link.send({{elsewhere, v4() ? ip("255.255.255.255") : ip("fe80::1"), kUdp, from_port, port}});
  // Of IPv4 some answer to the address that they give; of IPv6 only on the link.
  const std::size_t heard = v4() ? 2 : 1;
  EXPECT_TRUE(eventually([&] { return client.received(port) == heard; }));
  EXPECT_EQ(counter(net.host, "closed"), 2 - heard);
  fw.must({"panic", "on"});
  link.send({{elsewhere, v4() ? ip("255.255.255.255") : ip("fe80::1"), kUdp,
              static_cast<std::uint16_t>(from_port + 1), port}});
  EXPECT_TRUE(eventually([&] { return client.received(port) == heard + 1; }));
}

/// The questions of discovery, by the sockets that ask, and its answers.
class Discovery : public OnTheLink {
 protected:
  Discovery() {
    ip_commands(net.host,
                "address add 192.168.7.1/24 dev eth0\naddress add fe80::1/64 dev eth0 nodad\n");
  }
  /// Asks the group from that socket.
  void ask(const Fd& fd, Ip whom, std::uint16_t port) const {
    net.host.in([&] {
      const auto device = static_cast<int>(if_nametoindex("eth0"));
      const auto bytes = to_bytes(whom);
      const int off = 0;  // the host does not hear itself
      ASSERT_EQ(::setsockopt(fd.get(), v4() ? IPPROTO_IP : IPPROTO_IPV6,
                             v4() ? IP_MULTICAST_LOOP : IPV6_MULTICAST_LOOP, &off, sizeof off),
                0);
      if (v4()) {
        const ip_mreqn by{{}, {}, device};
        ASSERT_EQ(::setsockopt(fd.get(), IPPROTO_IP, IP_MULTICAST_IF, &by, sizeof by), 0);
        sockaddr_in to{};
        to.sin_family = AF_INET;
        to.sin_port = htons(port);
        std::copy(bytes.begin(), bytes.end(), reinterpret_cast<char*>(&to.sin_addr));
        ASSERT_EQ(::sendto(fd.get(), "?", 1, 0, reinterpret_cast<sockaddr*>(&to), sizeof to), 1);
      } else {
        ASSERT_EQ(::setsockopt(fd.get(), IPPROTO_IPV6, IPV6_MULTICAST_IF, &device, sizeof device),
                  0);
        sockaddr_in6 to{};
        to.sin6_family = AF_INET6;
        to.sin6_port = htons(port);
        std::copy(bytes.begin(), bytes.end(), reinterpret_cast<char*>(&to.sin6_addr));
        ASSERT_EQ(::sendto(fd.get(), "?", 1, 0, reinterpret_cast<sockaddr*>(&to), sizeof to), 1);
      }
    });
  }
  /// Is something there to be read? Reads it.
  static bool hears(const Fd& fd) {
    char byte = 0;
    return eventually([&] { return ::recv(fd.get(), &byte, 1, MSG_DONTWAIT) >= 0; });
  }
  std::uint64_t closed() const { return counter(net.host, "closed"); }

  const Ip own = v4() ? ip("192.168.7.1") : ip("fe80::1");
  const Ip printer = v4() ? ip("192.168.7.2") : ip("fe80::2");
  const Ip group = v4() ? ip("239.255.255.250") : ip("ff02::c");
};
BOTH_FAMILIES(Discovery);

TEST_P(Discovery, HearsAnnouncementsAndWhatItAskedFor) {
  const Fd member = join(group, 1900);
  const Fd asks = join(group, 40'000);
  RawLink link(net);
  const Packet answer{printer, own, kUdp, 1900, 40'000};
  const Packet from_another_port{printer, own, kUdp, 1901, 40'000};
  const std::vector<Packet> strange{{stranger(family(), 1), host(), kUdp, 1900, 40'000},
                                    {printer, own, kUdp, 1900, 40'001},
                                    {printer, own, kUdp, 1900, 5'000}};
  fw.apply();
  ask(asks, group, 1900);
  link.send({answer, {printer, group, kUdp, 50'000, 1900}});
  EXPECT_TRUE(eventually([&] { return closed() == 2; })) << "it is off";
  fw.apply("[ports]\ndiscovery = true\n");
  link.send({answer, from_another_port});
  EXPECT_TRUE(eventually([&] { return closed() == 4; })) << "nobody was asked";
  link.send({{printer, group, kUdp, 50'000, 1900}});
  EXPECT_TRUE(hears(member)) << "an announcement";
  ask(asks, group, 1900);
  link.send({answer});
  EXPECT_TRUE(hears(asks));
  link.send({from_another_port});
  EXPECT_TRUE(hears(asks));
  link.send(strange);
  EXPECT_TRUE(eventually([&] { return closed() == 7; })) << "and nothing else";
}

TEST_P(Discovery, WhoAsksFromThePortOfTheProtocolIsAnsweredToo) {
  const Ip mdns = v4() ? ip("224.0.0.251") : ip("ff02::fb");
  fw.apply("[ports]\ndiscovery = true\n");
  RawLink link(net);
  for (const auto& [whom, port] :
       {std::pair{group, std::uint16_t{1900}}, {mdns, std::uint16_t{5353}}}) {
    const Fd asks = join(whom, port);
    const Packet answer{printer, own, kUdp, port, port};
    const std::uint64_t before = closed();
    link.send({answer});
    EXPECT_TRUE(eventually([&] { return closed() == before + 1; })) << port;
    ask(asks, whom, port);
    link.send({answer});
    EXPECT_TRUE(hears(asks)) << port;
  }
}

TEST(Dhcp, AServerThatAnswersFromAGlobalAddressGivesAnIpv6Address) {
  Network net;
  const Firewall fw(net.host);
  const TempDir dir;
  // dnsmasq answers from its link-local address; some servers of large networks do not.
  nft(net.outside, R"(
table ip6 lab {
  chain output {
    type filter hook output priority mangle;
    udp sport 547 ip6 saddr set 2001:db8:ffff::2
  }
}
)");
  fw.apply();
  const Process server(
      net.outside,
      {"dnsmasq", "--keep-in-foreground", "--port=0", "--conf-file=/dev/null", "--interface=eth0",
       "--user=root", "--pid-file=" + (dir / "pid"), "--dhcp-leasefile=" + (dir / "server"),
       "--dhcp-range=2001:db8:ffff::1000,2001:db8:ffff::1fff,64,1h"});
  const Process dhclient(net.host, {"dhclient", "-6", "-d", "-1", "-sf", "/bin/true", "-lf",
                                    dir / "lease", "-pf", dir / "client", "eth0"});
  EXPECT_TRUE(eventually(
      [&] {
        std::string lease;
        if (::access((dir / "lease").c_str(), R_OK) == 0) lease = read_file(dir / "lease");
        return lease.find("iaaddr 2001:db8:ffff::1") != std::string::npos;
      },
      60s))
      << dhclient.err_so_far() << server.err_so_far();
}

/// Clients behind a translator share its prefix, and nothing else.
class Translated : public testing::TestWithParam<std::string> {
 protected:
  Translated() {
    ip_commands(net.outside, fmt::format("route add local {} dev lo\n", GetParam()));
    ip_commands(net.host, fmt::format("route add {} via 2001:db8:ffff::2\n", GetParam()));
  }
  Client from(unsigned n) const {
    const auto network = *fw::parse_ip_range(GetParam());
    return {net.outside, {Family::ipv6, network.first + 0xc6120000u + n}};
  }

  Network net;
  Firewall fw{net.host};
  Server server{net.host, {22, 80}, {}};
};
INSTANTIATE_TEST_SUITE_P(, Translated,
                         testing::Values("64:ff9b::/96", "64:ff9b:1::/48", "2001:db8:64::/96"),
                         [](const auto& prefix) { return fmt::format("Prefix{}", prefix.index); });

TEST_P(Translated, EachIsAClientOfItsOwn) {
  fw.apply(
      "[advanced]\ntranslated = [\"64:ff9b::/96\", \"64:ff9b:1::/48\", "
      "\"2001:db8:64::/96\"]\n" +
      limit_toml("web", "80", "outside", "ip", "20/10m"));
  EXPECT_EQ(served(from(1).tries(host_address(Family::ipv6), {22}, {8, 0s, kShort})), 5u);
  EXPECT_EQ(served(from(2).tries(host_address(Family::ipv6), {22}, {8, 0s, kShort})), 5u);
  EXPECT_EQ(served(from(1).tries(host_address(Family::ipv6), {80}, {25, 0s, kShort})), 20u);
  EXPECT_EQ(served(from(2).tries(host_address(Family::ipv6), {80}, {25, 0s, kShort})), 20u);
}

TEST_P(Translated, TheUsualPrefixesAreKnownFromTheBeginning) {
  fw.apply();
  const bool usual = GetParam().starts_with("64:");
  EXPECT_EQ(served(from(1).tries(host_address(Family::ipv6), {22}, {6, 0s, kShort})), 5u);
  EXPECT_EQ(served(from(2).tries(host_address(Family::ipv6), {22}, {6, 0s, kShort})),
            usual ? 5u : 0u);
}

}  // namespace
}  // namespace lab
