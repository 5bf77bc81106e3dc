// cloudron-fw apply
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/ops/apply.hpp"

#include <CLI/CLI.hpp>
#include <boost/json/object.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <malloc.h>

#include "cli/commands.hpp"
#include "cli/guardian.hpp"
#include "cli/sites.hpp"
#include "cli/trial.hpp"
#include "fw/base/limits.hpp"
#include "fw/base/rate.hpp"
#include "fw/wire/wire.hpp"

namespace cli {
namespace {

using Style = Context::Style;

struct ApplyOptions {
  bool dry_run = false;
  bool boot = false;
  bool force = false;
  bool accept_lists = false;
  fw::ops::Sites sites = fw::ops::Sites::installed;
  std::string confirm;  ///< how long the policy is on trial; "": not at all
};

void print_report(const Context& context, const ApplyOptions& options,
                  const fw::ops::ApplyOutcome& outcome) {
  const fw::ApplyReport& report = outcome.report;
  const std::string& policy = outcome.loaded.name;
  const auto& closed = outcome.closed_bridges;
  if (context.json) return context.print(fw::wire::to_json(outcome));
  if (report.bridges_filtered) {
    context.say(
        "packets within bridges now pass the firewall, on every bridge of this host "
        "(net.bridge.bridge-nf-call-iptables and -ip6tables are 1)");
  }
  if (!outcome.dry_run) print_panic(context, outcome.trouble);
  if (report.connections_entered != 0) {
    context.say(plural(report.connections_entered, "open connection was", "open connections were") +
                " no longer tracked (conntrack -F?); tracked again");
  }
  const bool sites_changed = outcome.sites && outcome.sites->changed();
  if (!report.changed) {
    std::string what = report.connections_entered != 0 ? "nothing else to do" : "nothing to do";
    if (sites_changed) what = "the rules stay";
    const bool unconfirmed = options.confirm.empty() || outcome.trial || sites_changed;
    context.say(what + ": the kernel holds " + policy +
                (unconfirmed ? "" : ", and there is nothing to confirm"));
    if (outcome.trial) print_trial(context, name_of(*outcome.trial), outcome.trial->until_wall);
    return;
  }
  if (!closed.empty()) {
    context.say(
        fmt::format("closed from outside, except for open published ports: the "
                    "containers on {} ([apps] routed = [\"{}\"] opens such a bridge)",
                    fmt::join(closed, ", "), closed.front()));
  }
  const Tense tense = outcome.dry_run ? Tense::to_be_done : Tense::done;
  if (report.first) {
    fw::Difference contents{{}, report.difference.contents};
    context.say(fmt::format("table inet {}: {}, {}", chains::kTable,
                            outcome.dry_run ? "to be made" : "made",
                            plural(report.difference.rules.all, "line")));
    print_difference(context, contents, kLinesShown, tense);
    if (report.flows_admitted != 0) {
      context.say(
          plural(report.flows_admitted, "open connection continues", "open connections continue"));
    }
  } else {
    print_difference(context, report.difference, kLinesShown, tense);
  }
  if (report.flows_cut != 0) {
    context.say(plural(report.flows_cut, "open connection") + " of blocked addresses cut");
  }
  if (outcome.trial) {
    return print_trial(context, name_of(*outcome.trial), outcome.trial->until_wall);
  }
  context.say(
      context.styled(outcome.dry_run ? Style::yellow : Style::green,
                     outcome.dry_run ? "dry run: nothing was changed" : policy + " is in force"));
}

/// What was done, and the code that the command ends with.
int end(const Context& context, const ApplyOptions& options,
        const fw::Result<fw::ops::ApplyOutcome>& outcome) {
  if (!outcome) return failed(context, outcome.error());
  print_report(context, options, *outcome);
  const fw::ApplyReport& report = outcome->report;
  print_sites(context, outcome->sites);
  for (const std::string& warning : report.warnings) context.warn(warning);
  print_lists(context, report.lists.reports);
  const bool partly = report.lists.has_problems() || !report.warnings.empty() ||
                      outcome->without_store ||
                      (outcome->sites && !outcome->sites->trouble.empty());
  return partly ? kPartly : kOk;
}

/// "60s" and the like, up to a day.
fw::Result<std::chrono::seconds> trial_time(const std::string& text) {
  auto time = fw::parse_duration(text);
  if (!time || *time <= fw::kTrialMax) return time;
  return fw::fail(fw::ErrorCode::usage, text + ": at most 1d");
}

int run_apply(const Context& context, const ApplyOptions& options) {
  if (const auto refused = refuse_sites(context, options.sites)) return *refused;
  fw::ops::ApplyRequest request{context.source(), options.force, options.accept_lists,
                                options.sites};
  request.source.ask_engine = true;
  const fw::ops::Environment env = context.environment();
  if (options.dry_run) return end(context, options, fw::ops::plan(env, request));
  if (options.confirm.empty()) return end(context, options, fw::ops::apply(env, request));
  const auto time = trial_time(options.confirm);
  if (!time) {
    context.error("--confirm " + to_string(time.error()));
    return kUsage;
  }
  return end(context, options, fw::ops::apply_on_trial(env, request, *time, [&context] {
               return Guardian::start(context);
             }));
}

int run_boot(Context& context, const ApplyOptions& options) {
  context.boot = true;
  return end(context, options, fw::ops::apply_at_boot(context.environment(), context.source()));
}

}  // namespace

void add_apply(CLI::App& program, Context& context, int& exit) {
  auto options = std::make_shared<ApplyOptions>();
  CLI::App* command = program.add_subcommand(
      "apply",
      "Compile the policy and load it into the kernel, in one transaction.\n"
      "The kernel holds the old rules or the new ones, never a mix; unchanged parts keep their "
      "counters, limits and timers. Connections that are open at the first apply continue. "
      "Prints what changed, or that there is nothing to do. Sites that were installed follow.");
  CLI::Option* const dry_run =
      command->add_flag("--dry-run", options->dry_run, "Only print what would change");
  CLI::Option* const confirm =
      command
          ->add_option("--confirm", options->confirm,
                       "Roll back after this time (60s, 5m; at most 1d), unless 'confirm' is "
                       "run first")
          ->type_name("TIME")
          ->check(not_empty)
          ->excludes(dry_run);
  command->add_flag("--force", options->force,
                    "Apply even if this SSH session could not log in again, or no SSH port is "
                    "open");
  command->add_flag("--accept-lists", options->accept_lists,
                    "Accept lists as they are, even if they lost more than half of their entries");
  add_sites_option(*command, options->sites);
  add_nginx_option(*command, context);
  command
      ->add_flag(
          "--boot", options->boot,
          "For the systemd unit: if the policy is missing or broken, apply the last good one, or "
          "else the built-in default, and report that in the journal")
      ->excludes(confirm)
      ->excludes(dry_run)
      ->group("At boot");
  command->callback([&context, &exit, options] {
    // What one step gives back the next one takes: fewer pages that the kernel makes empty.
    mallopt(M_MMAP_THRESHOLD, 4 << 20);
    exit = options->boot ? run_boot(context, *options) : run_apply(context, *options);
  });
}

}  // namespace cli
