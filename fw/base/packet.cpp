// IP, TCP, UDP and ICMP headers.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/base/packet.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

namespace fw {

namespace {

using Bytes = std::span<const std::uint8_t>;

constexpr std::uint8_t kIcmp = 1, kTcp = 6, kUdp = 17, kIcmp6 = 58;
constexpr int kExtensionsMax = 16;  // of an IPv6 packet

/// A number of the network's byte order; the caller has asked whether it is there.
template <class T>
T number(Bytes b, std::size_t at) {
  T value;
  std::memcpy(&value, b.data() + at, sizeof value);
  if constexpr (std::endian::native == std::endian::big) return value;
  if constexpr (sizeof value == 2) return __builtin_bswap16(value);
  if constexpr (sizeof value == 4) return __builtin_bswap32(value);
  if constexpr (sizeof value == 8) return __builtin_bswap64(value);
}
std::uint16_t u16(Bytes b, std::size_t at) { return number<std::uint16_t>(b, at); }

Ip ip4(Bytes b, std::size_t at) { return {Family::ipv4, number<std::uint32_t>(b, at)}; }

Ip ip6(Bytes b, std::size_t at) {
  return {Family::ipv6,
          U128{number<std::uint64_t>(b, at)} << 64 | number<std::uint64_t>(b, at + 8)};
}

/// A SYN's options, as net/netfilter/nft_exthdr.c goes through them.
void read_options(Bytes options, Packet& out) {
  constexpr std::uint8_t kNop = 1, kFastOpen = 34, kExperimental = 254;
  for (std::size_t at = 0; at + 1 < options.size();) {
    const bool alone = options[at] <= kNop || options[at + 1] == 0;
    const std::size_t length = alone ? 1 : options[at + 1];
    if (at + length > options.size()) return;
    if (options[at] == kFastOpen) ++out.fast_open;
    if (options[at] == kExperimental) ++out.experimental;
    at += length;
  }
}

/// `length`: of all that IP says to follow, which may be more than what there is of it.
void read_transport(Bytes b, std::size_t length, Packet& out) {
  const bool tcp = out.protocol == kTcp;
  if (tcp || out.protocol == kUdp) {
    if (b.size() < (tcp ? 14u : 4u)) {
      out.complete = false;
      return;
    }
    out.source_port = u16(b, 0);
    out.destination_port = u16(b, 2);
    if (!tcp) return;
    out.sequence = number<std::uint32_t>(b, 4);
    out.acknowledged = number<std::uint32_t>(b, 8);
    out.tcp_flags = b[13];
    const std::size_t header = (b[12] >> 4) * 4u;
    if (header < 20) return;
    out.payload = static_cast<std::uint32_t>(length > header ? length - header : 0);
    if ((out.tcp_flags & kSyn) != 0 && b.size() > 20) {
      read_options(b.first(std::min(header, b.size())).subspan(20), out);
    }
  } else if (out.protocol == kIcmp || out.protocol == kIcmp6) {
    out.complete = !b.empty();
    if (out.complete) out.icmp_type = b[0];
  }
}

bool read_ip4(Bytes b, Packet& out) {
  if (b.size() < 20 || b[0] >> 4 != 4) return false;
  const std::size_t header = (b[0] & 15u) * 4;
  const std::size_t total = u16(b, 2) != 0 ? u16(b, 2) : b.size();  // 0: cut up by the device
  if (header < 20 || total < header) return false;
  out.source = ip4(b, 12);
  out.destination = ip4(b, 16);
  out.protocol = b[9];
  const bool later_fragment = (u16(b, 6) & 0x1fff) != 0;
  if (later_fragment || header > b.size()) {
    out.complete = false;
    return true;
  }
  read_transport(b.first(std::min(total, b.size())).subspan(header), total - header, out);
  return true;
}

bool is_extension(std::uint8_t type) {
  return type == 0 || type == 43 || type == 44 || type == 51 || type == 60 || type == 135;
}

/// The length of an IPv6 extension header that begins with these bytes, 8 at least.
std::size_t extension_length(std::uint8_t type, Bytes b) {
  if (type == 44) return 8;                // fragment
  if (type == 51) return (b[1] + 2u) * 4;  // authentication
  return (b[1] + 1u) * 8;
}

bool read_ip6(Bytes b, Packet& out) {
  if (b.size() < 40 || b[0] >> 4 != 6) return false;
  out.source = ip6(b, 8);
  out.destination = ip6(b, 24);
  std::uint8_t next = b[6];
  const std::size_t payload = u16(b, 4);
  b = b.subspan(40);
  std::size_t length = payload == 0 ? b.size() : payload;
  const bool cut_off = payload == 0 || payload > b.size();  // 0: a jumbogram
  if (!cut_off) b = b.first(payload);
  for (int i = 0; is_extension(next); ++i) {
    if (i == kExtensionsMax) return false;
    const std::size_t extension = b.size() < 8 ? 8 : extension_length(next, b);
    if (extension > b.size()) {
      out.complete = false;
      return cut_off;
    }
    const bool later_fragment = next == 44 && (u16(b, 2) & 0xfff8) != 0;
    next = b[0];
    b = b.subspan(extension);
    length -= std::min(length, extension);
    if (later_fragment) {
      out.protocol = next;
      out.complete = false;
      return true;
    }
  }
  out.protocol = next;
  read_transport(b, length, out);
  return true;
}

}  // namespace

bool read_packet(Bytes bytes, Packet& out) {
  out = Packet{};
  if (bytes.empty()) return false;
  return bytes[0] >> 4 == 6 ? read_ip6(bytes, out) : read_ip4(bytes, out);
}

}  // namespace fw
