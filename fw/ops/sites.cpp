// The sites of the reverse proxy, which follow the rules.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/ops/sites.hpp"

#include <unistd.h>

#include "fw/plugins/tls/plugin.hpp"

namespace fw::ops {
namespace {

bool may_write(const Environment& env) { return ::access(env.nginx.c_str(), W_OK) == 0; }

/// How the sites are installed; nothing where they do not follow the rules, or for a caller without
/// rights to them: the unit that reloads the rules.
std::optional<tls::InstallPlaces> places_of(const Environment& env, Sites which,
                                            const Policy& policy) {
  if (policy.tls.proxy != ReverseProxy::nginx || env.nginx.empty()) return {};
  auto places = tls::installed_sites(env.nginx);
  if (!places && which == Sites::all) return tls::InstallPlaces{.nginx = env.nginx};
  if (which == Sites::installed && !may_write(env)) return {};
  return places;
}

SitesReport not_done(const Error& why) {
  SitesReport out;
  out.trouble = "the sites stay as they were: " + to_string(why);
  return out;
}

SitesReport install(const Policy& policy, const tls::InstallPlaces& places) {
  auto done = tls::install_sites(policy, places);
  if (!done) return not_done(done.error());
  SitesReport out;
  out.difference.changed = std::move(done->changed);
  out.difference.warnings = std::move(done->warnings);
  return out;
}

}  // namespace

std::optional<SitesReport> plan_sites(const Environment& env, Sites which, const Policy& policy) {
  const auto places = places_of(env, which, policy);
  if (!places) return {};
  auto difference = tls::compare_sites(policy, *places);
  if (!difference) return not_done(difference.error());
  return SitesReport{std::move(*difference), {}};
}

std::optional<SitesReport> apply_sites(const Environment& env, Sites which, const Policy& policy) {
  const auto places = places_of(env, which, policy);
  if (!places) return {};
  return install(policy, *places);
}

std::optional<SitesReport> apply_sites_on_trial(const Environment& env, Sites which,
                                                const Policy& policy, const TrialRecord& trial) {
  if (!trial.sites) return plan_sites(env, which, policy);  // nothing to do, or why it cannot be
  const auto places = places_of(env, which, policy);
  if (!places) return {};
  if (auto kept = tls::keep_sites(env.nginx, identity_of(trial)); !kept)
    return not_done(kept.error());
  SitesReport out = install(policy, *places);
  if (!out.trouble.empty()) (void)tls::forget_kept_sites(env.nginx);
  return out;
}

Result<void> confirm_sites(const Environment& env) {
  if (env.nginx.empty() || !tls::kept_sites(env.nginx)) return {};
  return tls::forget_kept_sites(env.nginx);
}

bool sites_wait(const Environment& env) {
  if (env.nginx.empty()) return false;
  const auto of = tls::kept_sites(env.nginx);
  if (!of || !may_write(env)) return false;
  const auto trial = read_trial_record(env.state_dir);
  return !trial || identity_of(*trial) != *of;
}

SettledSites settle_sites(const Environment& env) {
  if (!sites_wait(env)) return {};
  const auto done = tls::bring_back_sites(env.nginx);
  if (!done) {
    return {"the sites from before the trial are not back: " + to_string(done.error()) +
                "; to try again: cloudron-fw rollback",
            false};
  }
  std::string text = "the sites from before the trial are back";
  for (const std::string& warning : done->warnings) text += "; " + warning;
  return {std::move(text), true};
}

}  // namespace fw::ops
