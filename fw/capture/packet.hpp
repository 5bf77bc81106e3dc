// What a capture says of a packet, as far as a firewall cares.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstdint>

#include "fw/base/packet.hpp"

namespace capture {

/// Which way a packet went, seen from the machine that made the capture.
enum class Direction : std::uint8_t {
  unknown,   ///< Ethernet and raw IP do not say
  incoming,  ///< to this machine, for itself or to be forwarded
  outgoing,  ///< from this machine
  foreign,   ///< broadcast, multicast, or for another machine
};

struct Packet : fw::Packet {
  std::int64_t time = 0;  ///< ns since 1970
  Direction direction = Direction::unknown;

  bool operator==(const Packet&) const = default;
};

}  // namespace capture
