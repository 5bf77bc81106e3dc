// A policy on trial: settling, confirming, rolling back.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/ops/trial.hpp"

#include <fmt/format.h>

#include "fw/host/desired_policy.hpp"
#include "fw/host/host_facts.hpp"
#include "fw/host/lock.hpp"
#include "fw/ops/record.hpp"
#include "fw/ops/sites.hpp"
#include "fw/ops/words.hpp"

namespace fw::ops {

std::string rolled_back_text(const TrialRecord& trial, const RolledBack& done) {
  std::string now = "the last confirmed policy is in force";
  if (done.why == DesiredPolicy::Why::built_in) now = "the built-in default policy is in force";
  if (done.removed) now = "there is no firewall, as before";
  return fmt::format("{} is rolled back: {}", name_of(trial), now);
}

Result<std::string> roll_back_overdue(const Environment& env) {
  const auto overdue = roll_back_if_due(env.state_dir, this_moment(), wall_clock());
  if (!overdue) return std::unexpected(overdue.error());
  std::string what;
  if (*overdue) {
    what = "not confirmed in time: " + rolled_back_text((*overdue)->record, (*overdue)->done);
  }
  const SettledSites sites = settle_sites(env);
  if (!sites.text.empty()) what += (what.empty() ? "" : "; ") + sites.text;
  if (*overdue || sites.done) record(env, nullptr, "rollback", what);
  return what;
}

bool settle_trial(const Environment& env) {
  const auto done = roll_back_overdue(env);
  if (!done) {
    env.error("cannot roll back an unconfirmed trial: " + to_string(done.error()));
    return false;
  }
  if (!done->empty()) env.warn(*done);
  return true;
}

Result<void> no_trial_is_on(const Environment& env) {
  const auto overdue = roll_back_overdue(env);
  if (!overdue) {
    Error error = overdue.error();
    error.what = "cannot roll back an unconfirmed trial: " + error.what;
    return std::unexpected(std::move(error));
  }
  if (!overdue->empty()) env.warn(*overdue);
  const auto trial = read_trial_record(env.state_dir);
  if (!trial) return {};
  return fail(ErrorCode::usage,
              fmt::format("{} is on trial ({}): nothing was changed; first keep it "
                          "(cloudron-fw confirm) or go back (cloudron-fw rollback)",
                          name_of(*trial), until_text(trial->until_wall, wall_clock())));
}

chains::Unused unused_now(const Environment& env) {
  return desired_policy(env.state_dir, this_moment()).unused;
}

void end_trial_at_boot(const Environment& env) {
  const auto trial = read_trial_record(env.state_dir);
  if (!trial || !is_due(*trial, this_moment())) return;
  const auto done = abandon_trial(env.state_dir, *trial, wall_clock());
  if (!done) env.error(done.error());
}

Result<TrialEnded> confirm(const Environment& env) {
  const auto lock = StateLock::take(env.state_dir);
  if (!lock) return std::unexpected(lock.error());
  if (!settle_trial(env)) return fail(ErrorCode::usage, "nothing was confirmed");
  const auto trial = read_trial_record(env.state_dir);
  if (!trial) return fail(ErrorCode::usage, "no policy is on trial");
  auto manager = Manager::open(env.state_dir);
  if (!manager) return std::unexpected(manager.error());
  auto report = fw::confirm(*manager, env.state_dir, *trial, [&env] { return confirm_sites(env); });
  if (!report) return std::unexpected(report.error());
  record(env, nullptr, "confirm", name_of(*trial));
  return TrialEnded{name_of(*trial), name_of(*trial) + " is confirmed and stays in force",
                    std::move(*report)};
}

Result<std::optional<TrialEnded>> rollback(const Environment& env) {
  const auto lock = StateLock::take(env.state_dir);
  if (!lock) return std::unexpected(lock.error());
  const auto trial = read_trial_record(env.state_dir);
  TrialEnded ended;
  if (trial) {
    auto manager = Manager::open(env.state_dir);
    if (!manager) return std::unexpected(manager.error());
    auto done = roll_back(*manager, env.state_dir, *trial, wall_clock());
    if (!done) return std::unexpected(done.error());
    ended = {name_of(*trial), rolled_back_text(*trial, *done), std::move(done->report), {}};
  }
  SettledSites sites = settle_sites(env);
  if (!trial && sites.text.empty()) return std::nullopt;
  if (sites.done) {
    ended.text += (ended.text.empty() ? "" : "; ") + sites.text;
  } else {
    ended.trouble = std::move(sites.text);
  }
  if (trial || sites.done) record(env, nullptr, "rollback", ended.text);
  return ended;
}

Result<std::string> rollback_due(const Environment& env) {
  const auto lock = StateLock::take(env.state_dir);
  if (!lock) return std::unexpected(lock.error());
  return roll_back_overdue(env);
}

}  // namespace fw::ops
