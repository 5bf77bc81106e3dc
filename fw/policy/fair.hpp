// What the sources of a limit are counted by when its meter is full.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <vector>

#include "fw/policy/policy.hpp"

namespace fw {

/// A network of the source, and how much all of it may do together.
struct FairNetwork {
  enum class Budget : std::uint8_t {
    own,     ///< as much as one source
    shared,  ///< kOverflowFactor times that
  };
  int prefix = 0;
  Budget budget = Budget::own;

  bool operator==(const FairNetwork&) const = default;
};

/// Each is for those that find the meter of the one before full; small networks first. None for
/// apps, which have no networks of their own.
std::vector<FairNetwork> fair_networks(const Limit& limit, Family family);

}  // namespace fw
