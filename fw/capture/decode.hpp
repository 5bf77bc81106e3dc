// From a frame's bytes to what a firewall cares about.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "fw/capture/packet.hpp"

namespace capture {

enum class LinkType : std::uint8_t {
  ethernet,
  cooked,   ///< Linux, of the device "any"
  cooked2,  ///< its second version
  raw,      ///< IPv4 or IPv6 at once
  null,     ///< BSD loopback: 4 bytes before it
};

/// Of a libpcap DLT_... number; nothing for those that are not read.
std::optional<LinkType> link_type(int number);

enum class Decoded : std::uint8_t {
  packet,
  not_ip,
  malformed,  ///< IP headers that contradict themselves, or of which the capture holds too little
};

/// All of `out` but its time.
Decoded decode(LinkType link, std::span<const std::uint8_t> frame, Packet& out);

}  // namespace capture
