// From overlapping blocks to disjoint pieces, and the difference between two such partitions.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/store/blocks.hpp"

#include <algorithm>
#include <queue>
#include <utility>

namespace fw {
namespace {

bool by_range(const BlockedPiece& a, const BlockedPiece& b) { return a.range < b.range; }

/// Appends a piece, grown into its left neighbour where both end at the same time.
void append(std::vector<BlockedPiece>& pieces, const BlockedPiece& piece) {
  if (!pieces.empty()) {
    BlockedPiece& left = pieces.back();
    if (left.until == piece.until && left.range.family == piece.range.family &&
        left.range.last + 1 == piece.range.first) {
      left.range.last = piece.range.last;
      return;
    }
  }
  pieces.push_back(piece);
}

std::vector<BlockedPiece> latest_ends(std::vector<BlockedPiece> singles) {
  std::sort(singles.begin(), singles.end(), by_range);
  auto out = singles.begin();
  for (auto in = singles.begin(); in != singles.end(); ++in) {
    if (in == out) continue;
    if (in->range == out->range) {
      if (ends_before(out->until, in->until)) out->until = in->until;
    } else {
      *++out = *in;
    }
  }
  if (out != singles.end()) singles.erase(std::next(out), singles.end());
  return singles;
}

/// A sweep from the lowest address up over the networks of one family, ascending. The network that
/// ends last rules from where the sweep stands to its last address, or to where another begins.
void partition(const BlockedPiece* next, const BlockedPiece* end, std::vector<BlockedPiece>& out) {
  const auto rules_less = [](const BlockedPiece& a, const BlockedPiece& b) {
    return ends_before(a.until, b.until) || (a.until == b.until && a.range.last < b.range.last);
  };
  std::priority_queue<BlockedPiece, std::vector<BlockedPiece>, decltype(rules_less)> here(
      rules_less);
  U128 at = 0;
  while (next != end || !here.empty()) {
    if (here.empty()) at = next->range.first;
    while (next != end && next->range.first <= at) here.push(*next++);
    const BlockedPiece ruler = here.top();
    if (ruler.range.last < at) {
      here.pop();
      continue;
    }
    U128 stop = ruler.range.last;
    if (next != end && next->range.first <= stop) stop = next->range.first - 1;
    append(out, {{ruler.range.family, at, stop}, ruler.until});
    if (stop == address_max(ruler.range.family)) return;
    at = stop + 1;
  }
}

std::vector<BlockedPiece> partition(std::vector<BlockedPiece> networks) {
  std::sort(networks.begin(), networks.end(), by_range);
  const auto ipv6 = std::partition_point(
      networks.begin(), networks.end(),
      [](const BlockedPiece& piece) { return piece.range.family == Family::ipv4; });
  const BlockedPiece* const middle = networks.data() + (ipv6 - networks.begin());
  std::vector<BlockedPiece> pieces;
  partition(networks.data(), middle, pieces);
  partition(middle, networks.data() + networks.size(), pieces);
  return pieces;
}

void compare(const std::vector<BlockedPiece>& before, const std::vector<BlockedPiece>& after,
             std::vector<BlockedPiece>& removed, std::vector<BlockedPiece>& added) {
  auto b = before.begin();
  auto a = after.begin();
  while (b != before.end() && a != after.end()) {
    if (*b == *a) {
      ++b;
      ++a;
    } else if (b->range == a->range) {
      removed.push_back(*b++);
      added.push_back(*a++);
    } else if (b->range < a->range) {
      removed.push_back(*b++);
    } else {
      added.push_back(*a++);
    }
  }
  removed.insert(removed.end(), b, before.end());
  added.insert(added.end(), a, after.end());
}

}  // namespace

BlockedNow blocked_at(const std::vector<Block>& blocks, WallTime now) {
  BlockedNow all;
  for (const Block& block : blocks) {
    if (block.until && *block.until <= now) continue;
    (block.range.single() ? all.singles : all.networks).push_back({block.range, block.until});
  }
  return {latest_ends(std::move(all.singles)), partition(std::move(all.networks))};
}

BlockDelta compare(const BlockedNow& before, const BlockedNow& after) {
  BlockDelta delta;
  compare(before.singles, after.singles, delta.removed.singles, delta.added.singles);
  compare(before.networks, after.networks, delta.removed.networks, delta.added.networks);
  return delta;
}

}  // namespace fw
