// The daemon's own table, in force for a while after another program removed ours.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <optional>

#include "chains/netlink/kernel.hpp"
#include "chains/ruleset.hpp"
#include "fw/base/result.hpp"

namespace fw {

/// Its socket owns the table, so that goes when the process ends. Each call may wait for the
/// transaction of another program.
class StandIn {
 public:
  /// From now on these rules stand in. Nothing is done when they do so already.
  Result<void> put(chains::Ruleset rules);
  Result<void> remove();

 private:
  std::optional<chains::Kernel> kernel_;
  std::optional<chains::Ruleset> rules_;
};

}  // namespace fw
