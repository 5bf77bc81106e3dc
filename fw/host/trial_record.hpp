// A policy on trial: applied, and rolled back unless it is confirmed in time.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "fw/base/result.hpp"
#include "fw/store/blocks.hpp"

namespace fw {

/// A time that neither a step of the clock nor a suspended machine changes.
struct Moment {
  std::string boot;                     ///< this boot of the kernel
  std::chrono::milliseconds uptime{0};  ///< CLOCK_BOOTTIME

  bool operator==(const Moment&) const = default;
};
Moment this_moment();

/// What the state folder remembers of a trial, from before the kernel holds anything of it.
struct TrialRecord {
  enum class Phase { begun, waiting };    ///< waiting: the kernel holds the policy
  enum class Before { policy, nothing };  ///< nothing: there was no table

  Moment begin;                        ///< no two trials begin at the same
  std::chrono::milliseconds until{0};  ///< uptime of the boot of `begin`
  WallTime until_wall{};               ///< the same, for people
  Phase phase = Phase::begun;
  Before before = Before::policy;
  bool sites = false;               ///< the sites of the reverse proxy are on trial too
  std::string path;                 ///< of the policy file, absolute
  std::optional<std::string> text;  ///< of the policy file; none for the built-in default

  bool operator==(const TrialRecord&) const = default;
};

/// Its time is over, or it is of another boot.
bool is_due(const TrialRecord& record, const Moment& now);
/// 0 when it is due.
std::chrono::milliseconds time_left(const TrialRecord& record, const Moment& now);
/// One line that no other trial has.
std::string identity_of(const TrialRecord& record);
/// "/etc/cloudron-fw/policy.toml" or "the built-in default policy".
std::string name_of(const TrialRecord& record);

/// Nothing when no trial is on.
std::optional<TrialRecord> read_trial_record(const std::string& state_dir);
/// On disk when it returns.
Result<void> save_trial_record(const std::string& state_dir, const TrialRecord& record);
Result<void> forget_trial_record(const std::string& state_dir);

/// A policy that was not confirmed must not come into force by itself: not at a boot either, while
/// its file still holds it.
Result<void> refuse_policy(const std::string& state_dir, const TrialRecord& record, WallTime now);
/// The admin applied a policy: that is a new word.
Result<void> forget_refused(const std::string& state_dir);
/// When it was rolled back; nothing when it was not. Counts the text of a trial that is due too.
std::optional<WallTime> refused_at(const std::string& state_dir, const std::string& text,
                                   const Moment& now);

}  // namespace fw
