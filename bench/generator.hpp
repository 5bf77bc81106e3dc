// Makes packets inside the kernel: an XDP program that is run on live frames.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "bench/namespaces.hpp"

namespace bench {

enum class Family : std::uint8_t { ip4, ip6 };

/// What is the same in every packet, and what the packet's number changes. Only 16 bits of the
/// source address and the source port change: they are single checksum words.
struct Stream {
  Family family = Family::ip4;
  bool tcp = false;
  std::uint8_t tcp_flags = 0;
  std::uint16_t destination_port = 0;
  std::uint32_t sequence = 0;
  std::uint32_t acknowledgment = 0;
  /// Network byte order. The changing word is the last of an IPv4 address and the fourth, that is
  /// the one that ends the /64, of an IPv6 address.
  std::vector<std::uint8_t> source;
  std::vector<std::uint8_t> destination;

  /// word = source_base + ((number & source_mask) << source_shift)
  std::uint16_t source_base = 0;
  std::uint16_t source_mask = 0;
  std::uint8_t source_shift = 0;
  /// port = port_base + ((number >> port_skip) & port_mask)
  std::uint16_t port_base = 0;
  std::uint16_t port_mask = 0;
  std::uint8_t port_skip = 0;
};

constexpr std::uint8_t kTcpSyn = 0x02;
constexpr std::uint8_t kTcpAck = 0x10;

/// A loaded program and its packet. Packet numbers start at 0.
class Generator {
 public:
  Generator(const Stream& stream, const NamespacePair& pair);

  /// Sends `count` packets from the sender to the host and returns when the host has dealt with
  /// them: ns a packet, by the kernel's own clock around the loop. (The call takes some 20 ms more
  /// to make and to give back its page pool.) The calling thread must be in the sender's namespace.
  std::uint32_t send(std::uint32_t count);

 private:
  std::vector<std::uint8_t> packet_;
  int sender_index_;
  Fd counter_;
  Fd program_;
};

/// Drops every packet on the host's interface before the host sees it, until the Fd is closed.
/// The calling thread must be in the host's namespace.
Fd attach_xdp_drop(const NamespacePair& pair);

}  // namespace bench
