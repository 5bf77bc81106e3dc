// The networks that tests play in.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/lab/network.hpp"

#include <sstream>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "tests/lab/base.hpp"
#include "tests/lab/process.hpp"

namespace lab {
namespace {

constexpr fw::U128 v6(unsigned a, unsigned b, unsigned c, unsigned d, unsigned low) {
  return fw::U128{a} << 112 | fw::U128{b} << 96 | fw::U128{c} << 80 | fw::U128{d} << 64 | low;
}

constexpr Ip v4(unsigned a, unsigned b, unsigned c, unsigned d) {
  return {Family::ipv4, a << 24 | b << 16 | c << 8 | d};
}

std::string text(const Mac& mac) { return fmt::format("{:02x}", fmt::join(mac, ":")); }

void quiet_start(const Namespace& where) {
  where.sysctl("ipv6/conf/default/accept_dad", "0");
  where.sysctl("ipv6/conf/all/accept_dad", "0");
  where.sysctl("ipv6/conf/default/accept_ra", "0");
  where.sysctl("ipv4/conf/all/rp_filter", "0");
  where.sysctl("ipv4/conf/default/rp_filter", "0");
}

/// Who has which address on a link, told instead of asked: a fresh IPv6 device answers its first
/// question up to a second late.
std::string neighbour(Ip ip, const Mac& mac, const std::string& device) {
  return fmt::format("neighbour replace {} lladdr {} dev {} nud reachable\n", to_string(ip),
                     text(mac), device);
}

constexpr Family kBoth[] = {Family::ipv4, Family::ipv6};

/// Does every link that is up and has a carrier have its queue, and forward, if a bridge's port?
/// The kernel does that behind "up", for both ends of a link at once, and drops what is sent
/// before.
bool links_carry(const Namespace& where) {
  std::istringstream links(must_run(where, {"ip", "-oneline", "link", "show", "up"}));
  for (std::string link; std::getline(links, link);) {
    const bool carrier = link.find("LOWER_UP") != std::string::npos;
    if (carrier && link.find("DOWN ") != std::string::npos) return false;
  }
  return true;
}

}  // namespace

Ip host_address(Family family) {
  if (family == Family::ipv4) return v4(203, 0, 113, 1);
  return {family, v6(0x2001, 0xdb8, 0xffff, 0, 1)};
}

Ip gateway_address(Family family) {
  const Ip host = host_address(family);
  return {family, host.bits + 1};
}

Ip client(Family family, unsigned n) {
  if (family == Family::ipv4) return v4(198, 18, n >> 8, n & 255);
  return {family, v6(0x2001, 0xdb8, 0x18, n, 1)};
}

Ip client_of_same_64(unsigned n, unsigned neighbour) {
  const Ip one = client(Family::ipv6, n);
  return {Family::ipv6, one.bits + neighbour};
}

Ip stranger(Family family, unsigned n) {
  // 198.19.0.0/16, then 198.18.128.0/17: clients are below.
  if (family == Family::ipv4) {
    return n < 0x10000 ? v4(198, 19, n >> 8, n & 255)
                       : v4(198, 18, 128 + (n - 0x10000) / 256, n & 255);
  }
  return {family, v6(0x2001, 0xdb8, 0x1900 + (n >> 16), n & 0xffff, 1)};
}

Ip app_address(Family family, unsigned n) {
  if (family == Family::ipv4) return v4(172, 18, 16, n);
  return {family, v6(0x2001, 0xdb8, 0x172, 0, 0x160000 + n)};
}

Ip bridge_address(Family family) {
  if (family == Family::ipv4) return v4(172, 18, 0, 1);
  return {family, v6(0x2001, 0xdb8, 0x172, 0, 1)};
}

std::string bracketed(Ip ip) {
  return ip.family == Family::ipv4 ? to_string(ip) : "[" + to_string(ip) + "]";
}

void ip_commands(const Namespace& where, const std::string& commands) {
  must_run(where, {"ip", "-batch", "-"}, commands);
  if (commands.find(" up\n") == std::string::npos) return;
  EXPECT_TRUE(eventually([&] { return links_carry(where); })) << "a link does not come up";
}

Network::Network() {
  quiet_start(host);
  quiet_start(outside);
  host.sysctl("core/somaxconn", "65535");
  ip_commands(host, fmt::format(R"(
link add eth0 address {} type veth peer name eth0 address {} netns {}
address add 203.0.113.1/24 dev eth0
address add 2001:db8:ffff::1/64 dev eth0 nodad
link set eth0 up
)",
                                text(kHostMac), text(kOutsideMac), outside.path()));
  ip_commands(outside, R"(
address add 203.0.113.2/24 dev eth0
address add 2001:db8:ffff::2/64 dev eth0 nodad
link set eth0 up
route add local 198.18.0.0/17 dev lo
route add local 2001:db8:18::/48 dev lo
)");
  ip_commands(host, R"(
route add 198.18.0.0/15 via 203.0.113.2
route add 2001:db8::/32 via 2001:db8:ffff::2
)");
  for (const Family family : kBoth) {
    ip_commands(host, neighbour(gateway_address(family), kOutsideMac, "eth0"));
    ip_commands(outside, neighbour(host_address(family), kHostMac, "eth0"));
  }
}

AppBridge::AppBridge(const Network& network) : network_(network) {
  const Namespace& host = network.host;
  ip_commands(host, fmt::format(R"(
link add br0 address {} type bridge
address add 172.18.0.1/16 dev br0
address add 2001:db8:172::1/64 dev br0 nodad
link set br0 up
)",
                                text(kBridgeMac)));
  host.sysctl("ipv4/ip_forward", "1");
  host.sysctl("ipv6/conf/all/forwarding", "1");
  host.in([] {
    for (const char* name : {"bridge-nf-call-iptables", "bridge-nf-call-ip6tables"}) {
      write_file(std::string("/proc/sys/net/bridge/") + name, "0");
    }
  });
  must_run(host, {"nft", "-f", "-"}, R"(
table inet docker_like {
  map published { type inet_proto . inet_service : ipv4_addr . inet_service; }
  map published6 { type inet_proto . inet_service : ipv6_addr . inet_service; }
  chain prerouting {
    type nat hook prerouting priority dstnat;
    fib daddr type local dnat ip to meta l4proto . th dport map @published
    fib daddr type local dnat ip6 to meta l4proto . th dport map @published6
  }
  chain postrouting {
    type nat hook postrouting priority srcnat;
    ip saddr 172.18.0.0/16 oifname eth0 masquerade
  }
}
)");
}

App& AppBridge::add(unsigned number) {
  App& app = apps_.emplace_back();
  app.number = number;
  app.mac = {2, 0, 0, 0, 2, static_cast<std::uint8_t>(number)};
  quiet_start(app.inside);
  app.inside.sysctl("core/somaxconn", "65535");
  app.inside.sysctl("ipv4/tcp_max_syn_backlog", "65535");
  ip_commands(network_.host, fmt::format(R"(
link add app{0} type veth peer name eth0 address {1} netns {2}
link set app{0} master br0 up
)",
                                         number, text(app.mac), app.inside.path()));
  ip_commands(app.inside, fmt::format(R"(
address add {}/16 dev eth0
address add {}/64 dev eth0 nodad
link set eth0 up
route add default via 172.18.0.1
route add default via 2001:db8:172::1
)",
                                      to_string(app.address(Family::ipv4)),
                                      to_string(app.address(Family::ipv6))));
  for (const Family family : kBoth) {
    ip_commands(network_.host, neighbour(app.address(family), app.mac, "br0"));
    ip_commands(app.inside, neighbour(bridge_address(family), kBridgeMac, "eth0"));
    for (const App& other : apps_) {
      if (&other == &app) continue;
      ip_commands(app.inside, neighbour(other.address(family), other.mac, "eth0"));
      ip_commands(other.inside, neighbour(app.address(family), app.mac, "eth0"));
    }
  }
  return app;
}

void AppBridge::publish(std::uint16_t host_port, const App& app, std::uint16_t app_port) {
  std::string commands;
  for (const char* protocol : {"tcp", "udp"}) {
    commands += fmt::format(
        "add element inet docker_like published {{ {0} . {1} : {2} . {4} }}\n"
        "add element inet docker_like published6 {{ {0} . {1} : {3} . {4} }}\n",
        protocol, host_port, to_string(app.address(Family::ipv4)),
        to_string(app.address(Family::ipv6)), app_port);
  }
  must_run(network_.host, {"nft", "-f", "-"}, commands);
}

}  // namespace lab
