// cloudron-fw reset
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/ops/reset.hpp"

#include <iostream>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <unistd.h>

#include "chains/ruleset.hpp"
#include "cli/commands.hpp"
#include "fw/wire/wire.hpp"

namespace cli {
namespace {

bool agreed() {
  fmt::print(
      stderr,
      "This removes the tables 'inet {0}' and 'bridge {0}' with all limits, blocks, isolation "
      "of apps and the admin's own rules in them:\nevery port of this host is open "
      "afterwards. Go on? [y/N] ",
      chains::kTable);
  std::string answer;
  std::getline(std::cin, answer);
  return answer == "y" || answer == "Y" || answer == "yes";
}

fw::Result<void> agree(bool yes) {
  if (yes) return {};
  if (isatty(STDIN_FILENO) == 0) {
    return fw::fail(fw::ErrorCode::usage,
                    "not removed: there is no terminal to ask for confirmation; use --yes");
  }
  if (agreed()) return {};
  return fw::fail(fw::ErrorCode::usage, "not removed: the answer was not 'y'");
}

int run_reset(const Context& context, bool yes) {
  const auto report = fw::ops::reset(context.environment(), [yes] { return agree(yes); });
  if (!report) return failed(context, report.error());
  if (context.json) context.print(fw::wire::to_json(*report));
  context.say(report->removed ? report->text + "; blocks are kept for the next apply"
                              : "nothing to do: our tables are not in the kernel");
  return kOk;
}

}  // namespace

void add_reset(CLI::App& program, Context& context, int& exit) {
  auto yes = std::make_shared<bool>(false);
  CLI::App* command =
      program.add_subcommand("reset",
                             "Remove our tables, inet and bridge cloudron, from the kernel, and "
                             "nothing else. Every port is open afterwards. Stored blocks "
                             "come back at the next apply. Asks first.");
  command->add_flag("--yes,-y", *yes, "Do not ask");
  command->callback([&context, &exit, yes] { exit = run_reset(context, *yes); });
}

}  // namespace cli
