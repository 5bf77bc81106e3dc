// The sites of the reverse proxy on the command line.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/sites.hpp"

#include <fmt/format.h>

namespace cli {

using Style = Context::Style;

void add_nginx_option(CLI::App& command, Context& context) {
  command
      .add_option(
          "--nginx", context.nginx,
          fmt::format("nginx's folder (default: {}; none with another --state-dir)", kDefaultNginx))
      ->type_name("DIR")
      ->check(not_empty);
}

void add_sites_option(CLI::App& command, fw::ops::Sites& sites) {
  command.add_flag_callback(
      "--sites", [&sites] { sites = fw::ops::Sites::all; },
      "The sites too, even if 'render nginx --install' never put them in place");
}

std::optional<int> refuse_sites(const Context& context, fw::ops::Sites sites) {
  if (sites != fw::ops::Sites::all || !context.environment().nginx.empty()) return {};
  context.error("--sites needs --nginx DIR with another --state-dir (see --help)");
  return kUsage;
}

void print_diff(const Context& context, const fw::InstallDifference& difference) {
  for (const std::string& line : difference.lines) {
    Style style = Style::plain;
    if (line.starts_with("---") || line.starts_with("+++")) {
      style = Style::bold;
    } else if (line.starts_with('@')) {
      style = Style::dim;
    } else if (line.starts_with('+')) {
      style = Style::green;
    } else if (line.starts_with('-')) {
      style = Style::red;
    }
    context.say(context.styled(style, line));
  }
  if (difference.left_out != 0) {
    context.say(fmt::format("... and {} more lines", grouped(difference.left_out)));
  }
}

void print_sites(const Context& context, const std::optional<fw::ops::SitesReport>& sites) {
  if (!sites) return;
  for (const std::string& warning : sites->difference.warnings) context.warn(warning);
  if (!sites->trouble.empty()) context.warn(sites->trouble);
  if (!sites->difference.lines.empty()) return print_diff(context, sites->difference);
  for (const std::string& path : sites->difference.changed) context.say("changed " + path);
}

}  // namespace cli
