// cloudron-fw verify
#include <CLI/CLI.hpp>
#include <boost/json/object.hpp>
#include <fmt/format.h>

#include "cli/commands.hpp"
#include "fw/host/desired_policy.hpp"
#include "fw/host/last_good.hpp"
#include "fw/host/status.hpp"

namespace cli {
namespace {

int run_verify(const Context& context) {
  auto manager = open_manager_to_read(context);
  if (!manager) {
    context.error(manager.error());
    return kError;
  }
  const auto wanted = fw::desired_policy(context.state_dir, fw::this_moment());
  const auto report =
      manager->apply(wanted.policy, fw::ApplyMode::dry_run, wanted.unused, fw::ListUse::remembered);
  if (!report) {
    context.error(report.error());
    return kError;
  }
  const auto labels = fw::label_trouble(manager->kernel(), wanted.policy);
  if (!labels) {
    context.error(labels.error());
    return kError;
  }
  if (!labels->empty()) context.warn(*labels);
  const bool off = fw::switched_off(context.state_dir);
  if (context.json) {
    context.print(boost::json::object{
        {"equal", !report->changed}, {"off", off}, {"difference", to_json(report->difference)}});
  }
  if (!report->changed) {
    context.say("the kernel holds what was last applied");
    return kOk;
  }
  if (off) {
    context.say("the firewall is off since 'cloudron-fw reset'");
  } else if (report->first) {
    context.say(wanted.why == fw::DesiredPolicy::Why::built_in
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
