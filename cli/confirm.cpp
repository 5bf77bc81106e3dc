// cloudron-fw confirm, rollback
// SPDX-License-Identifier: GPL-2.0-or-later
#include <memory>

#include <CLI/CLI.hpp>
#include <boost/json/object.hpp>

#include "cli/commands.hpp"
#include "cli/sites.hpp"
#include "fw/ops/trial.hpp"
#include "fw/wire/wire.hpp"

namespace cli {
namespace {

int end(const Context& context, const fw::ops::TrialEnded& ended) {
  if (context.json) context.print(fw::wire::to_json(ended));
  if (!ended.text.empty()) context.say(context.styled(Context::Style::green, ended.text));
  for (const std::string& warning : ended.report.warnings) context.warn(warning);
  if (!ended.trouble.empty()) context.warn(ended.trouble);
  print_lists(context, ended.report.lists.reports);
  const bool whole =
      ended.report.warnings.empty() && !ended.report.lists.has_problems() && ended.trouble.empty();
  return whole ? kOk : kPartly;
}

int run_confirm(const Context& context) {
  const auto confirmed = fw::ops::confirm(context.environment());
  return confirmed ? end(context, *confirmed) : failed(context, confirmed.error());
}

int run_rollback_due(const Context& context) {
  const auto done = fw::ops::rollback_due(context.environment());
  if (!done) return failed(context, done.error());
  if (context.json) context.print(boost::json::object{{"text", *done}});
  context.say(done->empty() ? "nothing to do: no trial is over" : *done);
  return fw::ops::sites_wait(context.environment()) ? kPartly : kOk;
}

int run_rollback(const Context& context) {
  const auto done = fw::ops::rollback(context.environment());
  if (!done) return failed(context, done.error());
  if (*done) return end(context, **done);
  if (context.json) context.print(boost::json::object{{"policy", nullptr}});
  context.say("nothing to do: no policy is on trial");
  return kOk;
}

}  // namespace

void add_confirm(CLI::App& program, Context& context, int& exit) {
  CLI::App* confirm = program.add_subcommand(
      "confirm",
      "Keep the policy that 'apply --confirm' put in force. Run it in a session opened after the "
      "apply, which shows that you can still log in. Fails if no policy is on trial: then the "
      "earlier policy is in force.");
  add_nginx_option(*confirm, context);
  confirm->callback([&context, &exit] { exit = run_confirm(context); });

  CLI::App* rollback = program.add_subcommand("rollback",
                                              "Bring back the rules and sites from before 'apply "
                                              "--confirm', with the counts of limits. Blocks "
                                              "made during the trial stay.");
  const auto due = std::make_shared<bool>(false);
  rollback->add_flag("--due", *due,
                     "Only if the time of the trial is over, and sites that an ended trial left");
  add_nginx_option(*rollback, context);
  rollback->callback(
      [&context, &exit, due] { exit = *due ? run_rollback_due(context) : run_rollback(context); });
}

}  // namespace cli
