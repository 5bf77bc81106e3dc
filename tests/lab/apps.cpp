// Policies that name the apps and addons of the lab.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/lab/apps.hpp"

#include <fmt/format.h>

namespace lab {
namespace {

std::string addresses(const App& app) {
  return fmt::format("addresses = [\"{}\", \"{}\"]\n", to_string(app.address(Family::ipv4)),
                     to_string(app.address(Family::ipv6)));
}

}  // namespace

std::string apps_toml() { return fmt::format("[apps]\nnetwork = [{}]\n", kAppNetworks); }

std::string app_toml(const std::string& name, const App& app, const std::string& more) {
  return fmt::format("[[app]]\nname = \"{}\"\n{}{}\n", name, addresses(app), more);
}

std::string addon_toml(const std::string& name, const App& addon, const PortList& ports) {
  return fmt::format("[[addon]]\nname = \"{}\"\n{}ports = [{}]\n", name, addresses(addon),
                     fmt::join(ports, ", "));
}

std::string limit_toml(const std::string& name, const std::string& ports, const std::string& from,
                       const std::string& per, const std::string& rate, const std::string& more) {
  return fmt::format(
      "[[limit]]\nname = \"{}\"\nports = [{}]\nfrom = \"{}\"\nper = \"{}\"\nrate = \"{}\"\n{}\n",
      name, ports, from, per, rate, more);
}

}  // namespace lab
