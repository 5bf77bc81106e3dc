// cloudron-fw plan
// SPDX-License-Identifier: GPL-2.0-or-later
#include <CLI/CLI.hpp>

#include "cli/commands.hpp"
#include "cli/trial.hpp"
#include "fw/ops/apply.hpp"
#include "fw/wire/wire.hpp"

namespace cli {
namespace {

int run_plan(const Context& context) {
  fw::ops::ApplyRequest request{.source = context.source()};
  request.source.ask_engine = true;
  const auto planned = fw::ops::plan(context.environment(), request);
  if (!planned) return failed(context, planned.error());
  const fw::ApplyReport& report = planned->report;
  print_trouble(context, planned->trouble);
  print_refused(context, planned->loaded.name, planned->rolled_back);
  for (const std::string& warning : report.warnings) context.warn(warning);
  if (context.json) {
    context.print(fw::wire::to_json(*planned));
  } else if (report.changed) {
    print_difference(context, report.difference, report.difference.rules.all, Tense::to_be_done);
  } else {
    context.say("nothing to do: the kernel holds " + planned->loaded.name);
  }
  print_lists(context, report.lists.reports);
  return report.changed ? kDifferent : kOk;
}

}  // namespace

void add_plan(CLI::App& program, Context& context, int& exit) {
  CLI::App* command = program.add_subcommand(
      "plan",
      "Print the exact difference between the kernel and the policy, as rules (+ to be added, - to "
      "be removed), each with the policy line that it comes from. Changes nothing.\n"
      "Exit code: 0 nothing to do, 2 something to do, 1 error.");
  command->callback([&context, &exit] { exit = run_plan(context); });
}

}  // namespace cli
