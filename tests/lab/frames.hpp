// Ethernet frames by hand, for what is forged below IP.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstdint>
#include <string>

#include "tests/lab/raw.hpp"

namespace lab {

inline constexpr Mac kEveryone{0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
inline constexpr std::uint16_t kVlan = 0x8100, kServiceVlan = 0x88a8, kIpv4 = 0x0800,
                               kIpv6 = 0x86dd, kArp = 0x0806;

/// Of IP from the header on, with its checksums; UDP and ICMP carry "lab.".
std::string ip_packet(const Packet& packet);

std::string ethernet(const Mac& from, const Mac& to, std::uint16_t type,
                     const std::string& payload);
/// By the packet's family.
std::string ethernet(const Mac& from, const Mac& to, const Packet& packet);
/// The tag of a VLAN and the type of what it carries, to stand before a payload.
std::string tag(std::uint16_t vlan, std::uint16_t type);
/// The MAC address that a group's frames go to.
Mac group_mac(Ip group);

enum class Arp : std::uint16_t { request = 1, reply = 2 };
std::string arp(Arp what, const Mac& sender_mac, Ip sender, Ip target);

/// Neighbour and router discovery, with hop limit 255.
std::string solicitation(const Mac& mac, Ip from, Ip to, Ip target);
std::string advertisement(const Mac& mac, Ip from, Ip to, Ip target);
std::string router_advertisement(const Mac& mac, Ip from, Ip to);
std::string redirect(Ip from, Ip to, Ip target, Ip destination);

/// fe80::, by the MAC address (RFC 4291 appendix A).
Ip link_local(const Mac& mac);

}  // namespace lab
