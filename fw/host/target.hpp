// What the kernel should hold: a policy, compiled for this host with its lists and blocks.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstdint>
#include <optional>

#include "chains/compile.hpp"
#include "chains/netlink/batch.hpp"
#include "fw/lists/lists.hpp"
#include "fw/policy/policy.hpp"
#include "fw/store/store.hpp"

namespace fw {

/// The rules and what they were made from. What lists and blocks hold is not copied here: digests
/// and a generation name it.
struct Target {
  chains::HostFacts facts;
  chains::Ruleset ruleset;
  EffectiveLists lists;
};

/// Lists as their files are now, or as they were last applied: a repair takes no file that somebody
/// is still writing.
enum class ListUse : std::uint8_t { read, remembered };

/// What the policy asks of the kernel now, in a panic or not; reads lists that changed. Without a
/// store there are no blocks.
Result<Target> compile_target(const Policy& policy, Lists& lists, Store* store,
                              std::optional<chains::Panic> panic, ListUse use = ListUse::read,
                              Shrunk shrunk = Shrunk::keep_last_good);

/// The batch that makes the target's tables where there are none, for generation 0, without the
/// elements of lists and blocks.
chains::Batch encode_creation(const Target& target);

}  // namespace fw
