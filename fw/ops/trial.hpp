// A policy on trial: settling, confirming, rolling back.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <optional>
#include <string>

#include "chains/diff.hpp"
#include "fw/host/trial.hpp"
#include "fw/ops/environment.hpp"

namespace fw::ops {

/// "POLICY is rolled back: what is in force now".
std::string rolled_back_text(const TrialRecord& trial, const RolledBack& done);

/// With the lock held: rolls back a trial that is due, with its sites and those that another
/// program's rollback left, and records it. What was done, as a sentence; "" when nothing was due.
Result<std::string> roll_back_overdue(const Environment& env);

/// The same before a change, and tells it. False: it could not be done, which is reported too.
bool settle_trial(const Environment& env);

/// The same; and an error, with the remedy, while a trial is on.
Result<void> no_trial_is_on(const Environment& env);

/// While a trial is on, what the earlier policy had learned is kept, and is no difference.
chains::Unused unused_now(const Environment& env);

/// At boot a trial of another boot, or one that is due, is over: its policy counts as rolled back.
void end_trial_at_boot(const Environment& env);

/// What kept a policy, or brought the earlier one back.
struct TrialEnded {
  std::string policy;  ///< that was on trial; "": its rules were rolled back before
  std::string text;    ///< what is so now
  ApplyReport report;
  std::string trouble{};  ///< why the sites are not back; "": they are, or were not on trial
};
/// Errors: nothing waits for a confirmation, or its time is over.
Result<TrialEnded> confirm(const Environment& env);
/// Nothing when no policy is on trial, and no sites wait.
Result<std::optional<TrialEnded>> rollback(const Environment& env);
/// The same, but of a trial only when its time is over: a sentence, or "".
Result<std::string> rollback_due(const Environment& env);

}  // namespace fw::ops
