// A second way into the host, as of a VPN: the interface wg0, and a peer behind it.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <fmt/format.h>

#include "tests/lab/client.hpp"
#include "tests/lab/network.hpp"

namespace lab {

class Vpn {
 public:
  explicit Vpn(const Namespace& host) {
    ip_commands(host, fmt::format("link add wg0 type veth peer name eth0 netns {}\n"
                                  "address add 10.8.0.1/24 dev wg0\n"
                                  "address add fd00:8::1/64 dev wg0 nodad\n"
                                  "link set wg0 up\n",
                                  peer_.path()));
    peer_.sysctl("ipv6/conf/default/accept_dad", "0");
    ip_commands(peer_,
                "address add 10.8.0.2/24 dev eth0\n"
                "address add fd00:8::2/64 dev eth0 nodad\n"
                "link set eth0 up\n"
                "route add 203.0.113.0/24 via 10.8.0.1\n"
                "route add 2001:db8:ffff::/64 via fd00:8::1\n");
  }
  const Namespace& peer() const { return peer_; }
  static Ip host_address(Family family) {
    return *fw::parse_ip(family == Family::ipv4 ? "10.8.0.1" : "fd00:8::1");
  }
  static Ip peer_address(Family family) {
    return *fw::parse_ip(family == Family::ipv4 ? "10.8.0.2" : "fd00:8::2");
  }

 private:
  Namespace peer_;
};

}  // namespace lab
