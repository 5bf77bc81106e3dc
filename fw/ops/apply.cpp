// Putting a policy in force.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/ops/apply.hpp"

#include <utility>

#include "chains/bridges.hpp"
#include "fw/effective/policy.hpp"
#include "fw/host/desired_policy.hpp"
#include "fw/host/host_facts.hpp"
#include "fw/host/last_good.hpp"
#include "fw/host/lock.hpp"
#include "fw/host/lockout.hpp"
#include "fw/host/trial.hpp"
#include "fw/host/uplink.hpp"
#include "fw/ops/record.hpp"
#include "fw/ops/trial.hpp"

namespace fw::ops {
namespace {

/// Tells the warnings of the policy itself.
void tell_warnings(const Environment& env, const LoadedPolicy& loaded) {
  for (const Problem& problem : loaded.warnings) env.tell(problem);
}

Result<LoadedPolicy> load(const Environment& env, const PolicySource& source) {
  auto loaded = load_policy(env, source);
  if (!loaded) return fail(ErrorCode::policy, "the policy has errors: nothing was changed");
  for (Problem& problem : ssh_by_absent_interfaces(loaded->policy)) {
    loaded->warnings.push_back(std::move(problem));
  }
  tell_warnings(env, *loaded);
  return std::move(*loaded);
}

/// Would the whole LAN count as apps? Tells it.
bool takes_lan_for_apps(const Environment& env, const Policy& policy) {
  const auto problems = uplinks_among_apps(policy, read_uplink());
  for (const Problem& problem : problems) env.tell(problem);
  return !problems.empty();
}

void guard(const Environment& env, const ApplyRequest& request, Manager& manager) {
  if (!request.force) manager.refuse_lockout([&env] { return env.caller.session(); });
  if (request.accept_lists) manager.accept_lists();
}

/// The next boot goes on with what was just applied.
void remember(const Environment& env, const PolicySource& source, const LoadedPolicy& loaded) {
  if (!source.boot) {
    if (const auto done = forget_refused(env.state_dir); !done) {
      env.warn("the next boot may treat it as rolled back: " + to_string(done.error()));
    }
  }
  if (loaded.text) {
    const auto saved = save_last_good(env.state_dir, policy_file(source), *loaded.text);
    if (!saved) {
      env.warn("cannot store the policy for the next boot: " + to_string(saved.error()));
    }
  } else if (!source.boot) {
    if (const auto done = forget_last_good(env.state_dir); !done) {
      env.warn("the next boot may bring back an older policy: " + to_string(done.error()));
    }
  }
}

ApplyOutcome outcome_of(const Environment& env, LoadedPolicy loaded, ApplyReport report) {
  ApplyOutcome out{std::move(loaded), std::move(report), {}, read_trouble(env.state_dir), {}};
  for (const chains::Bridge& bridge : out.report.bridges) {
    if (chains::is_of_containers(bridge, out.loaded.policy)) {
      out.closed_bridges.push_back(bridge.name);
    }
  }
  return out;
}

/// Everything after the kernel took it.
ApplyOutcome finish(const Environment& env, LoadedPolicy loaded, ApplyReport report) {
  if (const auto on = switch_on(env.state_dir); !on) env.warn(to_string(on.error()));
  record_apply(env, loaded.stands_in ? nullptr : &loaded.policy, loaded.name, report);
  return outcome_of(env, std::move(loaded), std::move(report));
}

/// With the lock held.
Result<ApplyOutcome> apply_now(const Environment& env, const ApplyRequest& request,
                               LoadedPolicy loaded) {
  auto manager = Manager::open(env.state_dir);
  if (!manager) return std::unexpected(manager.error());
  guard(env, request, *manager);
  const auto working = env.working("applying " + loaded.name);
  auto report = manager->apply(loaded.policy, ApplyMode::commit, loaded.unused);
  if (!report) return std::unexpected(report.error());
  remember(env, request.source, loaded);
  ApplyOutcome out = finish(env, std::move(loaded), std::move(*report));
  out.sites = apply_sites(env, request.sites, out.loaded.policy);
  return out;
}

/// A change by a caller who waits for it: loaded, allowed, and under the lock.
struct Begun {
  LoadedPolicy loaded;
  StateLock lock;
};
Result<Begun> begin(const Environment& env, const ApplyRequest& request) {
  auto loaded = load(env, request.source);
  if (!loaded) return std::unexpected(loaded.error());
  if (takes_lan_for_apps(env, loaded->policy) && !request.force) {
    return fail(ErrorCode::policy, "nothing was changed; use --force to apply anyway");
  }
  auto lock = StateLock::take(env.state_dir);
  if (!lock) return std::unexpected(lock.error());
  remember_apps(env, *loaded);
  if (auto none = no_trial_is_on(env); !none) return std::unexpected(none.error());
  return Begun{std::move(*loaded), std::move(*lock)};
}

/// What a boot puts in force: the policy on trial while its time is not over.
LoadedPolicy load_at_boot(const Environment& env, const PolicySource& source) {
  const auto trial = read_trial_record(env.state_dir);
  auto desired = desired_policy(env.state_dir, this_moment());
  if (!trial || desired.why != DesiredPolicy::Why::on_trial) return load_some_policy(env, source);
  LoadedPolicy loaded;
  loaded.policy = std::move(desired.policy);
  loaded.warnings = check(loaded.policy);
  loaded.name = name_of(*trial) + ", which is on trial,";
  loaded.unused = desired.unused;
  return loaded;
}

/// For a boot that finds the store unusable; tells it.
Result<Manager> manager_without_store(const Environment& env, const Error& why) {
  env.error(why);
  env.error("blocks are not in force until the state database is repaired");
  auto kernel = chains::Kernel::open();
  if (!kernel) return std::unexpected(kernel.error());
  return Manager(std::move(*kernel), env.state_dir, std::nullopt);
}

/// Nothing keeps a boot from its rules that they can do without: the store.
Result<ApplyReport> apply_without_fail(const Environment& env, const LoadedPolicy& loaded,
                                       bool& without_store) {
  const auto working = env.working("applying " + loaded.name);
  auto manager = Manager::open(env.state_dir);
  if (manager) {
    auto report = manager->apply(loaded.policy, ApplyMode::commit, loaded.unused);
    if (report || report.error().code != ErrorCode::store) return report;
    manager = manager_without_store(env, report.error());
  } else if (manager.error().code == ErrorCode::store) {
    manager = manager_without_store(env, manager.error());
  }
  if (!manager) return std::unexpected(manager.error());
  without_store = true;
  return manager->apply(loaded.policy, ApplyMode::commit, loaded.unused);
}

}  // namespace

Result<ApplyOutcome> apply(const Environment& env, const ApplyRequest& request) {
  auto begun = begin(env, request);
  if (!begun) return std::unexpected(begun.error());
  return apply_now(env, request, std::move(begun->loaded));
}

Result<ApplyOutcome> plan(const Environment& env, const ApplyRequest& request) {
  auto loaded = load(env, request.source);
  if (!loaded) return std::unexpected(loaded.error());
  const bool refused = takes_lan_for_apps(env, loaded->policy) && !request.force;
  auto manager = open_to_read(env);
  if (!manager) return std::unexpected(manager.error());
  guard(env, request, *manager);
  loaded->unused = unused_now(env);
  auto report = manager->apply(loaded->policy, ApplyMode::dry_run, loaded->unused);
  if (!report) return std::unexpected(report.error());
  if (refused) report->warnings.push_back("apply would refuse this: use --force to apply anyway");
  ApplyOutcome out = outcome_of(env, std::move(*loaded), std::move(*report));
  out.dry_run = true;
  if (out.loaded.text) {
    out.rolled_back = refused_at(env.state_dir, *out.loaded.text, this_moment());
  }
  out.sites = plan_sites(env, request.sites, out.loaded.policy);
  return out;
}

Result<ApplyOutcome> apply_on_trial(const Environment& env, const ApplyRequest& request,
                                    std::chrono::seconds time, const StartGuardian& guardian) {
  auto begun = begin(env, request);
  if (!begun) return std::unexpected(begun.error());
  LoadedPolicy& loaded = begun->loaded;
  auto watching = guardian();
  if (!watching) return std::unexpected(watching.error());
  Result<std::optional<Trial>> trial;
  {
    auto manager = Manager::open(env.state_dir);
    if (!manager) return std::unexpected(manager.error());
    guard(env, request, *manager);
    TrialRecord record;
    record.path = policy_file(request.source);
    record.text = loaded.text;
    const auto sites = plan_sites(env, request.sites, loaded.policy);
    record.sites = sites && sites->changed();
    const auto working = env.working("applying " + loaded.name);
    trial = begin_trial(*manager, env.state_dir, loaded.policy, std::move(record), time,
                        [&](const TrialRecord&) { (*watching)->watch(); });
  }
  if (!trial) return std::unexpected(trial.error());
  if (!*trial) return apply_now(env, request, std::move(loaded));
  ApplyOutcome out = finish(env, std::move(loaded), std::move((*trial)->report));
  out.trial = std::move((*trial)->record);
  out.sites = apply_sites_on_trial(env, request.sites, out.loaded.policy, *out.trial);
  return out;
}

Result<ApplyOutcome> apply_at_boot(const Environment& env, const PolicySource& source) {
  LoadedPolicy loaded = load_at_boot(env, source);
  tell_warnings(env, loaded);
  (void)takes_lan_for_apps(env, loaded.policy);
  const auto lock = StateLock::take(env.state_dir);  // a boot goes on without it
  remember_apps(env, loaded);
  end_trial_at_boot(env);
  bool without_store = false;
  auto report = apply_without_fail(env, loaded, without_store);
  if (!report) return std::unexpected(report.error());
  if (loaded.unused == chains::Unused::remove) remember(env, source, loaded);
  ApplyOutcome out = finish(env, std::move(loaded), std::move(*report));
  out.without_store = without_store;
  if (const auto sites = settle_sites(env); !sites.text.empty()) env.warn(sites.text);
  return out;
}

}  // namespace fw::ops
