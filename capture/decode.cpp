// From a frame's bytes to what a firewall cares about. A stranger wrote the bytes: each is asked
// for before it is read.
#include "capture/decode.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

#include <pcap/dlt.h>

namespace capture {

namespace {

using Bytes = std::span<const std::uint8_t>;

constexpr std::uint16_t kTypeIp4 = 0x0800, kTypeIp6 = 0x86dd;
constexpr std::uint8_t kIcmp = 1, kTcp = 6, kUdp = 17, kIcmp6 = 58;
// LINKTYPE_RAW in files is 101; some systems' DLT_RAW is 12 or 14.
constexpr int kRawNumbers[] = {DLT_RAW, 101, 12, 14, DLT_IPV4, DLT_IPV6};
constexpr int kTagsMax = 4;         // of VLANs, one inside the other
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

bool is_tag(std::uint16_t type) { return type == 0x8100 || type == 0x88a8 || type == 0x9100; }

Direction direction_of(unsigned packet_type) {
  switch (packet_type) {
    case 0:
      return Direction::incoming;
    case 4:
      return Direction::outgoing;
    default:
      return Direction::foreign;
  }
}

/// What stands before the network's packet: its length, and the type of what follows.
struct Link {
  std::size_t length = 0;
  std::uint16_t type = 0;
};

std::optional<Link> read_link(LinkType link, Bytes frame, Packet& out) {
  switch (link) {
    case LinkType::ethernet:
      if (frame.size() < 14) return {};
      return Link{14, u16(frame, 12)};
    case LinkType::cooked:
      if (frame.size() < 16) return {};
      out.direction = direction_of(u16(frame, 0));
      return Link{16, u16(frame, 14)};
    case LinkType::cooked2:
      if (frame.size() < 20) return {};
      out.direction = direction_of(frame[10]);
      return Link{20, u16(frame, 0)};
    case LinkType::null:
    case LinkType::raw: {
      const std::size_t length = link == LinkType::null ? 4 : 0;
      if (frame.size() <= length) return {};
      return Link{length, frame[length] >> 4 == 6 ? kTypeIp6 : kTypeIp4};
    }
  }
  return {};
}

fw::Ip ip4(Bytes b, std::size_t at) { return {fw::Family::ipv4, number<std::uint32_t>(b, at)}; }

fw::Ip ip6(Bytes b, std::size_t at) {
  return {fw::Family::ipv6,
          fw::U128{number<std::uint64_t>(b, at)} << 64 | number<std::uint64_t>(b, at + 8)};
}

void read_transport(Bytes b, Packet& out) {
  const bool tcp = out.protocol == kTcp;
  if (tcp || out.protocol == kUdp) {
    if (b.size() < (tcp ? 14u : 4u)) {
      out.complete = false;
      return;
    }
    out.source_port = u16(b, 0);
    out.destination_port = u16(b, 2);
    if (tcp) out.tcp_flags = b[13];
  } else if (out.protocol == kIcmp || out.protocol == kIcmp6) {
    out.complete = !b.empty();
    if (out.complete) out.icmp_type = b[0];
  }
}

Decoded read_ip4(Bytes b, Packet& out) {
  if (b.size() < 20 || b[0] >> 4 != 4) return Decoded::malformed;
  const std::size_t header = (b[0] & 15u) * 4;
  const std::size_t total = u16(b, 2) != 0 ? u16(b, 2) : b.size();  // 0: cut up by the device
  if (header < 20 || header > b.size() || total < header) return Decoded::malformed;
  out.source = ip4(b, 12);
  out.destination = ip4(b, 16);
  out.protocol = b[9];
  if ((u16(b, 6) & 0x1fff) != 0) {
    out.complete = false;
    return Decoded::packet;
  }
  read_transport(b.first(std::min(total, b.size())).subspan(header), out);
  return Decoded::packet;
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

Decoded read_ip6(Bytes b, Packet& out) {
  if (b.size() < 40 || b[0] >> 4 != 6) return Decoded::malformed;
  out.source = ip6(b, 8);
  out.destination = ip6(b, 24);
  std::uint8_t next = b[6];
  const std::size_t payload = u16(b, 4);
  b = b.subspan(40);
  if (payload != 0) b = b.first(std::min(payload, b.size()));  // 0: a jumbogram
  for (int i = 0; is_extension(next); ++i) {
    if (i == kExtensionsMax || b.size() < 8) return Decoded::malformed;
    const std::size_t length = extension_length(next, b);
    if (length > b.size()) return Decoded::malformed;
    const bool later_fragment = next == 44 && (u16(b, 2) & 0xfff8) != 0;
    next = b[0];
    b = b.subspan(length);
    if (later_fragment) {
      out.protocol = next;
      out.complete = false;
      return Decoded::packet;
    }
  }
  out.protocol = next;
  read_transport(b, out);
  return Decoded::packet;
}

}  // namespace

std::optional<LinkType> link_type(int number) {
  if (std::find(std::begin(kRawNumbers), std::end(kRawNumbers), number) != std::end(kRawNumbers)) {
    return LinkType::raw;
  }
  switch (number) {
    case DLT_EN10MB:
      return LinkType::ethernet;
    case DLT_LINUX_SLL:
      return LinkType::cooked;
    case DLT_LINUX_SLL2:
      return LinkType::cooked2;
    case DLT_NULL:
    case DLT_LOOP:
      return LinkType::null;
    default:
      return {};
  }
}

Decoded decode(LinkType link, Bytes frame, Packet& out) {
  out = Packet{};
  auto begin = read_link(link, frame, out);
  if (!begin) return Decoded::malformed;
  for (int i = 0; i < kTagsMax && is_tag(begin->type); ++i) {
    if (frame.size() < begin->length + 4) return Decoded::malformed;
    *begin = {begin->length + 4, u16(frame, begin->length + 2)};
  }
  const Bytes packet = frame.subspan(begin->length);
  if (begin->type == kTypeIp4) return read_ip4(packet, out);
  if (begin->type == kTypeIp6) return read_ip6(packet, out);
  return Decoded::not_ip;
}

}  // namespace capture
