// The sites of the reverse proxy, which follow the rules: applied after them, and brought back with
// them when a trial ends. docs/decisions/0038
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "fw/host/trial_record.hpp"
#include "fw/ops/environment.hpp"
#include "fw/plugins/plugin.hpp"
#include "fw/policy/policy.hpp"

namespace fw::ops {

enum class Sites : std::uint8_t {
  installed,  ///< where they were installed before
  all         ///< even where they never were
};

/// What became of the sites, or would.
struct SitesReport {
  InstallDifference difference;  ///< `lines` only of what would
  std::string
      trouble;  ///< why they stayed as they were, though the rules changed; "": they did not

  bool changed() const { return !difference.changed.empty(); }
};

/// What apply_sites() would change. Nothing where the sites do not follow: they were not installed,
/// [tls] proxy is "none", or the caller may not write in nginx's folder.
std::optional<SitesReport> plan_sites(const Environment& env, Sites which, const Policy& policy);

/// Installs them, whole or not at all; a proxy that refuses them is `trouble`, and no error. The
/// state folder is locked by the caller.
std::optional<SitesReport> apply_sites(const Environment& env, Sites which, const Policy& policy);

/// The same on trial: what is there before comes back with settle_sites().
std::optional<SitesReport> apply_sites_on_trial(const Environment& env, Sites which,
                                                const Policy& policy, const TrialRecord& trial);

/// The trial that is on was confirmed: nothing is brought back.
Result<void> confirm_sites(const Environment& env);

/// Sites wait to be brought back, for their trial is over. Those who may not write in the proxy's
/// folder never find any: root's next command does.
bool sites_wait(const Environment& env);

/// Brings back what a trial replaced that is on no more. What was done, or why it was not, as
/// sentences; "" when nothing waits. The state folder is locked by the caller.
struct SettledSites {
  std::string text;
  bool done = false;
};
SettledSites settle_sites(const Environment& env);

}  // namespace fw::ops
