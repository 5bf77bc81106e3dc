// How a trial begins and ends.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/host/trial.hpp"

#include "fw/effective/policy.hpp"
#include "fw/host/discovered.hpp"
#include "fw/host/host_facts.hpp"
#include "fw/host/last_good.hpp"
#include "fw/host/remove.hpp"

namespace fw {
namespace {

/// The policy of a record, as it was when the trial began.
Result<Policy> policy_of(const std::string& state_dir, const TrialRecord& record) {
  if (!record.text) return default_policy();
  Parsed parsed = parse_policy(*record.text, record.path);
  KeptInventory kept(state_dir);
  if (parsed.ok()) return with_remembered(std::move(parsed.policy), kept).policy;
  return fail(ErrorCode::policy,
              "cannot read the policy on trial; to go back: cloudron-fw rollback");
}

void set_end(TrialRecord& record, std::chrono::seconds time) {
  record.until = this_moment().uptime + time;
  record.until_wall = wall_clock() + time;
}

}  // namespace

Result<std::optional<Trial>> begin_trial(Manager& manager, const std::string& state_dir,
                                         const Policy& policy, TrialRecord record,
                                         std::chrono::seconds time,
                                         const std::function<void(const TrialRecord&)>& begun) {
  const auto now = manager.apply(policy, ApplyMode::dry_run, chains::Unused::keep);
  if (!now) return std::unexpected(now.error());
  if (!now->changed && !record.sites) return std::nullopt;
  record.begin = this_moment();
  record.before = now->first ? TrialRecord::Before::nothing : TrialRecord::Before::policy;
  set_end(record, time);
  if (auto saved = save_trial_record(state_dir, record); !saved) {
    return std::unexpected(saved.error());
  }
  begun(record);
  auto report = manager.apply(policy, ApplyMode::commit, chains::Unused::keep);
  if (!report) {
    // The kernel holds what it held.
    if (auto gone = forget_trial_record(state_dir); !gone) return std::unexpected(gone.error());
    return std::unexpected(report.error());
  }
  record.phase = TrialRecord::Phase::waiting;
  set_end(record, time);  // the time that loading took is no part of it
  if (auto saved = save_trial_record(state_dir, record); !saved) {
    const auto back = roll_back(manager, state_dir, record, wall_clock());
    return std::unexpected(back ? saved.error() : back.error());
  }
  return Trial{std::move(record), std::move(*report)};
}

Result<ApplyReport> confirm(Manager& manager, const std::string& state_dir,
                            const TrialRecord& record,
                            const std::function<Result<void>()>& before_end) {
  if (record.phase != TrialRecord::Phase::waiting) {
    return fail(ErrorCode::usage,
                "the apply of " + name_of(record) +
                    " was interrupted: roll it back (cloudron-fw rollback), then try again");
  }
  const auto policy = policy_of(state_dir, record);
  if (!policy) return std::unexpected(policy.error());
  auto kept = record.text ? save_last_good(state_dir, record.path, *record.text)
                          : forget_last_good(state_dir);
  if (kept) kept = forget_refused(state_dir);
  if (kept) kept = before_end();
  if (kept) kept = forget_trial_record(state_dir);
  if (!kept) return std::unexpected(kept.error());
  auto report = manager.apply(*policy, ApplyMode::commit);
  if (report) return report;
  ApplyReport nothing;  // it is confirmed anyway
  nothing.warnings.push_back(
      "leftovers of the earlier policy are still in the kernel; remove them with "
      "'cloudron-fw apply': " +
      to_string(report.error()));
  return nothing;
}

Result<RolledBack> roll_back(Manager& manager, const std::string& state_dir,
                             const TrialRecord& record, WallTime now) {
  RolledBack out;
  if (auto refused = refuse_policy(state_dir, record, now); !refused) {
    return std::unexpected(refused.error());
  }
  if (record.before == TrialRecord::Before::nothing) {
    const auto removed = remove_tables(manager.kernel());
    if (!removed) return std::unexpected(removed.error());
    if (auto off = switch_off(state_dir); !off) return std::unexpected(off.error());
    out.removed = true;
  } else {
    const DesiredPolicy earlier = confirmed(state_dir);
    auto report = manager.apply(earlier.policy, ApplyMode::commit);
    if (!report) return std::unexpected(report.error());
    out.why = earlier.why;
    out.report = std::move(*report);
  }
  if (auto gone = forget_trial_record(state_dir); !gone) return std::unexpected(gone.error());
  return out;
}

Result<std::optional<Overdue>> roll_back_if_due(const std::string& state_dir, const Moment& now,
                                                WallTime wall) {
  auto record = read_trial_record(state_dir);
  if (!record || !is_due(*record, now)) return std::nullopt;
  auto manager = Manager::open(state_dir);
  if (!manager) return std::unexpected(manager.error());
  auto done = roll_back(*manager, state_dir, *record, wall);
  if (!done) return std::unexpected(done.error());
  return Overdue{std::move(*record), std::move(*done)};
}

Result<void> abandon_trial(const std::string& state_dir, const TrialRecord& record, WallTime now) {
  if (auto refused = refuse_policy(state_dir, record, now); !refused) return refused;
  return forget_trial_record(state_dir);
}

}  // namespace fw
