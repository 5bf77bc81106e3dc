// cloudron-fw verify
// SPDX-License-Identifier: GPL-2.0-or-later
#include <CLI/CLI.hpp>

#include "cli/commands.hpp"
#include "fw/ops/status.hpp"
#include "fw/wire/wire.hpp"

namespace cli {
namespace {

int run_verify(const Context& context) {
  const auto report = fw::ops::verify(context.environment());
  if (!report) return failed(context, report.error());
  if (!report->labels.empty()) context.warn(report->labels);
  if (context.json) context.print(fw::wire::to_json(*report));
  if (report->equal) {
    context.say("the kernel holds what was last applied");
    return kOk;
  }
  if (report->off) {
    context.say("the firewall is off since 'cloudron-fw reset'");
  } else if (report->first) {
    context.say(report->never_applied
                    ? "nothing is applied yet: our table is not in the kernel; to load it: "
                      "sudo cloudron-fw apply"
                    : "the applied rules are gone: our table is not in the kernel; to load it "
                      "again: sudo cloudron-fw apply");
  } else {
    context.say("the kernel differs from the last apply; cloudron-fw apply would repair:");
    print_difference(context, report->difference, kLinesShown, Tense::to_be_done);
  }
  return kDifferent;
}

}  // namespace

void add_verify(CLI::App& program, Context& context, int& exit) {
  CLI::App* command = program.add_subcommand(
      "verify",
      "Check that the kernel holds what was last applied; ignores later edits of the policy file.\n"
      "Exit code: 0 it does, 2 it does not, 1 error.");
  command->callback([&context, &exit] { exit = run_verify(context); });
}

}  // namespace cli
