// The headers of an IP packet, as far as a firewall reads them.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstdint>
#include <span>

#include "fw/base/address.hpp"

namespace fw {

// Bits of a packet's tcp_flags.
inline constexpr std::uint8_t kFin = 1, kSyn = 2, kRst = 4, kAck = 16;

/// A packet of IPv4 or IPv6. What its protocol does not have, or the bytes do not hold, is zero.
struct Packet {
  Ip source;
  Ip destination;
  std::uint16_t source_port = 0;
  std::uint16_t destination_port = 0;
  std::uint8_t protocol = 0;  ///< IANA number of what follows IPv6's extension headers
  std::uint8_t tcp_flags = 0;
  std::uint8_t icmp_type = 0;  ///< of ICMP and ICMPv6
  bool complete = true;  ///< the ports are there: false for later fragments and cut-off packets
  std::uint32_t sequence = 0;      ///< of TCP
  std::uint32_t acknowledged = 0;  ///< of TCP
  std::uint32_t payload = 0;       ///< bytes behind TCP's header, captured or not
  std::uint8_t fast_open = 0;      ///< of a SYN: TCP options of kind 34
  std::uint8_t experimental = 0;   ///< of a SYN: TCP options of kind 254

  bool operator==(const Packet&) const = default;
};

/// From the first bytes of a packet, which a stranger wrote: each is asked for before it is read.
/// False when IP's headers contradict themselves, or their fixed part is not all there.
bool read_packet(std::span<const std::uint8_t> bytes, Packet& out);

}  // namespace fw
