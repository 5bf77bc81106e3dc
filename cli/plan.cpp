// cloudron-fw plan
// SPDX-License-Identifier: GPL-2.0-or-later
#include <memory>

#include <CLI/CLI.hpp>

#include "cli/commands.hpp"
#include "cli/sites.hpp"
#include "cli/trial.hpp"
#include "fw/ops/apply.hpp"
#include "fw/wire/wire.hpp"

namespace cli {
namespace {

int run_plan(const Context& context, fw::ops::Sites sites) {
  if (const auto refused = refuse_sites(context, sites)) return *refused;
  fw::ops::ApplyRequest request{.source = context.source(), .sites = sites};
  request.source.ask_engine = true;
  const auto planned = fw::ops::plan(context.environment(), request);
  if (!planned) return failed(context, planned.error());
  const fw::ApplyReport& report = planned->report;
  const bool sites_differ = planned->sites && planned->sites->changed();
  print_trouble(context, planned->trouble);
  print_refused(context, planned->loaded.name, planned->rolled_back);
  for (const std::string& warning : report.warnings) context.warn(warning);
  if (context.json) {
    context.print(fw::wire::to_json(*planned));
  } else if (report.changed) {
    print_difference(context, report.difference, report.difference.rules.all, Tense::to_be_done);
  } else {
    context.say(
        (sites_differ ? "the rules stay: the kernel holds " : "nothing to do: the kernel holds ") +
        planned->loaded.name);
  }
  print_sites(context, planned->sites);
  print_lists(context, report.lists.reports);
  return report.changed || sites_differ ? kDifferent : kOk;
}

}  // namespace

void add_plan(CLI::App& program, Context& context, int& exit) {
  CLI::App* command = program.add_subcommand(
      "plan",
      "Print the exact difference between the kernel and the policy, as rules (+ to be added, - to "
      "be removed), each with the policy line that it comes from. Then what the files of installed "
      "sites lack, as a diff. Changes nothing.\n"
      "Exit code: 0 nothing to do, 2 something to do, 1 error.");
  const auto which = std::make_shared<fw::ops::Sites>(fw::ops::Sites::installed);
  add_sites_option(*command, *which);
  add_nginx_option(*command, context);
  command->callback([&context, &exit, which] { exit = run_plan(context, *which); });
}

}  // namespace cli
