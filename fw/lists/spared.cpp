// Address space that block lists never block.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/lists/spared.hpp"

namespace fw {

const SparedSpace& special_space() {
  static const SparedSpace space = [] {
    SparedSpace out;
    for (const auto& [network, why] : std::initializer_list<std::pair<const char*, const char*>>{
             {"0.0.0.0/8", "no address yet (DHCP)"},
             {"10.0.0.0/8", "a private network"},
             {"100.64.0.0/10", "a shared network of providers and VPNs"},
             {"127.0.0.0/8", "loopback"},
             {"169.254.0.0/16", "link-local"},
             {"172.16.0.0/12", "a private network"},
             {"192.168.0.0/16", "a private network"},
             {"224.0.0.0/4", "multicast"},
             {"255.255.255.255", "broadcast"},
             {"::", "no address yet"},
             {"::1", "loopback"},
             {"fc00::/7", "a private network"},
             {"fe80::/10", "link-local: neighbours and routers"},
             {"ff00::/8", "multicast"}}) {
      if (const auto range = parse_ip_range(network)) out.push_back({*range, why});
    }
    return out;
  }();
  return space;
}

AddressSet set_of(const SparedSpace& spared) {
  AddressSet set;
  for (const Spared& one : spared) append(set, one.range);
  normalize(set);
  return set;
}

SparedIndex::SparedIndex(const SparedSpace& spared) : spared_(spared) {
  for (const Spared& one : spared_) {
    if (one.range.family != Family::ipv4) continue;
    const auto last = static_cast<std::uint32_t>(one.range.last) >> 24;
    for (auto octet = static_cast<std::uint32_t>(one.range.first) >> 24; octet <= last; ++octet) {
      octets_[octet] = true;
    }
  }
}

const Spared* SparedIndex::touched(const IpRange& range) const {
  for (const Spared& one : spared_) {
    if (one.range.family == range.family && one.range.first <= range.last &&
        range.first <= one.range.last) {
      return &one;
    }
  }
  return nullptr;
}

}  // namespace fw
