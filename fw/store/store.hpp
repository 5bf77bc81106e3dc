// The state that survives a reboot: blocks, in an embedded SQLite database.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "fw/store/blocks.hpp"

namespace fw {

/// What a change of blocks came to, for the kernel and for the person who asked.
struct BlockChange {
  BlockDelta delta;                     ///< for the kernel sets
  std::uint64_t generation = 0;         ///< after the change
  std::vector<Block> kept_longer;       ///< block: own rows that lasted longer than what was asked
  std::vector<Block> longer_by_others;  ///< block: other origins' rows of the ranges that do
  std::vector<Block> removed;           ///< unblock: the rows that went
  std::vector<Block> still_covers;  ///< unblock: what remains and covers (part of) what was asked
  std::vector<IpRange> not_found;  ///< unblock: asked for, but no block is equal to it or inside it
};

/// Every change is one durable transaction (on disk when the call returns). The generation begins
/// at the second in which the store was made, and grows by one with each change; the kernel carries
/// the generation that it holds. A call that leaves all rows as they are is no change. Safe for
/// several processes at once. Expired rows are forgotten at the next change.
class Store {
 public:
  /// Opens or creates `state_dir`/state.db (folder 0700, file 0600). A database of a newer schema,
  /// a damaged one or one that cannot be written is an error of code store that names the remedy.
  static Result<Store> open(const std::string& state_dir);

  Store(Store&&) noexcept;
  Store& operator=(Store&&) noexcept;
  ~Store();

  /// Blocks that have not ended at `now`, by row_before, and the generation that they are.
  struct Snapshot {
    std::vector<Block> blocks;
    std::uint64_t generation = 0;
  };
  Result<Snapshot> blocks(WallTime now);
  /// How many of them each origin made, without reading them.
  Result<std::map<std::string, std::uint64_t>> origins(WallTime now);
  /// Only the number: what `apply` asks when nothing has to be done. 0 before the first change.
  Result<std::uint64_t> generation();

  /// Adds blocks; one of the same range and origin keeps the later end, and takes the new reason
  /// if one is given. A range is blocked until the last of its blocks ends.
  /// More than kBlocksMax active blocks is an error, and nothing is changed.
  Result<BlockChange> block(const std::vector<Block>& add, WallTime now);

  /// Removes the blocks that are equal to or inside each range, of all origins or of one.
  Result<BlockChange> unblock(const std::vector<IpRange>& ranges, WallTime now,
                              const std::string& origin = {});

 private:
  struct Impl;
  explicit Store(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace fw
