// What a real container, with Docker's default capabilities, can send on its bridge (A1).
// SPDX-License-Identifier: GPL-2.0-or-later
#include <algorithm>

#include "tests/e2e/docker.hpp"
#include "tests/lab/daemon.hpp"
#include "tests/lab/family.hpp"
#include "tests/lab/frames.hpp"
#include "tests/lab/nft.hpp"

namespace lab {
namespace {

/// The host's Python in a container that sees the host's files: a packet socket sends what it is
/// given in hexadecimal.
constexpr const char* kSend =
    "import socket,sys\n"
    "s=socket.socket(socket.AF_PACKET,socket.SOCK_RAW)\n"
    "s.bind(('eth0',0))\n"
    "for f in sys.argv[1:]: s.send(bytes.fromhex(f))\n";

std::string hex(const std::string& frame) {
  std::string out;
  for (const char c : frame) out += fmt::format("{:02x}", static_cast<std::uint8_t>(c));
  return out;
}

class DockerBridge : public testing::Test {
 protected:
  void run_apps(const std::vector<std::string>& network = {}) {
    const auto with = [&network](std::vector<std::string> more) {
      more.insert(more.end(), network.begin(), network.end());
      return more;
    };
    engine.serve("chat", {80}, with({"-v", "/:/host:ro"}));
    engine.serve("wiki", {80}, with({"--label", "cloudron-fw.addons=mysql"}));
    engine.serve("db", {3306}, with({"--label", "cloudron-fw.addon=mysql", "--expose", "3306"}));
  }
  std::string policy() const {
    return "[apps]\ndiscover = \"docker\"\ndocker = \"" + engine.socket() + "\"\n";
  }
  void send(const Frames& frames) const {
    const std::string python =
        "d=$(echo /host/usr/lib/*-linux-gnu); exec $d/ld-linux*.so.* --library-path $d "
        "/host/usr/bin/python3 -S -c \"$0\" \"$@\"";
    std::vector<std::string> words{"exec", "-e", "PYTHONHOME=/host/usr", "chat", "sh", "-c",
                                   python, kSend};
    for (const std::string& frame : frames) words.push_back(hex(frame));
    engine.docker(words);
  }
  Mac mac(const std::string& container) const { return engine.mac(container); }
  Ip at(const std::string& container, Family family = Family::ipv4) const {
    return *fw::parse_ip(engine.address(container, family));
  }
  /// Where the addon believes wiki to be.
  std::string believed() const { return engine.docker({"exec", "db", "cat", "/proc/net/arp"}); }
  std::uint64_t count(const char* name) const { return counter(net.host, name, "bridge cloudron"); }
  static std::string text_of(const Mac& mac) { return fmt::format("{:02x}", fmt::join(mac, ":")); }

  Network net;
  Firewall fw{net.host};
  Dockerd engine{net.host,
                 {"--ipv6", "--fixed-cidr-v6 2001:db8:d0c::/64", "--experimental", "--ip6tables"}};
};

TEST_F(DockerBridge, ForgedFramesOfAContainerEnd) {
  run_apps();
  const Frames poison{
      ethernet(mac("chat"), mac("db"), kArp, arp(Arp::reply, mac("chat"), at("wiki"), at("db")))};
  const auto reach = [&] { return engine.reaches("wiki", engine.address("db"), 3306); };
  ASSERT_TRUE(eventually(reach));
  ASSERT_TRUE(eventually([&] {
    send(poison);  // not believed within a second of an honest answer
    return believed().find(text_of(mac("chat"))) != std::string::npos;
  })) << "without a firewall it works: "
      << believed();

  fw.apply(policy());
  // What was believed before is asked for again when it is a minute old.
  ASSERT_TRUE(eventually(reach, 120s)) << believed();
  ASSERT_TRUE(
      eventually([&] { return believed().find(text_of(mac("chat"))) == std::string::npos; }, 60s))
      << believed();
  const Ip all = *fw::parse_ip("ff02::1");
  const Ip chat6 = link_local(mac("chat"));
  send(poison);
  send({ethernet(mac("chat"), kEveryone, kArp,
                 arp(Arp::request, mac("chat"), at("wiki"), at("wiki"))),
        ethernet(mac("chat"), mac("db"), kIpv6,
                 advertisement(mac("chat"), at("wiki", Family::ipv6), at("db", Family::ipv6),
                               at("wiki", Family::ipv6))),
        ethernet(mac("chat"), group_mac(all), kIpv6, router_advertisement(mac("chat"), chat6, all)),
        ethernet(mac("chat"), mac("db"),
                 Packet{at("wiki"), at("db"), kTcp, 12'000, 3306, kSyn, 1, 0})});
  EXPECT_EQ(count("bridge_forged"), 5u);
  EXPECT_EQ(believed().find(text_of(mac("chat"))), std::string::npos) << believed();

  const Packet datagram{at("chat"), at("wiki"), kUdp, 4444, 5353, 0, 0, 0};
  send({ethernet(mac("chat"), mac("wiki"), kVlan, tag(0, kIpv4) + ip_packet(datagram)),
        ethernet(mac("chat"), mac("wiki"), kVlan,
                 tag(0, kVlan) + tag(0, kIpv4) + ip_packet(datagram)),
        ethernet(mac("chat"), mac("wiki"), kServiceVlan, tag(0, kIpv4) + ip_packet(datagram))});
  EXPECT_EQ(count("bridge_foreign"), 3u);
  send({ethernet(mac("chat"), kEveryone,
                 Packet{at("chat"), *fw::parse_ip("255.255.255.255"), kUdp, 1, 2, 0, 0, 0})});
  EXPECT_GE(count("bridge_group"), 1u);
  for (const Family family : {Family::ipv4, Family::ipv6}) {
    EXPECT_TRUE(eventually([&] {
      return engine.reaches("wiki", engine.address("db", family), 3306);
    })) << "what is allowed goes on";
  }
}

TEST_F(DockerBridge, ANewContainerIsHeldToItsNameByTheDaemon) {
  fw.apply(policy());
  const Daemon daemon(fw);
  run_apps();
  const auto knows = [&](const std::string& container) {
    const Output set = run(net.host, {"nft", "list", "set", "bridge", "cloudron", "ties4"});
    return set.out.find(engine.address(container) + " ") != std::string::npos ||
           set.out.find(engine.address(container) + "\n") != std::string::npos ||
           set.out.find(engine.address(container) + ",") != std::string::npos;
  };
  for (const char* name : {"chat", "wiki", "db"}) {
    EXPECT_TRUE(eventually([&] { return knows(name); })) << name;
  }
  send(
      {ethernet(mac("chat"), mac("db"), kArp, arp(Arp::reply, mac("chat"), at("wiki"), at("db")))});
  EXPECT_EQ(count("bridge_forged"), 1u);
  EXPECT_TRUE(eventually([&] { return engine.reaches("wiki", engine.address("db"), 3306); }));
}

TEST_F(DockerBridge, OtherKindsOfNetworks) {
  engine.docker({"network", "create", "--internal", "--subnet", "172.31.1.0/24", "inside"});
  engine.docker({"network", "create", "-o", "com.docker.network.bridge.enable_icc=false",
                 "--subnet", "172.31.2.0/24", "apart"});
  engine.docker({"network", "create", "--subnet", "172.31.3.0/24", "-o",
                 "com.docker.network.bridge.name=mine", "named"});
  for (const char* network : {"inside", "apart", "named"}) {
    for (const char* name : {"one", "two"}) {
      engine.serve(std::string(network) + name, {80}, {"--network", network});
    }
  }
  fw.apply(policy());
  for (const std::string network : {"inside", "apart", "named"}) {
    EXPECT_FALSE(engine.reaches(network + "one", engine.address(network + "two"), 80)) << network;
  }
  // Networks that the policy does not know are no apps: open among themselves, closed from outside.
  ip_commands(net.outside, "route add 172.31.0.0/16 via 203.0.113.1\n");
  fw.apply("");
  const Client outside(net.outside, client(Family::ipv4, 1));
  EXPECT_EQ(outside.tcp(at("namedone"), 80, 1s), Outcome::timed_out);
  EXPECT_TRUE(
      eventually([&] { return engine.reaches("namedone", engine.address("namedtwo"), 80); }));
}

TEST_F(DockerBridge, OfAMacvlanNetworkItIsSaidWhatItsContainersGet) {
  engine.docker({"network", "create", "-d", "macvlan", "-o", "parent=eth0", "--subnet",
                 "203.0.113.0/24", "--ip-range", "203.0.113.64/28", "wire"});
  engine.serve("neighbour", {80}, {"--network", "wire"});
  fw.policy(policy());
  const Output output = fw.run({"apply"});
  const std::string said = output.out + output.err;
  EXPECT_NE(said.find(engine.address("neighbour") +
                      " is in a macvlan network, so it is a neighbour in the LAN"),
            std::string::npos)
      << said;
  EXPECT_EQ(said.find("add its network to [apps] network"), std::string::npos) << said;
}

}  // namespace
}  // namespace lab
