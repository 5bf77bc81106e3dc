// Blocks that would cut the host off: refused, whoever asks; and what goes on when they are forced.
// SPDX-License-Identifier: GPL-2.0-or-later
#include <numeric>

#include <boost/json.hpp>

#include "tests/lab/apps.hpp"
#include "tests/lab/daemon.hpp"
#include "tests/lab/family.hpp"

namespace lab {
namespace {

namespace json = boost::json;

Ip known_ip(const std::string& text) { return fw::parse_ip(text).value(); }

class Guard : public OverFamily {
 protected:
  bool v4() const { return family() == Family::ipv4; }
  std::string text(Ip address) const { return to_string(address); }
  std::size_t blocks() const { return fw.json({"blocks"}).at("blocks").as_array().size(); }
  /// A neighbour of the host's, who is not its router.
  Ip neighbour() const { return known_ip(v4() ? "203.0.113.99" : "2001:db8:ffff::99"); }
  /// The outside has that address too.
  void own_outside(Ip address) const {
    ip_commands(net.outside, "address add " + text(address) + (v4() ? "/24" : "/64 nodad") +
                                 std::string(" dev eth0\n"));
  }

  Server server{net.host, {22, 80}, {68, 546, 5000}};
};
BOTH_FAMILIES(Guard);

TEST_P(Guard, RefusesTheSameAtTheCommandLineAndTheSocket) {
  AppBridge bridge(net);
  (void)bridge.add(2);
  ip_commands(net.host, R"(
link add other0 type bridge
address add 172.29.0.1/16 dev other0
address add 2001:db8:29::1/64 dev other0 nodad
link set other0 up
link add inner0 type veth peer name inner1
link set inner0 master other0
route add default via 203.0.113.8 table 100
route add default via 2001:db8:ffff::8 table 100
route add default via fe80::77 dev eth0 proto ra
)");
  fw.apply(
      "[ports]\ntcp = [22, 80]\n[trusted]\nnetworks = [\"198.18.9.0/24\", \"2001:db8:9::/48\"]\n" +
      apps_toml());
  const Daemon daemon(fw);
  std::vector<std::pair<std::string, std::string>> all{
      {text(host()), "is an address of this host (eth0)"},
      {text(bridge_address(family())), "is an address of this host (br0)"},
      {text(gateway_address(family())), "is a router of this host (eth0)"},
      {text(app_address(family(), 9)), "is in the app network "}};
  for (const auto& one :
       v4() ? std::vector<
                  std::pair<std::string,
                            std::string>>{{"127.0.0.1", "is this host"},
                                          {"0.0.0.0/0", "198.18.9.0/24"},
                                          {"12.0.0.0/7", "is wider than a /8"},
                                          {"203.0.113.8", "is a router of this host (eth0)"},
                                          {"203.0.113.0/30",
                                           "holds 203.0.113.1, an address of this host (eth0)"},
                                          {"203.0.113.128/25",
                                           "is in this host's own link 203.0.113.0/24 (eth0)"},
                                          {"172.16.0.0/12",
                                           "holds 172.18.0.1, an address of this host (br0)"},
                                          {"172.29.7.7",
                                           "is in the containers' network 172.29.0.0/16 (other0)"},
                                          {"169.254.1.0/24", "is in the link-local network"},
                                          {"198.18.0.0/16",
                                           "holds addresses of the trusted network"}}
            : std::vector<std::pair<std::string, std::string>>{
                  {"::1", "is this host"},
                  {"::/0", "2001:db8:9::/48"},
                  {"2400::/15", "is wider than a /16"},
                  {"2001:db8:ffff::8", "is a router of this host (eth0)"},
                  {"fe80::77", "is a router of this host (eth0)"},
                  {"2001:db8:ffff::/64", "holds 2001:db8:ffff::1, an address of this host (eth0)"},
                  {"2001:db8:ffff::8000/113", "is in this host's own link 2001:db8:ffff::/64"},
                  {"2001:db8:29::7", "is in the containers' network 2001:db8:29::/64 (other0)"},
                  {"fe80::/64", "an address of this host"},
                  {"fe80::4:0/112", "is in the link-local network fe80::/10"},
                  {"2001:db8:8::/47", "holds addresses of the trusted network"}}) {
    all.push_back(one);
  }
  for (const auto& [what, why] : all) {
    for (const char* socket : {"/nonexistent", daemon.path().c_str()}) {
      const Output output = fw.run({"--socket", socket, "block", "198.18.0.3", what});
      EXPECT_EQ(output.exit, 1) << to_string(output);
      EXPECT_NE(output.err.find(why), std::string::npos) << what << ": " << to_string(output);
      EXPECT_NE(output.err.find("use --force"), std::string::npos) << to_string(output);
    }
    const json::object answer =
        daemon.ask(json::object{{"do", "block"}, {"addresses", {"198.18.0.3", what}}});
    EXPECT_EQ(answer.at("ok"), false) << what;
    const std::string error(answer.at("error").at("what").as_string());
    EXPECT_NE(error.find(why), std::string::npos) << what << ": " << error;
    EXPECT_EQ(answer.at("objections").at(0).at("address"), json::value(what));
    EXPECT_EQ(blocks(), 0u) << what;
  }
  // What is refused can be insisted on, by both ways.
  const std::string what = text(app_address(family(), 9));
  fw.must({"--socket", daemon.path(), "block", "--force", what});
  fw.must({"unblock", what});
  EXPECT_EQ(daemon.ask({{"do", "block"}, {"addresses", {what}}, {"force", true}}).at("ok"), true);
  EXPECT_EQ(daemon.ask({{"do", "block"}, {"addresses", {text(neighbour())}}}).at("ok"), true)
      << "a neighbour alone";
  EXPECT_EQ(blocks(), 2u);
}

/// A program that runs in an admin's session says whose it is.
TEST_P(Guard, KeepsTheSessionOfWhoAsksTheSocket) {
  fw.apply();
  const Daemon daemon(fw);
  const auto ask = [&](const std::string& remote) {
    return daemon.ask({{"do", "block"},
                       {"addresses", {v4() ? "198.18.1.0/24" : "2001:db8:18:100::/56"}},
                       {"by", json::object{{"user", "ada"}, {"remote", remote}}}});
  };
  const json::object refused = ask(bracketed(client(family(), 0x142)) + ":51234");
  EXPECT_EQ(refused.at("ok"), false);
  EXPECT_NE(refused.at("error").at("what").as_string().find("this SSH session"),
            json::string::npos);
  EXPECT_EQ(ask(bracketed(client(family(), 0x242)) + ":51234").at("ok"), true);
}

/// With the same program, for those who know a client by one address of it (fail2ban).
TEST_P(Guard, AClientsNetworkIsBlockedButOfANeighbourTheAddress) {
  if (v4()) return;
  fw.apply();
  const Daemon daemon(fw);
  const auto ranges = [&] {
    std::string out;
    const json::value told = fw.json({"blocks"});
    for (const json::value& block : told.at("blocks").as_array()) {
      out += std::string(block.at("address").as_string()) + " ";
    }
    return out;
  };
  const json::array addresses{"2001:db8:18:1::7", "2001:db8:ffff::99", "fe80::99", "198.18.0.1"};
  const std::string all = "198.18.0.1 2001:db8:18:1::/64 2001:db8:ffff::99 fe80::99 ";
  const std::vector<std::string> words{"--prefix6",         "64",       "2001:db8:18:1::7",
                                       "2001:db8:ffff::99", "fe80::99", "198.18.0.1"};
  const auto command = [&](std::vector<std::string> first) {
    first.insert(first.end(), words.begin(), words.end());
    return first;
  };
  EXPECT_EQ(daemon.ask({{"do", "block"}, {"addresses", addresses}, {"prefix6", 64}}).at("ok"),
            true);
  EXPECT_EQ(ranges(), all);
  EXPECT_EQ(daemon.ask({{"do", "unblock"}, {"addresses", addresses}, {"prefix6", 64}})
                .at("not_found")
                .as_array()
                .size(),
            0u);
  EXPECT_EQ(ranges(), "");
  for (const char* socket : {"/nonexistent", daemon.path().c_str()}) {
    fw.must(command({"--socket", socket, "block"}));
    EXPECT_EQ(ranges(), all);
    fw.must(command({"--socket", socket, "unblock"}));
    EXPECT_EQ(ranges(), "");
  }
}

constexpr const char* kOffendersOnLink =
    "[ports]\ntcp = [22, 80]\n[[limit]]\nname = \"ssh\"\nports = [22]\nrate = \"5/10s\"\n"
    "prefix4 = 24\n[[offender]]\nafter = \"20 refused/10m\"\nblock = \"1h\"\n";

TEST_P(Guard, OnTheHostsOwnLinkAnOffenderIsOneAddress) {
  own_outside(neighbour());
  fw.apply(kOffendersOnLink);
  const Daemon daemon(fw);
  EXPECT_LE(served(Client(net.outside, neighbour()).tries(host(), {22}, {40, 20ms, 2s})), 5u);
  ASSERT_TRUE(eventually([&] { return blocks() == 1; }));
  EXPECT_EQ(fw.json({"blocks"}).at("blocks").at(0).at("address"), json::value(text(neighbour())));
  EXPECT_EQ(Client(net.outside, neighbour()).tcp(host(), 80, kShort), Outcome::timed_out);
  EXPECT_EQ(Client(net.outside, gateway_address(family())).tcp(host(), 80), Outcome::served);
}

TEST_P(Guard, TheRouterIsNoOffender) {
  fw.apply(kOffendersOnLink);
  const Daemon daemon(fw);
  const Client router(net.outside, gateway_address(family()));
  EXPECT_LE(served(router.tries(host(), {22}, {40, 20ms, 2s})), 5u);
  // Whoever offends after it is seen after it.
  EXPECT_LE(served(from(1).tries(host(), {22}, {40, 20ms, 2s})), 5u);
  ASSERT_TRUE(eventually([&] { return blocks() == 1; }));
  EXPECT_EQ(router.tcp(host(), 80), Outcome::served);
}

// ---- What goes on, whoever is blocked.

std::uint16_t link_checksum(const std::string& bytes) {
  std::uint32_t sum = 0;
  for (std::size_t i = 0; i + 1 < bytes.size(); i += 2) {
    sum += static_cast<std::uint32_t>(static_cast<unsigned char>(bytes[i]) << 8 |
                                      static_cast<unsigned char>(bytes[i + 1]));
  }
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(~sum);
}

std::string link_bytes(Ip address) {
  const auto bytes = fw::to_bytes(address);
  return {bytes.begin(), bytes.end()};
}

std::string link_u16(std::size_t value) {
  return {static_cast<char>(value >> 8 & 0xff), static_cast<char>(value & 0xff)};
}

/// An ICMPv6 message from a neighbour, in its frame; the checksum is filled in.
std::string link_message(const Mac& to_mac, Ip from, Ip to, std::string message) {
  const std::string addresses = link_bytes(from) + link_bytes(to);
  const std::string pseudo =
      addresses + std::string(2, '\0') + link_u16(message.size()) + std::string("\0\0\0\x3a", 4);
  message.replace(2, 2, link_u16(link_checksum(pseudo + message)));
  const std::string macs = std::string(to_mac.begin(), to_mac.end()) +
                           std::string(kOutsideMac.begin(), kOutsideMac.end());
  return macs + "\x86\xdd" + std::string("\x60\0\0\0", 4) + link_u16(message.size()) + "\x3a\xff" +
         addresses + message;
}

/// Neighbour and router messages of an address that is blocked alone (dropped at the device), by a
/// network, or is on a list.
class OnLink : public testing::TestWithParam<const char*> {
 protected:
  static constexpr Mac kAllNodes{0x33, 0x33, 0, 0, 0, 1};

  OnLink() {
    net.host.sysctl("ipv6/conf/eth0/accept_ra", "2");
    const std::string how = GetParam();
    if (how == "listed") {
      (void)fw.file("bad.txt", "fe80::77\n2001:db8:ffff::77\n203.0.113.77\n198.19.0.8\n");
      fw.apply("[[list]]\nname = \"bad\"\nfile = \"bad.txt\"\naction = \"block\"\n");
      return;
    }
    fw.apply();
    fw.must(how == "alone"
                ? std::vector<std::string>{"block", "--force", "fe80::77", "2001:db8:ffff::77",
                                           "203.0.113.77", "198.19.0.8"}
                : std::vector<std::string>{"block", "--force", "fe80::/10", "2001:db8:ffff::/64",
                                           "203.0.113.0/24", "198.19.0.8/29"});
  }
  std::string told(const std::vector<std::string>& words) const {
    return must_run(net.host, words);
  }
  /// fe80:: of the host's device.
  static Ip host_link_local() { return known_ip("fe80::ff:fe00:1"); }

  Network net;
  Firewall fw{net.host};
  RawLink link{net};
};
INSTANTIATE_TEST_SUITE_P(, OnLink, testing::Values("alone", "network", "listed"),
                         [](const auto& of) { return std::string(of.param); });

TEST_P(OnLink, ARouterIsHeard) {
  // A router for half an hour, without options. RFC 4861, 4.2.
  const std::string advertisement("\x86\0\0\0\x40\0\x07\x08\0\0\0\0\0\0\0\0", 16);
  EXPECT_TRUE(eventually([&] {
    link.send(
        Frames{link_message(kAllNodes, known_ip("fe80::77"), known_ip("ff02::1"), advertisement)});
    return told({"ip", "-6", "route", "show", "default"}).find("fe80::77") != std::string::npos;
  })) << told({"ip", "-6", "route"});
}

TEST_P(OnLink, ANeighbourIsHeard) {
  // Who has the host's address, with the sender's hardware address. RFC 4861, 4.3.
  for (const char* from : {"fe80::77", "2001:db8:ffff::77"}) {
    const std::string question = std::string("\x87\0\0\0\0\0\0\0", 8) +
                                 link_bytes(host_address(Family::ipv6)) + "\x01\x01" +
                                 std::string(kOutsideMac.begin(), kOutsideMac.end());
    EXPECT_TRUE(eventually([&] {
      link.send(
          Frames{link_message(kHostMac, known_ip(from), host_address(Family::ipv6), question)});
      return told({"ip", "-6", "neigh", "show", from}).find("lladdr") != std::string::npos;
    })) << from;
  }
}

TEST_P(OnLink, ALeaseIsHeardAndNothingElse) {
  const Server server(net.host, {80}, {68, 546, 5000});
  const Ip from4 = known_ip("203.0.113.77"), from6 = known_ip("fe80::77");
  link.send(std::vector<Packet>{{from4, host_address(Family::ipv4), kUdp, 67, 5000},
                                {from4, host_address(Family::ipv4), kUdp, 67, 68},
                                {from6, host_link_local(), kUdp, 547, 5000},
                                {from6, host_link_local(), kUdp, 547, 546}});
  EXPECT_TRUE(eventually([&] { return server.received(68) == 1 && server.received(546) == 1; }))
      << server.received(68) << " " << server.received(546);
  EXPECT_EQ(server.received(5000), 0u);
}

/// An error about a flow of the host's, from a blocked router on its path.
TEST_P(OnLink, APathsSizeIsHeard) {
  const Server server(net.host, {80}, {5000});
  fw.policy("[ports]\ntcp = [22, 80]\nudp = [5000]\n" + read_file(fw.policy_path()));
  fw.apply();
  for (const Family family : {Family::ipv4, Family::ipv6}) {
    const bool v4 = family == Family::ipv4;
    const Ip far = stranger(family, 0x1234), host = host_address(family);
    const Packet asks{far, host, kUdp, 5555, 5000};
    const std::size_t before = server.received(5000);
    link.send({asks});
    ASSERT_TRUE(eventually([&] { return server.received(5000) > before; }));
    const std::string udp = link_u16(5000) + link_u16(5555) + link_u16(8) + link_u16(0);
    const auto header4 = [](Ip from, Ip to, std::uint8_t protocol, std::size_t size) {
      std::string header = std::string("\x45\0", 2) + link_u16(20 + size) +
                           std::string("\0\0\0\0\x40", 5) + static_cast<char>(protocol) +
                           std::string(2, '\0') + link_bytes(from) + link_bytes(to);
      return header.replace(10, 2, link_u16(link_checksum(header)));
    };
    std::string frame;
    if (v4) {
      // Fragmentation needed, 1300 bytes fit. RFC 1191, 4.
      std::string error =
          std::string("\x03\x04\0\0\0\0", 6) + link_u16(1300) + header4(host, far, kUdp, 8) + udp;
      error.replace(2, 2, link_u16(link_checksum(error)));
      frame = std::string(kHostMac.begin(), kHostMac.end()) +
              std::string(kOutsideMac.begin(), kOutsideMac.end()) + std::string("\x08\0", 2) +
              header4(known_ip("203.0.113.77"), host, kIcmp, error.size()) + error;
    } else {
      // Packet too big, 1300 bytes fit. RFC 4443, 3.2.
      frame = link_message(kHostMac, known_ip("2001:db8:ffff::77"), host,
                           std::string("\x02\0\0\0\0\0", 6) + link_u16(1300) +
                               std::string("\x60\0\0\0", 4) + link_u16(8) + "\x11\x40" +
                               link_bytes(host) + link_bytes(far) + udp);
    }
    EXPECT_TRUE(eventually([&] {
      link.send(Frames{frame});
      return told({"ip", "route", "get", to_string(far)}).find("mtu 1300") != std::string::npos;
    })) << to_string(far);
  }
}

/// What the exceptions of the early drop let pass is not let pass further.
TEST_P(OnLink, NothingPassesOnToApps) {
  AppBridge bridge(net);
  App& wiki = bridge.add(2);
  const Server inside(wiki.inside, {8080}, {68});
  bridge.publish(68, wiki, 68);
  fw.policy(read_file(fw.policy_path()) + apps_toml() +
            app_toml("wiki", wiki, "publishes = [\"udp/68\"]"));
  fw.apply();
  RawLink again(net);
  again.send(
      std::vector<Packet>{{known_ip("198.19.0.8"), host_address(Family::ipv4), kUdp, 67, 68},
                          {known_ip("198.19.1.8"), host_address(Family::ipv4), kUdp, 67, 68}});
  EXPECT_TRUE(eventually([&] { return inside.received(68) != 0; }));
  EXPECT_EQ(inside.received(68), 1u) << "the stranger's alone";
}

}  // namespace
}  // namespace lab
