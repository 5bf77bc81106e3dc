// Bridges of others than apps: of virtual machines, with an uplink, of a container engine whose
// networks are not the apps'; and networks that only look like the apps' by their addresses.
// SPDX-License-Identifier: GPL-2.0-or-later
#include <algorithm>

#include <fmt/format.h>

#include "tests/lab/apps.hpp"
#include "tests/lab/family.hpp"
#include "tests/lab/frames.hpp"

namespace lab {
namespace {

constexpr Mac kGuestMac{2, 0, 0, 0, 3, 2};
constexpr Mac kOtherMac{2, 0, 0, 0, 3, 3};

Ip guest_address(Family family) {
  return *fw::parse_ip(family == Family::ipv4 ? "172.17.0.2" : "2001:db8:171::2");
}

/// A namespace on a bridge of the host with 172.17.0.1 and 2001:db8:171::1, which the outside has a
/// route to.
class Bridged : public OverFamily {
 protected:
  Bridged() {
    net.host.sysctl("ipv4/ip_forward", "1");
    net.host.sysctl("ipv6/conf/all/forwarding", "1");
    guest.sysctl("ipv6/conf/default/accept_dad", "0");
    ip_commands(net.outside,
                "route add 172.17.0.0/16 via 203.0.113.1\n"
                "route add 2001:db8:171::/64 via 2001:db8:ffff::1\n");
  }
  void make(const std::string& bridge) {
    ip_commands(net.host, fmt::format(R"(
link add {0} type bridge
address add 172.17.0.1/16 dev {0}
address add 2001:db8:171::1/64 dev {0} nodad
link set {0} up
link add guest type veth peer name eth0 address {1:02x} netns {2}
link set guest master {0} up
)",
                                      bridge, fmt::join(kGuestMac, ":"), guest.path()));
    ip_commands(guest, R"(
address add 172.17.0.2/16 dev eth0
address add 2001:db8:171::2/64 dev eth0 nodad
link set eth0 up
route add default via 172.17.0.1
route add default via 2001:db8:171::1
)");
  }
  Outcome call(Clock::duration patience = 3s) const {
    return from(1).tcp(guest_address(family()), 8080, patience);
  }

  Namespace guest;
  std::optional<Server> server;
};
BOTH_FAMILIES(Bridged);

TEST_P(Bridged, ContainersAreNotReachedByTheirOwnAddresses) {
  make("docker0");
  server.emplace(guest, PortList{8080});
  EXPECT_EQ(call(), Outcome::served) << "without a firewall";
  const Output applied = fw.apply();
  EXPECT_EQ(call(kShort), Outcome::timed_out);
  EXPECT_NE(applied.out.find("docker0"), std::string::npos) << "it says what it closes";
  const Server outside(net.outside, {8080});
  EXPECT_EQ(Client(guest, guest_address(family())).tcp(gateway_address(family()), 8080),
            Outcome::served);
  const Client host(net.host,
                    *fw::parse_ip(family() == Family::ipv4 ? "172.17.0.1" : "2001:db8:171::1"));
  EXPECT_EQ(host.tcp(guest_address(family()), 8080), Outcome::served);
  fw.apply("[apps]\nrouted = [\"docker*\"]\n");
  EXPECT_EQ(call(), Outcome::served) << "one line says otherwise";
}

TEST_P(Bridged, ContainersOfOneBridgeThatAreNoAppsReachOneAnother) {
  make("docker0");
  server.emplace(guest, PortList{8080});
  Namespace second;
  second.sysctl("ipv6/conf/default/accept_dad", "0");
  ip_commands(net.host, fmt::format(R"(
link add second type veth peer name eth0 netns {}
link set second master docker0 up
)",
                                    second.path()));
  ip_commands(second,
              "address add 172.17.0.3/16 dev eth0\n"
              "address add 2001:db8:171::3/64 dev eth0 nodad\nlink set eth0 up\n");
  const Client app(second,
                   *fw::parse_ip(family() == Family::ipv4 ? "172.17.0.3" : "2001:db8:171::3"));
  fw.apply();
  EXPECT_EQ(app.tcp(guest_address(family()), 8080), Outcome::served);
  fw.apply(
      "[apps]\nnetwork = [\"172.30.0.0/16\", \"2001:db8:30::/64\"]\n"
      "[[app]]\nname = \"wiki\"\naddresses = [\"172.30.0.2\"]\n");
  EXPECT_EQ(app.tcp(guest_address(family()), 8080), Outcome::served);
}

TEST_P(Bridged, GuestsAndBridgesWithAnUplinkAreLeftAlone) {
  make("vmbr0");
  server.emplace(guest, PortList{8080});
  // The other end of a pair that is here, too, leads to another network.
  ip_commands(net.host,
              "link add up0 type veth peer name up1\nlink set up0 master vmbr0 up\n"
              "link set up1 up\n");
  fw.apply();
  EXPECT_EQ(call(), Outcome::served);
}

TEST_P(Bridged, VirtualMachinesAreLeftAlone) {
  make("br-vms");
  server.emplace(guest, PortList{8080});
  ip_commands(net.host, "tuntap add dev tap0 mode tap\nlink set tap0 master br-vms up\n");
  fw.apply();
  EXPECT_EQ(call(), Outcome::served);
}

/// An app bridge stands beside a bridge of virtual machines, and packets within bridges are
/// filtered.
class BesideApps : public testing::Test {
 protected:
  BesideApps() {
    ip_commands(net.host, fmt::format(R"(
link add vmbr0 type bridge
link set vmbr0 up
link add up0 type veth peer name up1
link set up0 master vmbr0 up
link set up1 up
link add vm1 type veth peer name eth0 address {:02x} netns {}
link add vm2 type veth peer name eth0 address {:02x} netns {}
link set vm1 master vmbr0 up
link set vm2 master vmbr0 up
)",
                                      fmt::join(kGuestMac, ":"), one.path(),
                                      fmt::join(kOtherMac, ":"), two.path()));
    for (const Namespace* each : {&one, &two}) ip_commands(*each, "link set eth0 up\n");
    fw.apply(apps_toml() + app_toml("wiki", wiki, "addons = []"));
  }

  Network net;
  Firewall fw{net.host};
  AppBridge bridge{net};
  App& wiki = bridge.add(2);
  Namespace one;
  Namespace two;
};

TEST_F(BesideApps, WhatVirtualMachinesSayOnTheirOwnBridgePasses) {
  RawLink sender(one, kGuestMac, kOtherMac);
  RawLink receiver(two, kOtherMac, kGuestMac);
  const Ip from = link_local(kGuestMac);
  const Ip to = link_local(kOtherMac);
  const Ip all = *fw::parse_ip("ff02::1");
  const Packet vrrp{*fw::parse_ip("10.0.0.2"), *fw::parse_ip("224.0.0.18"), kUdp, 1, 112, 0, 0, 0};
  const Packet dhcpv6{from, to, kUdp, 547, 546, 0, 0, 0};
  const Packet link_local_call{from, to, kTcp, 12'000, 8080, kSyn, 1, 0};
  const Packet foreign{
      *fw::parse_ip("10.0.0.2"), *fw::parse_ip("10.0.0.3"), kUdp, 1, 5000, 0, 0, 0};
  const std::string advertised = router_advertisement(kGuestMac, from, all);
  const Frames frames{ethernet(kGuestMac, group_mac(vrrp.to), vrrp),
                      ethernet(kGuestMac, kOtherMac, dhcpv6),
                      ethernet(kGuestMac, kOtherMac, link_local_call),
                      ethernet(kGuestMac, kOtherMac, foreign),
                      ethernet(kGuestMac, group_mac(all), kIpv6, advertised),
                      ethernet(kGuestMac, kOtherMac, kVlan, tag(0, kIpv4) + ip_packet(foreign)),
                      ethernet(kGuestMac, kOtherMac, 0x88b5, std::string(46, 'a'))};
  sender.send(frames);
  std::size_t arrived = 0;
  for (const auto end = Clock::now() + 20s; arrived < frames.size() && Clock::now() < end;) {
    for (const std::string& frame : receiver.receive_frames(1s)) {
      for (const std::string& sent : frames) {
        const std::size_t head = sent.substr(12, 2) == std::string("\x81\0", 2) ? 18 : 14;
        if (frame.ends_with(sent.substr(head))) {
          ++arrived;
          break;
        }
      }
    }
  }
  EXPECT_EQ(arrived, frames.size());
}

/// Addresses of the built-in app network, where no app is.
class Lookalike : public testing::Test {
 protected:
  Client neighbour() const { return {net.outside, *fw::parse_ip("172.18.200.5")}; }
  /// By a route of the host through that device.
  void lead_to(const std::string& device) {
    ip_commands(net.outside, "route add local 172.18.200.0/24 dev lo\n");
    ip_commands(net.host,
                fmt::format("route add 172.18.200.0/24 via 203.0.113.2 dev {}\n", device));
  }

  Network net;
  Firewall fw{net.host};
};

TEST_F(Lookalike, ALanThatLiesThereIsLimitedLikeAnyClient) {
  lead_to("eth0");
  const Server server(net.host, {22}, {53});
  fw.apply();
  EXPECT_EQ(served(neighbour().tries(host_address(Family::ipv4), {22}, {8})), 5u);
  EXPECT_EQ(neighbour().udp(host_address(Family::ipv4), 53, kShort), Outcome::timed_out);
}

TEST_F(Lookalike, OnABridgeWithAnUplinkToo) {
  ip_commands(net.host, fmt::format(R"(
link add vmbr0 address {:02x} type bridge
link set vmbr0 up
address flush dev eth0
link set eth0 master vmbr0
address add 203.0.113.1/24 dev vmbr0
address add 172.18.0.1/16 dev vmbr0
link add up0 type veth peer name up1
link set up0 master vmbr0 up
link set up1 up
)",
                                    fmt::join(kHostMac, ":")));
  lead_to("vmbr0");
  const Server server(net.host, {22}, {53});
  fw.apply();
  EXPECT_EQ(served(neighbour().tries(host_address(Family::ipv4), {22}, {8})), 5u);
  EXPECT_EQ(neighbour().udp(host_address(Family::ipv4), 53, kShort), Outcome::timed_out);
}

}  // namespace
}  // namespace lab
