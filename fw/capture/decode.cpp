// From a frame's bytes to what a firewall cares about. A stranger wrote the bytes: each is asked
// for before it is read.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/capture/decode.hpp"

#include <algorithm>

#include <linux/if_arp.h>
#include <pcap/dlt.h>

namespace capture {

namespace {

using Bytes = std::span<const std::uint8_t>;

constexpr std::uint16_t kTypeIp4 = 0x0800, kTypeIp6 = 0x86dd, kTypeNone = 0;
// LINKTYPE_RAW in files is 101; some systems' DLT_RAW is 12 or 14.
constexpr int kRawNumbers[] = {DLT_RAW, 101, 12, 14, DLT_IPV4, DLT_IPV6};
constexpr int kTagsMax = 4;  // of VLANs, one inside the other

std::uint16_t u16(Bytes b, std::size_t at) {
  return static_cast<std::uint16_t>(b[at] << 8 | b[at + 1]);
}

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

/// Devices whose cooked frames say something else where others have the type of what follows.
bool is_other_device(unsigned hardware) {
  return hardware == ARPHRD_NETLINK || hardware == ARPHRD_FRAD ||
         hardware == ARPHRD_IEEE80211_RADIOTAP;
}

std::optional<Link> read_link(LinkType link, Bytes frame, Packet& out) {
  switch (link) {
    case LinkType::ethernet:
      if (frame.size() < 14) return {};
      return Link{14, u16(frame, 12)};
    case LinkType::cooked:
      if (frame.size() < 16) return {};
      out.direction = direction_of(u16(frame, 0));
      return Link{16, is_other_device(u16(frame, 2)) ? kTypeNone : u16(frame, 14)};
    case LinkType::cooked2:
      if (frame.size() < 20) return {};
      out.direction = direction_of(frame[10]);
      return Link{20, is_other_device(u16(frame, 8)) ? kTypeNone : u16(frame, 0)};
    case LinkType::null:
    case LinkType::raw: {
      const std::size_t length = link == LinkType::null ? 4 : 0;
      if (frame.size() <= length) return {};
      return Link{length, frame[length] >> 4 == 6 ? kTypeIp6 : kTypeIp4};
    }
  }
  return {};
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
  if (begin->type != kTypeIp4 && begin->type != kTypeIp6) return Decoded::not_ip;
  const Bytes packet = frame.subspan(begin->length);
  const bool six = !packet.empty() && packet[0] >> 4 == 6;
  const bool fits = six == (begin->type == kTypeIp6);
  return fits && fw::read_packet(packet, out) ? Decoded::packet : Decoded::malformed;
}

}  // namespace capture
