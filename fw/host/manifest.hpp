// What the kernel notes of the sets that are too large to read back: which version of the lists and
// blocks they hold.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "chains/ruleset.hpp"
#include "chains/transaction.hpp"
#include "fw/policy/policy.hpp"
#include "fw/store/blocks.hpp"

namespace fw {

/// The digest of what the sets of all lists of an action hold, by the manifest of a table, which is
/// null when it is not there; "" if that does not tell.
std::string noted_lists(const chains::Ruleset* table, ListAction action);
/// The same of one list that [[open]] names.
std::string noted_list(const chains::Ruleset* table, std::string_view name);

/// The first label bit that the rules in the kernel work with; nothing if it does not tell.
std::optional<int> noted_label(const chains::Ruleset* table);
/// The same by a manifest's elements.
std::optional<int> manifest_label(const std::vector<chains::Element>& manifest);

/// The version of the blocks that the kernel holds, the greatest, and Clocks::began when it got it;
/// 0 and nothing if there is none.
struct ObservedBlocks {
  std::uint64_t version = 0;
  std::optional<WallTime> began;

  /// These very blocks, with timers that end when the blocks do.
  bool are(std::uint64_t generation, WallTime began_now) const;
  bool operator==(const ObservedBlocks&) const = default;
};
ObservedBlocks observed_blocks(const std::vector<chains::Element>& versions);
/// A time in milliseconds since 1970, in digits; nothing when it is none.
std::optional<WallTime> parse_began(std::string_view text);
/// Adds that note.
chains::AddElements note_blocks(std::uint64_t generation, WallTime began);

}  // namespace fw
