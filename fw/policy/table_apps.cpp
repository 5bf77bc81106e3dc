// [apps], [[app]] and [[addon]]: where apps live, and what each may reach.
// SPDX-License-Identifier: GPL-2.0-or-later
#include <array>

#include <fmt/format.h>

#include "fw/base/limits.hpp"
#include "fw/policy/policy_tables.hpp"

namespace fw {
namespace {

constexpr std::array<std::pair<std::string_view, Discover>, 2> kDiscover{
    {{"none", Discover::none}, {"docker", Discover::docker}}};

std::string address_default() {
  return fmt::format("needed unless apps are [discovered](#discover), {}",
                     from_to(1, kAppAddressesMax));
}

void read_app(Section& section, const Keys<App>& keys) {
  App app;
  app.where = section.where();
  keys.read(section, app);
  if (!section.has("addresses"))
    section.draft().placeless.push_back({"[[app]]", "172.18.16.2", app.where});
  section.draft().policy.apps.push_back(std::move(app));
}

void read_addon(Section& section, const Keys<Addon>& keys) {
  Addon addon;
  addon.where = section.where();
  keys.read(section, addon);
  if (!section.has("addresses"))
    section.draft().placeless.push_back({"[[addon]]", "172.18.0.10", addon.where});
  section.draft().policy.addons.push_back(std::move(addon));
}

/// An app without addresses is only that of a container that is yet to be discovered.
void report_placeless(Draft& draft) {
  if (draft.policy.discovery.from != Discover::none || draft.networks_doubtful) return;
  for (const auto& [header, example, where] : draft.placeless) {
    draft.values.error(where,
                       fmt::format("{} lacks addresses; add e.g. addresses = [\"{}\"], or have it "
                                   "found by [apps] discover = \"docker\"",
                                   header, example));
  }
}

}  // namespace

Table apps_table() {
  return with_keys(
      {.name = "apps",
       .defines = "the networks of the apps",
       .doubt = Doubt::networks,
       .finish = report_placeless},
      {{{"network", "array of networks", "`[\"172.18.0.0/16\"]`",
         "IPv4 and IPv6 networks of the app containers; they must not overlap"},
        [](ValueReader& in, const Value& value, Policy& policy) {
          policy.app_networks = in.networks(value);
        }},
       {{"discover", "`\"none\"` or `\"docker\"`", "`\"none\"`",
         "where to find apps, see [below](#discover)"},
        [](ValueReader& in, const Value& value, Policy& policy) {
          in.choose(value, kDiscover, policy.discovery.from);
        }},
       {{"docker", "path", "`\"/run/docker.sock\"`", "the engine's socket"},
        [](ValueReader& in, const Value& value, Policy& policy) {
          policy.discovery.docker = in.socket(value);
        }},
       {{"labels_open", "true or false", "`false`", "whether container labels may open ports"},
        [](ValueReader& in, const Value& value, Policy& policy) {
          policy.discovery.labels_open = in.boolean(value).value_or(false);
        }},
       {{"routed", "array of device names", "`[]`",
         "bridges whose containers the outside may reach by their own addresses; `*` at the end "
         "of a name matches any rest"},
        [](ValueReader& in, const Value& value, Policy& policy) {
          policy.routed = in.devices(value);
        }}});
}

Table app_table() {
  return with_keys<App>(
      {.name = "app", .defines = "an app, its addresses, and its published ports", .max = kAppsMax},
      {{{"name", "name", "needed", "unique among apps and addons", "name = \"wiki\""},
        [](ValueReader& in, const Value& value, App& app) { app.name = in.name(value); }},
       {{"addresses", "array of addresses", address_default(),
         "its container's addresses, in the app networks"},
        [](ValueReader& in, const Value& value, App& app) { app.addresses = in.addresses(value); }},
       {{"publishes", "array of ports", "`[]`",
         "ports of the host by which the outside reaches it"},
        [](ValueReader& in, const Value& value, App& app) {
          app.publishes = in.plain_ports(value);
        }},
       {{"addons", "array of addon names", "all addons",
         "the addons that it may reach; `[]` for none"},
        [](ValueReader& in, const Value& value, App& app) { app.addons = in.addon_names(value); }}},
      read_app);
}

Table addon_table() {
  return with_keys<Addon>(
      {.name = "addon", .defines = "a service that apps may use", .max = kAppsMax},
      {{{"name", "name", "needed", "its name in the `addons` of apps", "name = \"mysql\""},
        [](ValueReader& in, const Value& value, Addon& addon) { addon.name = in.name(value); }},
       {{"addresses", "array of addresses", address_default(), "its addresses"},
        [](ValueReader& in, const Value& value, Addon& addon) {
          addon.addresses = in.addresses(value);
        }},
       {{"ports", "array of ports", "needed", "the ports that apps reach", "ports = [3306]"},
        [](ValueReader& in, const Value& value, Addon& addon) {
          addon.ports = in.some_ports(value);
        }}},
      read_addon);
}

}  // namespace fw
