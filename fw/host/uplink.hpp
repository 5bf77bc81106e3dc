// Where the host's default routes lead, and what must not count as an app for that.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "fw/base/address.hpp"
#include "fw/lists/spared.hpp"
#include "fw/policy/parse.hpp"
#include "fw/policy/policy.hpp"

namespace fw {

struct Uplink {
  std::vector<Ip> gateways;
  std::vector<std::string> devices;  ///< of the default routes
  std::vector<Ip> addresses;         ///< the host's own at those devices, but link-local ones
};

/// Of /proc/net/route and /proc/net/ipv6_route; addresses are left empty.
Uplink parse_default_routes(std::string_view ipv4, std::string_view ipv6);

/// In the network namespace of this process.
Uplink read_uplink();

/// The addresses behind "nameserver" of resolv.conf(5).
std::vector<Ip> nameservers_of(std::string_view resolv_conf);

/// What no list blocks on this host: special_space(), its own addresses, its routers and resolvers.
SparedSpace spared_here();

/// The app networks of the policy file that hold a gateway or the host's own address at an uplink:
/// the whole LAN would count as apps, and no limit of the outside would hold for it.
std::vector<Problem> uplinks_among_apps(const Policy& policy, const Uplink& uplink);

}  // namespace fw
