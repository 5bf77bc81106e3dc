// What a plugin adds to every policy, as functions from policy to policy.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "fw/policy/policy.hpp"

namespace fw {

struct Problem;  // parse.hpp
struct Table;    // table.hpp

/// The functions are pure; null where a plugin adds nothing.
struct Contribution {
  std::string_view plugin;
  /// Its tables of the policy file.
  std::vector<Table> (*tables)() = nullptr;
  /// Adds to the built-in default: limits that a policy file may replace or switch off.
  Policy (*with_defaults)(Policy) = nullptr;
  /// Adds what follows from a policy that was read. Places of the file stay with what they caused.
  Policy (*contribute)(Policy) = nullptr;
  /// What shows only when its whole part of the policy is seen.
  std::vector<Problem> (*check)(const Policy&) = nullptr;
};
using Contributions = std::span<const Contribution>;

/// The core's defaults and those of the plugins: what a policy file is read on top of.
Policy with_defaults(Contributions contributions);

/// What plugins find wrong with a policy, in their order.
std::vector<Problem> problems(const Policy& policy, Contributions contributions);

/// The policy and what follows from it. Applied once, before discovery.
Policy contributed(Policy policy, Contributions contributions);

}  // namespace fw
