// Whether the kernel holds what it should, and what it counted.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <optional>
#include <string>

#include "fw/host/status.hpp"
#include "fw/ops/block.hpp"
#include "fw/ops/policy.hpp"

namespace fw::ops {

struct StatusReport {
  std::string policy;  ///< the name of the one that the kernel was compared with
  Status status;
  Trouble trouble;
  BlockList blocks;
  bool stands_in = false;                 ///< that policy is another than the one that was named
  std::optional<WallTime> rolled_back{};  ///< when the named policy was; a boot does not apply it
};

/// Of the policy that `source` names; for a caller who may not read the state, of the policy that
/// was applied, by the daemon.
Result<StatusReport> status(const Environment& env, const PolicySource& source);

/// As the daemon tells it: of what was last applied, lists as they were then, and kBlocksTold
/// blocks at most. With the lock held.
Result<StatusReport> status_in_force(const std::string& state_dir);

struct VerifyReport {
  bool equal = false;          ///< the kernel holds what was last applied
  bool off = false;            ///< `reset` was the last word
  bool first = false;          ///< there is no table of ours
  bool never_applied = false;  ///< nothing was applied yet
  Difference difference;
  std::string labels;  ///< other programs' rules that work against ours; "" when there are none
};
/// The daemon's check, once.
Result<VerifyReport> verify(const Environment& env);

}  // namespace fw::ops
