// The sites of the reverse proxy on the command line: what apply, plan and trials say of them.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <optional>

#include <CLI/CLI.hpp>

#include "cli/context.hpp"
#include "fw/ops/sites.hpp"
#include "fw/plugins/plugin.hpp"

namespace cli {

/// --nginx DIR, for commands that apply sites or bring them back.
void add_nginx_option(CLI::App& command, Context& context);
/// --sites, for those that may install them for the first time.
void add_sites_option(CLI::App& command, fw::ops::Sites& sites);

/// The exit code where sites are asked for and no folder of nginx's is known, which is said then.
std::optional<int> refuse_sites(const Context& context, fw::ops::Sites sites);

/// A unified diff, coloured where colours are wanted.
void print_diff(const Context& context, const fw::InstallDifference& difference);

/// The diff of what would change, or the paths that did; warnings and trouble on stderr.
void print_sites(const Context& context, const std::optional<fw::ops::SitesReport>& sites);

}  // namespace cli
