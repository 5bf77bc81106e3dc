// Apps come, go and move while the rest of a policy stays.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/host/change_apps.hpp"

#include <string_view>
#include <unordered_map>

#include "chains/compile.hpp"
#include "chains/netlink/encode.hpp"
#include "fw/host/apply_report.hpp"

namespace fw {

std::optional<OtherApps> other_apps(const Policy& before, const Policy& after) {
  const auto& base = static_cast<const PolicyBase&>(after);
  if (base != before || before.app_networks != after.app_networks ||
      before.addons != after.addons || before.apps.empty() || after.apps.empty()) {
    return {};
  }
  OtherApps out{{base, after.app_networks, {}, after.addons}, {}};
  out.after = out.before;
  std::unordered_map<std::string_view, const App*> old;
  old.reserve(before.apps.size());
  for (const App& app : before.apps) old.emplace(app.name, &app);
  for (const App& app : after.apps) {
    const auto it = old.find(app.name);
    if (it == old.end()) {
      if (!app.publishes.empty()) return {};
      out.after.apps.push_back(app);
      continue;
    }
    if (app.publishes != it->second->publishes) return {};
    if (app != *it->second) {
      out.before.apps.push_back(*it->second);
      out.after.apps.push_back(app);
    }
    old.erase(it);
  }
  for (const auto& [name, app] : old) {
    if (!app->publishes.empty()) return {};
    out.before.apps.push_back(*app);
  }
  return out;
}

OtherApps other_apps(const Policy& policy, const MovedApps& moved) {
  const auto& base = static_cast<const PolicyBase&>(policy);
  return {{base, policy.app_networks, moved.before, policy.addons},
          {base, policy.app_networks, moved.after, policy.addons}};
}

Result<AppsChanged> change_apps(chains::Kernel& kernel, std::uint32_t generation,
                                const OtherApps& apps) {
  const chains::Ruleset before = chains::compile_of_apps(apps.before);
  const chains::Ruleset after = chains::compile_of_apps(apps.after);
  const chains::Transaction transaction{generation, chains::diff(&before, after), {}};
  if (transaction.empty()) return AppsChanged{{}, generation};
  chains::Batch batch = chains::encode(transaction);
  if (const auto done = kernel.commit(batch); !done) return std::unexpected(done.error());
  return AppsChanged{chains::describe(&before, after, chains::Unused::remove, kDescribedMax),
                     chains::next_generation(generation)};
}

}  // namespace fw
