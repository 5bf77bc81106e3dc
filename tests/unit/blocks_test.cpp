// What is in force at a moment, against an oracle that asks each address by itself.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/store/blocks.hpp"

#include <algorithm>
#include <map>
#include <random>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

namespace fw {
namespace {

using std::chrono::milliseconds;

std::optional<WallTime> end_at(int ms) { return WallTime(milliseconds(ms)); }

Block block(IpRange range, std::optional<WallTime> until) {
  return {range, until, "", "admin", WallTime{}};
}
IpRange v4(U128 first, U128 last) { return {Family::ipv4, first, last}; }

TEST(BlockedAt, LeavesOutWhatHasEnded) {
  const std::vector<Block> blocks{block(v4(1, 1), end_at(100)), block(v4(8, 15), end_at(100))};
  EXPECT_EQ(blocked_at(blocks, *end_at(99)).singles.size(), 1u);
  EXPECT_TRUE(blocked_at(blocks, *end_at(100)).empty());
}

TEST(BlockedAt, ANestedLongerBlockSplitsItsNetwork) {
  const BlockedNow now =
      blocked_at({block(v4(0, 255), end_at(100)), block(v4(16, 31), end_at(200))}, {});
  EXPECT_EQ(now.networks,
            (std::vector<BlockedPiece>{
                {v4(0, 15), end_at(100)}, {v4(16, 31), end_at(200)}, {v4(32, 255), end_at(100)}}));
}

TEST(BlockedAt, ANestedShorterBlockChangesNothing) {
  const BlockedNow now = blocked_at({block(v4(0, 255), {}), block(v4(16, 31), end_at(200))}, {});
  EXPECT_EQ(now.networks, (std::vector<BlockedPiece>{{v4(0, 255), {}}}));
}

TEST(BlockedAt, MergesNeighboursThatEndTogether) {
  const BlockedNow now = blocked_at(
      {block(v4(0, 7), end_at(9)), block(v4(8, 15), end_at(9)), block(v4(16, 23), end_at(8))}, {});
  EXPECT_EQ(now.networks,
            (std::vector<BlockedPiece>{{v4(0, 15), end_at(9)}, {v4(16, 23), end_at(8)}}));
}

TEST(BlockedAt, KeepsSinglesApartFromNetworks) {
  const BlockedNow now = blocked_at({block(v4(4, 4), end_at(50)), block(v4(0, 7), {})}, {});
  EXPECT_EQ(now.singles, (std::vector<BlockedPiece>{{v4(4, 4), end_at(50)}}));
  EXPECT_EQ(now.networks, (std::vector<BlockedPiece>{{v4(0, 7), {}}}));
}

TEST(BlockedAt, APieceOfOneAddressStaysANetwork) {
  const BlockedNow now = blocked_at(
      {block(v4(0, 9), end_at(50)), block(v4(5, 6), end_at(100)), block(v4(6, 7), end_at(200))},
      {});
  EXPECT_TRUE(now.singles.empty());
  EXPECT_EQ(now.networks[1], (BlockedPiece{v4(5, 5), end_at(100)}));
}

TEST(BlockedAt, ReachesBothEndsOfTheAddressSpace) {
  const IpRange all6{Family::ipv6, 0, address_max(Family::ipv6)};
  const BlockedNow now = blocked_at(
      {block(all6, end_at(7)), block(v4(0, address_max(Family::ipv4)), {}),
       block({Family::ipv6, address_max(Family::ipv6) - 1, address_max(Family::ipv6)}, end_at(9))},
      {});
  EXPECT_EQ(
      now.networks,
      (std::vector<BlockedPiece>{
          {v4(0, address_max(Family::ipv4)), {}},
          {{Family::ipv6, 0, address_max(Family::ipv6) - 2}, end_at(7)},
          {{Family::ipv6, address_max(Family::ipv6) - 1, address_max(Family::ipv6)}, end_at(9)}}));
}

std::vector<Block> random_blocks(std::mt19937& random) {
  std::vector<Block> blocks;
  for (std::size_t n = random() % 14; n > 0; --n) {
    const Family family = random() % 2 == 0 ? Family::ipv4 : Family::ipv6;
    const U128 base = random() % 2 == 0 ? 0 : address_max(family) - 63;
    const U128 first = random() % 64;
    const U128 last = random() % 3 == 0 ? first : std::min<U128>(63, first + random() % 20);
    std::optional<WallTime> until;
    if (random() % 5 != 0) until = end_at(static_cast<int>(random() % 6));
    blocks.push_back(block({family, base + first, base + last}, until));
  }
  return blocks;
}

/// The end of each blocked address, and of each address that is blocked by itself.
using Ends = std::map<std::pair<bool, Ip>, std::optional<WallTime>>;

void extend(Ends& ends, bool single, const IpRange& range, const std::optional<WallTime>& until) {
  for (U128 i = 0; i <= range.last - range.first; ++i) {
    const auto [end, first] = ends.try_emplace({single, {range.family, range.first + i}}, until);
    if (!first && end->second && (!until || *end->second < *until)) end->second = until;
  }
}

TEST(BlockedAt, IsTheLatestEndOfEachAddress) {
  std::mt19937 random(11);
  for (int round = 0; round < 3000; ++round) {
    const std::vector<Block> blocks = random_blocks(random);
    const BlockedNow now = blocked_at(blocks, *end_at(2));
    Ends wanted, found;
    for (const Block& b : blocks)
      if (!b.until || *b.until > *end_at(2)) extend(wanted, b.range.single(), b.range, b.until);
    for (const BlockedPiece& piece : now.singles) extend(found, true, piece.range, piece.until);
    for (const BlockedPiece& piece : now.networks) extend(found, false, piece.range, piece.until);
    ASSERT_EQ(found, wanted);
    for (const auto* pieces : {&now.singles, &now.networks}) {
      for (std::size_t i = 1; i < pieces->size(); ++i) {
        const BlockedPiece& left = (*pieces)[i - 1];
        const BlockedPiece& right = (*pieces)[i];
        ASSERT_TRUE(left.range < right.range && !left.range.overlaps(right.range));
        const bool could_be_one = pieces == &now.networks && left.until == right.until &&
                                  left.range.family == right.range.family &&
                                  left.range.last + 1 == right.range.first;
        ASSERT_FALSE(could_be_one);
      }
    }
  }
}

std::vector<BlockedPiece> applied(std::vector<BlockedPiece> pieces,
                                  const std::vector<BlockedPiece>& removed,
                                  const std::vector<BlockedPiece>& added) {
  for (const BlockedPiece& piece : removed) EXPECT_EQ(std::erase(pieces, piece), 1u);
  pieces.insert(pieces.end(), added.begin(), added.end());
  std::sort(pieces.begin(), pieces.end(),
            [](const BlockedPiece& a, const BlockedPiece& b) { return a.range < b.range; });
  return pieces;
}

TEST(CompareBlocked, LeadsFromBeforeToAfterAndTouchesNothingElse) {
  std::mt19937 random(12);
  for (int round = 0; round < 1000; ++round) {
    const BlockedNow before = blocked_at(random_blocks(random), {});
    const BlockedNow after = blocked_at(random_blocks(random), {});
    const BlockDelta delta = compare(before, after);
    ASSERT_EQ(applied(before.singles, delta.removed.singles, delta.added.singles), after.singles);
    ASSERT_EQ(applied(before.networks, delta.removed.networks, delta.added.networks),
              after.networks);
    for (const BlockedPiece& piece : delta.added.networks)
      ASSERT_EQ(std::count(before.networks.begin(), before.networks.end(), piece), 0);
    ASSERT_TRUE(compare(after, after).empty());
  }
}

TEST(CompareBlocked, AChangedEndIsInBoth) {
  const BlockDelta delta =
      compare(blocked_at({block(v4(1, 1), end_at(5))}, {}), blocked_at({block(v4(1, 1), {})}, {}));
  EXPECT_EQ(delta.removed.singles, (std::vector<BlockedPiece>{{v4(1, 1), end_at(5)}}));
  EXPECT_EQ(delta.added.singles, (std::vector<BlockedPiece>{{v4(1, 1), {}}}));
}

}  // namespace
}  // namespace fw
