// What evaluating a ruleset needs besides it: who is listed and blocked, and what packets have
// left.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "chains/evaluate.hpp"
#include "chains/netlink/kernel.hpp"
#include "fw/host/target.hpp"

namespace fw {

/// Of a target, by its lists and the store's blocks; without a store nobody is blocked.
Result<chains::Managed> managed_sets(const Target& target, Lists& lists, Store* store);

/// Of the kernel, by one question a set; a set that cannot be asked is not known. `kernel` outlives
/// it.
chains::Managed managed_sets(chains::Kernel& kernel);

/// What the kernel has learned of a source, at time 0. It tells when an element ends, not how many
/// tokens are left: of a bucket at least what came back since it was last asked, of a named limit
/// nothing.
Result<chains::State> learned_of(chains::Kernel& kernel, const chains::Ruleset& ruleset, Ip source);

}  // namespace fw
