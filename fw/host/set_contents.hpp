// What becomes of the sets that lists and blocks fill: too large to read back, so a version in the
// manifest tells what the kernel holds, and only the difference is sent.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "chains/netlink/kernel.hpp"
#include "chains/transaction.hpp"
#include "fw/host/target.hpp"

namespace fw {

/// How a set that lists or blocks fill changes.
struct ContentChange {
  std::string what;       ///< "block lists", "allow lists", "blocks"
  std::size_t added = 0;  ///< elements
  std::size_t removed = 0;
  bool whole = false;  ///< everything is reloaded
};

struct SetContents {
  std::vector<ContentChange> summary;      ///< empty: nothing changes
  std::vector<chains::SetUpdate> updates;  ///< with all that they need
  /// How far the wall clock was set since the kernel got its blocks, if it gets them again for
  /// that.
  std::chrono::milliseconds clock_step{0};
};

/// Decides what each set must lose and gain; loads only what that needs. Without a store blocks
/// stay as they are.
Result<SetContents> plan_contents(const chains::Observed& observed, const Target& target,
                                  const chains::Plan& plan, Lists& lists, Store* store);

/// The elements of the managed sets of a target, for chains::write_nft. Without a store there are
/// no blocks.
Result<chains::ManagedElements> managed_elements(const Target& target, Lists& lists, Store* store);

/// What a change of blocks takes away and adds. `delta` outlives the updates, unless `owner` keeps
/// it.
std::vector<chains::SetUpdate> update_blocks(const BlockDelta& delta, WallTime now,
                                             const std::shared_ptr<const void>& owner = {});

}  // namespace fw
