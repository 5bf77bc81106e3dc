// How a trial begins and ends. The state folder is locked by the caller in all of these.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>

#include "fw/host/apply.hpp"
#include "fw/host/desired_policy.hpp"
#include "fw/host/trial_record.hpp"

namespace fw {

/// Puts a policy in force for so long; nothing when it changes neither rules nor sites, and then
/// nothing is done. `record` has its path, text and `sites`; `begun` is called between the record
/// of it and the kernel.
struct Trial {
  TrialRecord record;
  ApplyReport report;
};
Result<std::optional<Trial>> begin_trial(Manager& manager, const std::string& state_dir,
                                         const Policy& policy, TrialRecord record,
                                         std::chrono::seconds time,
                                         const std::function<void(const TrialRecord&)>& begun);

/// The policy on trial is the confirmed one from now on, and what only the earlier one used goes.
/// Fails when it is not in force yet, for its apply did not come to an end. `before_end` is called
/// before the record of the trial goes, and its error is the error of this.
Result<ApplyReport> confirm(Manager& manager, const std::string& state_dir,
                            const TrialRecord& record,
                            const std::function<Result<void>()>& before_end);

/// The earlier rules come back, with what they had counted. May be done again at any time until it
/// is done: the record goes last.
struct RolledBack {
  DesiredPolicy::Why why = DesiredPolicy::Why::built_in;  ///< what is in force now,
  bool removed = false;                                   ///< or: there was no table before
  ApplyReport report;
};
Result<RolledBack> roll_back(Manager& manager, const std::string& state_dir,
                             const TrialRecord& record, WallTime now);

/// The trial that is due, and what came of it; nothing when none is. For whoever holds the lock
/// and is about to change something: a guardian, a daemon, a command.
struct Overdue {
  TrialRecord record;
  RolledBack done;
};
Result<std::optional<Overdue>> roll_back_if_due(const std::string& state_dir, const Moment& now,
                                                WallTime wall);

/// Ends a trial in the state folder alone, for what puts something else in the kernel anyway: a
/// boot and a reset. Its policy counts as rolled back.
Result<void> abandon_trial(const std::string& state_dir, const TrialRecord& record, WallTime now);

}  // namespace fw
