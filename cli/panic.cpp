// cloudron-fw panic
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/ops/panic.hpp"

#include <CLI/CLI.hpp>

#include "cli/commands.hpp"
#include "cli/trial.hpp"
#include "fw/wire/wire.hpp"

namespace cli {
namespace {

struct PanicOptions {
  std::string what;
  bool force = false;
};

int run_panic(const Context& context, const PanicOptions& options) {
  const bool on = options.what == "on";
  const auto report = fw::ops::panic(context.environment(), {on, options.force});
  if (!report) return failed(context, report.error());
  if (context.json) context.print(fw::wire::to_json(*report));
  if (!report->changed) {
    context.say("nothing to do: there is no panic");
    return kOk;
  }
  if (on) {
    print_panic(context, report->trouble);
  } else {
    context.say(context.styled(Context::Style::green, "the panic is over"));
  }
  for (const std::string& warning : report->warnings) context.warn(warning);
  return report->warnings.empty() ? kOk : kPartly;
}

}  // namespace

void add_panic(CLI::App& program, Context& context, int& exit) {
  auto options = std::make_shared<PanicOptions>();
  CLI::App* command = program.add_subcommand(
      "panic",
      "Drop all new connections (on), or end that (off). With on, only SSH from trusted networks "
      "and from the address of your SSH session can still connect; open connections continue. A "
      "panic survives applies and reboots. off restores the earlier rules, with the counts of "
      "their "
      "limits.");
  command->add_option("WHAT", options->what, "on or off")
      ->required()
      ->check(CLI::IsMember({"on", "off"}));
  command->add_flag("--force", options->force,
                    "Start the panic even if nobody could log in any more");
  command->callback([&context, &exit, options] { exit = run_panic(context, *options); });
}

}  // namespace cli
