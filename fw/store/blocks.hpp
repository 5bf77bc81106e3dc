// Blocks: what was requested, and what is in force at a given moment.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "fw/base/address.hpp"

namespace fw {

/// Wall-clock time in milliseconds (blocks must survive a reboot).
using WallTime = std::chrono::sys_time<std::chrono::milliseconds>;
/// As it is stored and sent: since 1970.
constexpr std::int64_t ms_of(WallTime time) { return time.time_since_epoch().count(); }

/// Is one end of a block before another? Absent is for ever, which is later than any time.
inline bool ends_before(const std::optional<WallTime>& a, const std::optional<WallTime>& b) {
  return a && (!b || *a < *b);
}

struct Block {
  IpRange range;
  std::optional<WallTime> until;  ///< absent: permanent
  std::string reason;
  std::string origin;  ///< who holds it: "admin"
  WallTime since{};

  bool operator==(const Block&) const = default;
};

/// The order of a store's rows, which has one for each range and origin at most: what one origin
/// blocks and lifts leaves the others' blocks of the range alone.
inline bool row_before(const Block& a, const Block& b) {
  return std::tie(a.range, a.origin) < std::tie(b.range, b.origin);
}
inline bool same_row(const Block& a, const Block& b) {
  return a.range == b.range && a.origin == b.origin;
}

/// A piece of the address space and when it stops being blocked: pieces of one family are disjoint.
struct BlockedPiece {
  IpRange range;
  std::optional<WallTime> until;

  bool operator==(const BlockedPiece&) const = default;
};

/// What is in force at `now`. Single addresses and networks live in different kernel sets, so they
/// are partitioned apart: `singles` has the latest end of each address that was blocked by itself,
/// `networks` the disjoint partition of all blocked ranges of more than one address, each piece
/// with the latest end of the blocks that cover it; neighbours with one end are merged. Ascending.
struct BlockedNow {
  std::vector<BlockedPiece> singles;
  std::vector<BlockedPiece> networks;

  bool empty() const { return singles.empty() && networks.empty(); }
  bool operator==(const BlockedNow&) const = default;
};
BlockedNow blocked_at(const std::vector<Block>& blocks, WallTime now);

/// What a kernel that holds `before` must lose and gain to hold `after`.
/// Singles and networks stay apart here too: overlapping networks can leave a piece of one address,
/// which is still one of the networks.
struct BlockDelta {
  BlockedNow removed;
  BlockedNow added;  ///< a changed end is in both

  bool empty() const { return removed.empty() && added.empty(); }
  bool operator==(const BlockDelta&) const = default;
};
BlockDelta compare(const BlockedNow& before, const BlockedNow& after);

}  // namespace fw
