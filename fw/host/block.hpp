// Blocking and unblocking, in the store and in the kernel.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "chains/admission.hpp"
#include "chains/netlink/kernel.hpp"
#include "fw/store/store.hpp"

namespace fw {

struct BlockOutcome {
  BlockChange change;
  bool in_force = false;  ///< the kernel has it; else there is no table yet: the next apply does
  std::size_t flows_cut = 0;  ///< admitted flows that lost their admission
  std::vector<std::string> warnings;
};

/// Whose open connections a block cuts: those of all that is blocked (an earlier command may have
/// died before it had cut its own), or only those of what it adds, which costs nothing however much
/// is blocked.
enum class Cut : std::uint8_t { all, added };

/// Durable first, then in the kernel: a crash between the two loses nothing, the next apply or
/// block completes it. Only set elements change, never rules. The state folder is locked by the
/// caller.
Result<BlockOutcome> block(chains::Kernel& kernel, Store& store, chains::Admission admission,
                           const std::vector<Block>& add, WallTime now, Cut cut = Cut::all);
Result<BlockOutcome> unblock(chains::Kernel& kernel, Store& store,
                             const std::vector<IpRange>& ranges, WallTime now,
                             const std::string& origin = {});

/// Would packets of this source be dropped, because it is blocked or on a block list? By the
/// kernel's sets; without a table nothing is dropped.
Result<bool> is_blocked(chains::Kernel& kernel, Ip source);

}  // namespace fw
