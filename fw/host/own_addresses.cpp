// The addresses of this host's own devices.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/host/own_addresses.hpp"

#include <ifaddrs.h>
#include <netinet/in.h>

namespace fw {

std::vector<OwnAddress> own_addresses() {
  std::vector<OwnAddress> out;
  ifaddrs* all = nullptr;
  if (getifaddrs(&all) != 0) return out;
  for (const ifaddrs* one = all; one != nullptr; one = one->ifa_next) {
    if (one->ifa_addr == nullptr) continue;
    if (one->ifa_addr->sa_family == AF_INET) {
      const auto* const in = reinterpret_cast<const sockaddr_in*>(one->ifa_addr);
      out.push_back({one->ifa_name, ip_from_bytes(Family::ipv4, &in->sin_addr), false});
    } else if (one->ifa_addr->sa_family == AF_INET6) {
      const auto* const in = reinterpret_cast<const sockaddr_in6*>(one->ifa_addr);
      out.push_back({one->ifa_name, ip_from_bytes(Family::ipv6, &in->sin6_addr),
                     IN6_IS_ADDR_LINKLOCAL(&in->sin6_addr) != 0});
    }
  }
  freeifaddrs(all);
  return out;
}

}  // namespace fw
