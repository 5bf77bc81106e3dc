// Conntrack's socket filter: fixed offsets, and a binary search over port ranges.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "chains/netlink/flow_filter.hpp"

#include <algorithm>
#include <bit>
#include <functional>
#include <span>

#include <linux/netfilter/nfnetlink_conntrack.h>
#include <sys/socket.h>

namespace chains {

using fw::PortRange;
using fw::Protocol;

namespace {

constexpr std::uint32_t kPass = 0xffffffff;
constexpr std::uint32_t kDrop = 0;
constexpr std::uint32_t kFamilyAt = 16;  // after nlmsghdr
// Slots of the filter's memory.
constexpr std::uint32_t kProtocolSlot = 0;
constexpr std::uint32_t kPortSlot = 1;

/// Where things stand in a message: nlmsghdr (16), nfgenmsg (4), then CTA_TUPLE_ORIG with
/// CTA_TUPLE_IP of two addresses and CTA_TUPLE_PROTO of number, source port, destination port.
/// Every attribute begins with 4 bytes of length and type.
struct Layout {
  std::uint32_t address_bytes;

  static constexpr std::uint32_t original() { return 20; }
  constexpr std::uint32_t protocol() const { return original() + 4 + 4 + 2 * (4 + address_bytes); }
  constexpr std::uint32_t number() const { return protocol() + 4; }
  constexpr std::uint32_t destination_port() const { return number() + 8 + 8; }
};

class Program {
 public:
  std::vector<sock_filter> take() { return std::move(code_); }

  void pass() { put(BPF_RET | BPF_K, kPass); }
  void drop() { put(BPF_RET | BPF_K, kDrop); }

  /// Jumps over what `body` makes unless the byte at `at` is `value`.
  void if_byte(std::uint32_t at, std::uint32_t value, const std::function<void()>& body) {
    put(BPF_LD | BPF_B | BPF_ABS, at);
    unless(BPF_JEQ, value, body);
  }

  /// Passes messages that are laid out otherwise; keeps protocol and port of the rest.
  void read(const Layout& layout) {
    require_type(layout.original(), CTA_TUPLE_ORIG);
    require_type(layout.protocol(), CTA_TUPLE_PROTO);
    require_type(layout.number(), CTA_PROTO_NUM);
    require_type(layout.destination_port(), CTA_PROTO_DST_PORT);
    put(BPF_LD | BPF_B | BPF_ABS, layout.number() + 4);
    put(BPF_ST, kProtocolSlot);
    put(BPF_LD | BPF_H | BPF_ABS, layout.destination_port() + 4);
    put(BPF_ST, kPortSlot);
  }

  /// Decides a protocol by `ranges`, ascending and apart.
  void decide(Protocol protocol, std::span<const PortRange> ranges) {
    put(BPF_LD | BPF_W | BPF_MEM, kProtocolSlot);
    unless(BPF_JEQ, static_cast<std::uint32_t>(protocol), [&] {
      put(BPF_LD | BPF_W | BPF_MEM, kPortSlot);
      search(ranges);
    });
  }

 private:
  void put(unsigned operation, std::uint32_t k, std::uint8_t yes = 0, std::uint8_t no = 0) {
    code_.push_back({static_cast<std::uint16_t>(operation), yes, no, k});
  }

  /// The body runs when the comparison holds. Only a plain jump reaches over a long body.
  void unless(unsigned comparison, std::uint32_t k, const std::function<void()>& body) {
    put(BPF_JMP | comparison | BPF_K, k, 1, 0);
    const std::size_t jump = code_.size();
    put(BPF_JMP | BPF_JA, 0);
    body();
    code_[jump].k = static_cast<std::uint32_t>(code_.size() - jump - 1);
  }

  void require_type(std::uint32_t attribute, std::uint32_t type) {
    // The type is in the host's byte order, with flags in its high byte.
    const std::uint32_t low = attribute + 2 + (std::endian::native == std::endian::little ? 0 : 1);
    put(BPF_LD | BPF_B | BPF_ABS, low);
    put(BPF_JMP | BPF_JEQ | BPF_K, type, 1, 0);
    pass();
  }

  void search(std::span<const PortRange> ranges) {
    if (ranges.empty()) return drop();
    if (ranges.size() == 1) {
      put(BPF_JMP | BPF_JGE | BPF_K, ranges[0].first, 0, 2);
      put(BPF_JMP | BPF_JGT | BPF_K, ranges[0].last, 1, 0);
      pass();
      return drop();
    }
    const std::size_t half = ranges.size() / 2;
    unless(BPF_JGE, ranges[half].first, [&] { search(ranges.subspan(half)); });
    search(ranges.first(half));
  }

  std::vector<sock_filter> code_;
};

/// Ascending and apart.
std::vector<PortRange> disjoint(std::vector<PortRange> ports) {
  std::sort(ports.begin(), ports.end());
  std::vector<PortRange> ranges;
  for (const PortRange& p : ports) {
    if (!ranges.empty() && ranges.back().protocol == p.protocol &&
        p.first <= ranges.back().last + 1) {
      ranges.back().last = std::max(ranges.back().last, p.last);
    } else {
      ranges.push_back(p);
    }
  }
  return ranges;
}

/// At most `max`, joined over the smallest gaps. Ranges of two protocols cannot be joined.
std::vector<PortRange> coarse(std::vector<PortRange> ranges, std::size_t max) {
  if (ranges.size() <= max) return ranges;
  std::vector<int> gaps;  // behind each range
  for (std::size_t i = 0; i + 1 < ranges.size(); ++i) {
    const bool joinable = ranges[i].protocol == ranges[i + 1].protocol;
    gaps.push_back(joinable ? ranges[i + 1].first - ranges[i].last : 1 << 16);
  }
  std::vector<int> sorted = gaps;
  const std::size_t joins = ranges.size() - max;
  std::nth_element(sorted.begin(), sorted.begin() + static_cast<std::ptrdiff_t>(joins) - 1,
                   sorted.end());
  const int widest = sorted[joins - 1];
  std::vector<PortRange> joined{ranges[0]};
  for (std::size_t i = 1; i < ranges.size(); ++i) {
    if (gaps[i - 1] <= widest) {
      joined.back().last = ranges[i].last;
    } else {
      joined.push_back(ranges[i]);
    }
  }
  return joined;
}

}  // namespace

std::vector<sock_filter> flow_filter(std::vector<PortRange> ports) {
  const auto ranges = coarse(disjoint(std::move(ports)), kFilterRangesMax);
  const auto udp = std::find_if(ranges.begin(), ranges.end(),
                                [](const PortRange& r) { return r.protocol == Protocol::udp; });
  Program program;
  for (const auto& [family, layout] : {std::pair{AF_INET, Layout{4}}, {AF_INET6, Layout{16}}}) {
    program.if_byte(kFamilyAt, static_cast<std::uint32_t>(family), [&] {
      program.read(layout);
      program.decide(Protocol::tcp, {ranges.begin(), udp});
      program.decide(Protocol::udp, {udp, ranges.end()});
    });
  }
  program.drop();
  return program.take();
}

}  // namespace chains
