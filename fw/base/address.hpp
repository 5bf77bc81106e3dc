// Addresses, networks and ranges of both families as plain integers.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "fw/base/result.hpp"

namespace fw {

__extension__ typedef unsigned __int128 U128;

enum class Family : std::uint8_t { ipv4, ipv6 };

constexpr int address_bits(Family family) { return family == Family::ipv4 ? 32 : 128; }
constexpr U128 address_max(Family family) {
  return family == Family::ipv4 ? U128{0xffffffffu} : ~U128{0};
}

/// An address as a number: IPv4 in the low 32 bits, most significant byte first.
struct Ip {
  Family family = Family::ipv4;
  U128 bits = 0;

  bool operator==(const Ip&) const = default;
  auto operator<=>(const Ip&) const = default;
};

/// For tables of addresses that no stranger chooses.
struct IpHash {
  using is_avalanching = void;  // of Boost's tables

  std::size_t operator()(const Ip& ip) const {
    const auto low = static_cast<std::uint64_t>(ip.bits);
    const auto high =
        static_cast<std::uint64_t>(ip.bits >> 64) ^ static_cast<std::uint64_t>(ip.family);
    const auto mixed = (low ^ high * 0x9e3779b97f4a7c15u) * 0xff51afd7ed558ccdu;
    return mixed ^ mixed >> 32;
  }
};

/// All addresses from first to last, both included; first <= last, of one family.
struct IpRange {
  Family family = Family::ipv4;
  U128 first = 0;
  U128 last = 0;

  bool single() const { return first == last; }
  bool contains(const IpRange& other) const {
    return family == other.family && first <= other.first && other.last <= last;
  }
  bool overlaps(const IpRange& other) const {
    return family == other.family && first <= other.last && other.first <= last;
  }
  bool operator==(const IpRange&) const = default;
  auto operator<=>(const IpRange&) const = default;
};

/// Network byte order: 4 or 16 bytes.
std::vector<std::uint8_t> to_bytes(Ip ip);
Ip ip_from_bytes(Family family, const void* bytes);

/// One address. IPv4-mapped IPv6 (::ffff:a.b.c.d) is the IPv4 address.
Result<Ip> parse_ip(std::string_view text);

/// "203.0.113.7", "203.0.113.0/24", "2001:db8::-2001:db8::ff". Host bits set below a prefix length
/// are an error that names the network meant. IPv4-mapped IPv6 is understood in all three forms.
Result<IpRange> parse_ip_range(std::string_view text);

/// The same addresses as disjoint ranges that do not touch each other, ascending.
std::vector<IpRange> merged(std::vector<IpRange> ranges);

/// The same addresses as networks with a prefix length: one, or several where none would do.
std::vector<IpRange> prefixes(const IpRange& range);

std::string to_string(Ip ip);
/// The shortest form that parses back: address, CIDR, or "first-last".
std::string to_string(const IpRange& range);

}  // namespace fw
