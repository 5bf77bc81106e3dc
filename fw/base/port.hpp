// Ports and port ranges of a transport protocol.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "fw/base/result.hpp"

namespace fw {

/// IANA protocol numbers (the values are those on the wire).
enum class Protocol : std::uint8_t { tcp = 6, udp = 17 };

/// All ports from first to last, both included; 1 <= first <= last.
struct PortRange {
  Protocol protocol = Protocol::tcp;
  std::uint16_t first = 0;
  std::uint16_t last = 0;

  bool contains(Protocol p, std::uint16_t port) const {
    return p == protocol && first <= port && port <= last;
  }
  bool overlaps(const PortRange& o) const {
    return protocol == o.protocol && first <= o.last && o.first <= last;
  }
  bool single() const { return first == last; }
  bool operator==(const PortRange&) const = default;
  auto operator<=>(const PortRange&) const = default;
};

/// "tcp/22", "udp/8000-8100"; the form that the policy file takes.
std::string to_string(const PortRange& range);

/// "22" or "8000-8100" of `only`; without it also "udp/53", and TCP when no protocol is named.
/// No sign, no leading zero. The error is a sentence with the remedy.
Result<PortRange> parse_ports(std::string_view text, std::optional<Protocol> only = {});

/// The same of numbers, which may be anything.
Result<PortRange> port_range(Protocol protocol, std::int64_t first, std::int64_t last);

constexpr const char* to_string(Protocol p) { return p == Protocol::tcp ? "tcp" : "udp"; }

}  // namespace fw
