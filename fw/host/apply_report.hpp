// What an apply found and did.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "chains/compile.hpp"
#include "chains/diff.hpp"
#include "chains/netlink/kernel.hpp"
#include "fw/host/set_contents.hpp"
#include "fw/lists/lists.hpp"

namespace fw {

struct Difference {
  chains::Description rules;  ///< of a commit, kDescribedMax lines at most
  std::vector<ContentChange> contents;

  bool empty() const { return rules.empty() && contents.empty(); }
};
inline constexpr std::size_t kDescribedMax = 1000;

struct ApplyReport {
  bool changed = false;
  bool first = false;     ///< there was no table before
  Difference difference;  ///< what was (or, with dry_run, would be) changed
  EffectiveLists lists;
  /// Rules by hand that the admin's chains had before; nothing: the kernel was not read.
  std::optional<std::size_t> by_hand;
  chains::Observed observed;            ///< with dry_run: what the kernel holds
  std::uint32_t generation = 0;         ///< at which the kernel holds the policy, unless dry_run
  std::vector<chains::Device> devices;  ///< that have an early drop
  std::vector<chains::Bridge> bridges;
  std::size_t connections_entered = 0;  ///< open ones of the host that were not tracked any more
  std::size_t flows_admitted = 0;       ///< existing flows that go on undisturbed
  std::size_t flows_cut = 0;            ///< admitted flows whose ends are blocked now
  /// How far the wall clock was set since the kernel got its blocks; if so, it gets them again.
  std::chrono::milliseconds clock_step{0};
  std::chrono::microseconds took{0};  ///< all of it
  bool bridges_filtered = false;      ///< packets within bridges pass the firewall from now on
  std::vector<std::string> warnings;

  /// How many lines or sets differed by more than the timers of blocks.
  std::size_t repaired() const {
    const std::size_t sets = difference.contents.size() - (clock_step.count() != 0 ? 1 : 0);
    return std::max(difference.rules.all, sets);
  }
};

/// Rules in the admin's chains of a table, which is null when it is not there.
std::size_t count_by_hand(const chains::Ruleset* table);

}  // namespace fw
