// Putting a policy in force: at once, on trial, at boot; and what that would change.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "fw/host/status.hpp"
#include "fw/host/trial_record.hpp"
#include "fw/ops/policy.hpp"
#include "fw/ops/sites.hpp"

namespace fw::ops {

struct ApplyRequest {
  PolicySource source;
  bool force = false;         ///< even if the caller could not come in again
  bool accept_lists = false;  ///< that lost most of their entries
  Sites sites = Sites::installed;
};

/// What an apply did, or would do.
struct ApplyOutcome {
  LoadedPolicy loaded;
  ApplyReport report;
  std::optional<TrialRecord> trial;  ///< the policy is on trial
  Trouble trouble;
  /// Bridges of containers: from outside, only published ports that are open lead to them.
  std::vector<std::string> closed_bridges;
  bool dry_run = false;
  std::optional<WallTime> rolled_back{};  ///< plan: when the policy was; a boot does not apply it
  bool without_store =
      false;  ///< at boot: the store is unusable, blocks stay as the kernel has them
  std::optional<SitesReport> sites{};  ///< nothing: they do not follow the rules
};

/// One transaction, and then the policy is the one that boots go on with. Errors: the policy has
/// errors (told), it would lock the caller out, a trial is on; nothing is changed then. The sites
/// follow, once the rules are in force.
Result<ApplyOutcome> apply(const Environment& env, const ApplyRequest& request);

/// What apply() would change; changes nothing, and makes no state folder. Without `force`, what
/// apply() would refuse is among the warnings.
Result<ApplyOutcome> plan(const Environment& env, const ApplyRequest& request);

/// A process that outlives the caller, and rolls a trial back when its time is over.
class Guardian {
 public:
  virtual ~Guardian() = default;
  /// The trial is in the state folder. A guardian that is never told so ends with this object.
  virtual void watch() = 0;
};
/// Starts one, before anything is opened that two processes must not share.
using StartGuardian = std::function<Result<std::unique_ptr<Guardian>>()>;

/// apply() for so long: then the earlier policy comes back, unless confirm() is called first. A
/// policy that changes neither rules nor sites is not put on trial, but applied.
Result<ApplyOutcome> apply_on_trial(const Environment& env, const ApplyRequest& request,
                                    std::chrono::seconds time, const StartGuardian& guardian);

/// What must be in force when the machine comes up, whatever is missing or broken: the policy, a
/// trial whose time is not over, the last good policy, or the built-in default. The sites stay as
/// they are, but for those that a trial left.
Result<ApplyOutcome> apply_at_boot(const Environment& env, const PolicySource& source);

}  // namespace fw::ops
