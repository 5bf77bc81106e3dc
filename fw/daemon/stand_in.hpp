// The daemon's own table, in force for a while after somebody removed ours.
#pragma once

#include <optional>

#include "chains/netlink/kernel.hpp"
#include "chains/ruleset.hpp"
#include "fw/base/result.hpp"

namespace fw {

/// The socket of that kernel owns the table, so it goes when the process ends.
class StandIn {
 public:
  explicit StandIn(chains::Kernel& kernel) : kernel_(kernel) {}

  bool stands() const { return rules_.has_value(); }

  /// From now on these rules stand in. Nothing is done when they do so already.
  Result<void> put(chains::Ruleset rules);
  Result<void> remove();

 private:
  chains::Kernel& kernel_;
  std::optional<chains::Ruleset> rules_;
};

}  // namespace fw
