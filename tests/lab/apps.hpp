// Policies that name the apps and addons of the lab.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <string>
#include <vector>

#include "tests/lab/network.hpp"

namespace lab {

/// "[apps] network" with both families.
std::string apps_toml();
/// An [[app]] with both its addresses; `more` are further lines, like "addons = []".
std::string app_toml(const std::string& name, const App& app, const std::string& more = {});
std::string addon_toml(const std::string& name, const App& addon, const PortList& ports);
/// A [[limit]]; `more` are further lines. `from` is "outside" or "apps", `per` "ip" or "app".
std::string limit_toml(const std::string& name, const std::string& ports, const std::string& from,
                       const std::string& per, const std::string& rate,
                       const std::string& more = {});

}  // namespace lab
