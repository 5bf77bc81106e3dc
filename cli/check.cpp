// cloudron-fw check
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/ops/check.hpp"

#include <memory>

#include <CLI/CLI.hpp>

#include "cli/commands.hpp"
#include "fw/wire/wire.hpp"

namespace cli {
namespace {

int run_check(const Context& context, const std::string& file) {
  if (file == "-") {
    context.error("check needs the name of a file");
    return kUsage;
  }
  fw::ops::PolicySource source = context.source();
  if (!file.empty()) source.path = file;
  const fw::ops::CheckReport report = fw::ops::check(context.environment(), source);
  if (context.json) {
    context.print(fw::wire::to_json(report));
  } else {
    context.problems(report.problems);
    if (report.ok) {
      context.say(report.problems.empty() ? report.policy + ": no problems"
                                          : report.policy + ": usable, with " +
                                                plural(report.problems.size(), "warning"));
    }
  }
  return report.ok ? kOk : kError;
}

}  // namespace

void add_check(CLI::App& program, Context& context, int& exit) {
  auto file = std::make_shared<std::string>();
  CLI::App* command = program.add_subcommand("check",
                                             "Report every problem in a policy and its lists, with "
                                             "file, line and column. Does not use the "
                                             "kernel's firewall; needs no root. Warns if no SSH "
                                             "port would stay open, and about sysctls of "
                                             "this host that weaken the firewall.");
  command->add_option("FILE", *file, "The policy to check (default: that of --policy)")
      ->check(not_empty);
  command->callback([&context, &exit, file] { exit = run_check(context, *file); });
}

}  // namespace cli
