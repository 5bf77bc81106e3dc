// What a capture says of a packet, as far as a firewall cares.
#pragma once

#include <cstdint>

#include "fw/base/address.hpp"

namespace capture {

/// Which way a packet went, seen from the machine that made the capture.
enum class Direction : std::uint8_t {
  unknown,   ///< Ethernet and raw IP do not say
  incoming,  ///< to this machine, for itself or to be forwarded
  outgoing,  ///< from this machine
  foreign,   ///< broadcast, multicast, or for another machine
};

/// A packet of IPv4 or IPv6. What its protocol does not have, or the capture does not hold, is
/// zero.
struct Packet {
  std::int64_t time = 0;  ///< ns since 1970
  fw::Ip source;
  fw::Ip destination;
  std::uint16_t source_port = 0;
  std::uint16_t destination_port = 0;
  std::uint8_t protocol = 0;   ///< IANA number of what follows IPv6's extension headers
  std::uint8_t tcp_flags = 0;  ///< FIN 1, SYN 2, RST 4, ACK 16
  std::uint8_t icmp_type = 0;  ///< of ICMP and ICMPv6
  Direction direction = Direction::unknown;
  bool complete = true;  ///< the ports are there: false for later fragments and cut-off packets

  bool operator==(const Packet&) const = default;
};

}  // namespace capture
