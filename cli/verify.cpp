// cloudron-fw verify
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
                    ? "nothing was applied yet, and no table of ours is in the kernel; apply it: "
                      "sudo cloudron-fw apply"
                    : "what was last applied is gone: no table of ours is in the kernel; apply it "
                      "again: sudo cloudron-fw apply");
  } else {
    context.say("the kernel does not hold what was last applied; cloudron-fw apply would mend:");
    print_difference(context, report->difference, kLinesShown, Tense::to_be_done);
  }
  return kDifferent;
}

}  // namespace

void add_verify(CLI::App& program, Context& context, int& exit) {
  CLI::App* command = program.add_subcommand(
      "verify",
      "Compare the kernel with what was last applied, not with the policy file: the daemon's "
      "check, once.\nExit code: 0 it does, 2 it does not, 1 error.");
  command->callback([&context, &exit] { exit = run_verify(context); });
}

}  // namespace cli
