// Names of IP protocols that have no ports, or whose ports the firewall does not look at.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace fw {

struct IpProtocol {
  std::string_view name;
  std::uint8_t number;
};
/// Source: the registry "Protocol Numbers" of IANA; 6in4 and sit are what admins call 41.
inline constexpr std::array kIpProtocols{
    IpProtocol{"igmp", 2},     IpProtocol{"ipip", 4},   IpProtocol{"tcp", 6},
    IpProtocol{"udp", 17},     IpProtocol{"icmp", 1},   IpProtocol{"dccp", 33},
    IpProtocol{"6in4", 41},    IpProtocol{"sit", 41},   IpProtocol{"gre", 47},
    IpProtocol{"esp", 50},     IpProtocol{"ah", 51},    IpProtocol{"icmpv6", 58},
    IpProtocol{"eigrp", 88},   IpProtocol{"ospf", 89},  IpProtocol{"pim", 103},
    IpProtocol{"vrrp", 112},   IpProtocol{"l2tp", 115}, IpProtocol{"sctp", 132},
    IpProtocol{"udplite", 136}};

/// "vrrp", else the number.
inline std::string protocol_text(std::uint8_t number) {
  const auto known = std::ranges::find(kIpProtocols, number, &IpProtocol::number);
  return known != kIpProtocols.end() ? std::string(known->name) : std::to_string(number);
}

}  // namespace fw
