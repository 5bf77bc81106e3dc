// A panic: drops all new connections, except SSH from trusted networks and the callers.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/ops/panic.hpp"

#include <utility>

#include "fw/base/limits.hpp"
#include "fw/host/desired_policy.hpp"
#include "fw/host/host_facts.hpp"
#include "fw/host/last_good.hpp"
#include "fw/host/lock.hpp"
#include "fw/ops/record.hpp"
#include "fw/ops/trial.hpp"

namespace fw::ops {
namespace {

/// The state with one caller more; of too many the earliest is forgotten.
PanicState with_caller(const std::optional<PanicState>& before,
                       const std::optional<Session>& caller) {
  PanicState state = before.value_or(PanicState{wall_clock(), {}});
  auto& callers = state.panic.callers;
  if (!caller) return state;
  std::erase(callers, caller->remote);
  callers.push_back(caller->remote);
  if (callers.size() > kPanicCallersMax) callers.erase(callers.begin());
  return state;
}

/// Durable first: a boot or an apply that comes in between does the same.
Result<ApplyReport> put_in_force(const Environment& env, Manager& manager,
                                 const DesiredPolicy& desired,
                                 const std::optional<PanicState>& before,
                                 const std::optional<PanicState>& after) {
  if (auto saved = save_panic(env.state_dir, after); !saved) return std::unexpected(saved.error());
  // After a reset there is nothing to call off in the kernel.
  if (!after && switched_off(env.state_dir)) return ApplyReport{};
  auto report = manager.apply(desired.policy, ApplyMode::commit, desired.unused);
  if (!report) (void)save_panic(env.state_dir, before);
  return report;
}

}  // namespace

Result<PanicReport> panic(const Environment& env, const PanicRequest& request) {
  const auto lock = StateLock::take(env.state_dir);
  if (!lock) return std::unexpected(lock.error());
  (void)settle_trial(env);
  auto manager = Manager::open(env.state_dir);
  if (!manager) return std::unexpected(manager.error());
  const auto desired = desired_policy(env.state_dir, this_moment());
  const auto before = read_panic(env.state_dir);
  if (!request.on && !before) return PanicReport{};
  std::optional<PanicState> after;
  if (request.on) after = with_caller(before, env.caller.session());
  const bool nobody = after && desired.policy.trusted.empty() && after->panic.callers.empty();
  if (nobody && !request.force) {
    return fail(
        ErrorCode::usage,
        "nobody could log in any more: the policy trusts no network, and this is not an SSH "
        "session; on the console, use --force to do it anyway");
  }
  auto report = put_in_force(env, *manager, desired, before, after);
  if (!report) return std::unexpected(report.error());
  if (request.on) {
    if (const auto done = switch_on(env.state_dir); !done) env.error(done.error());
  }
  record(env, &desired.policy, "panic", request.on ? "on" : "off");
  return PanicReport{true, read_trouble(env.state_dir), std::move(report->warnings)};
}

}  // namespace fw::ops
