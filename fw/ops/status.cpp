// Whether the kernel holds what it should, and what it counted.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/ops/status.hpp"

#include <utility>

#include "fw/host/desired_policy.hpp"
#include "fw/host/host_facts.hpp"
#include "fw/host/last_good.hpp"
#include "fw/host/trial_record.hpp"
#include "fw/ops/daemon_client.hpp"
#include "fw/ops/requests.hpp"
#include "fw/ops/trial.hpp"

namespace fw::ops {
Result<StatusReport> status(const Environment& env, const PolicySource& source) {
  if (needs_daemon(env)) {
    auto told = status_of_daemon(env);
    if (told) told->policy = "the policy that was applied";
    return told;
  }
  const LoadedPolicy loaded = load_some_policy(env, source);
  for (const Problem& problem : loaded.warnings) env.tell(problem);
  auto manager = open_to_read(env);
  if (!manager) return std::unexpected(manager.error());
  const auto desired = desired_policy(env.state_dir, this_moment());
  auto now = read_status(*manager, loaded.policy, desired.policy, desired.unused);
  if (!now) return std::unexpected(now.error());
  auto blocked = manager->store() ? blocks_of(*manager->store()) : BlockList{};
  if (!blocked) return std::unexpected(blocked.error());
  StatusReport out{loaded.name, std::move(*now), read_trouble(env.state_dir), std::move(*blocked),
                   loaded.stands_in};
  if (loaded.text) out.rolled_back = refused_at(env.state_dir, *loaded.text, this_moment());
  return out;
}

Result<StatusReport> status_in_force(const std::string& state_dir) {
  auto manager = Manager::open(state_dir);
  if (!manager) return std::unexpected(manager.error());
  const auto wanted = desired_policy(state_dir, this_moment());
  auto now =
      read_status(*manager, wanted.policy, wanted.policy, wanted.unused, ListUse::remembered);
  if (!now) return std::unexpected(now.error());
  auto blocked = blocks_of(*manager->store(), kBlocksTold);
  if (!blocked) return std::unexpected(blocked.error());
  return StatusReport{wanted.policy.file, std::move(*now), read_trouble(state_dir),
                      std::move(*blocked)};
}

Result<VerifyReport> verify(const Environment& env) {
  auto manager = open_to_read(env);
  if (!manager) return std::unexpected(manager.error());
  const auto wanted = desired_policy(env.state_dir, this_moment());
  auto report =
      manager->apply(wanted.policy, ApplyMode::dry_run, wanted.unused, ListUse::remembered);
  if (!report) return std::unexpected(report.error());
  auto labels = label_trouble(manager->kernel(), wanted.policy);
  if (!labels) return std::unexpected(labels.error());
  return VerifyReport{!report->changed,
                      switched_off(env.state_dir),
                      report->first,
                      wanted.why == DesiredPolicy::Why::built_in,
                      std::move(report->difference),
                      std::move(*labels)};
}

}  // namespace fw::ops
