// cloudron-fw confirm, rollback
#include <CLI/CLI.hpp>
#include <boost/json/object.hpp>
#include <fmt/format.h>

#include "cli/commands.hpp"
#include "cli/record.hpp"
#include "cli/trial.hpp"
#include "fw/host/host_facts.hpp"
#include "fw/host/lock.hpp"

namespace cli {
namespace {

namespace json = boost::json;

int run_confirm(const Context& context) {
  const auto lock = fw::StateLock::take(context.state_dir);
  if (!lock) return failed(context, lock.error());
  if (!settle_trial(context)) return kError;
  const auto pending = fw::read_trial_record(context.state_dir);
  if (!pending) {
    context.error("nothing waits for a confirmation");
    return kError;
  }
  auto manager = open_manager(context);
  if (!manager) return failed(context, manager.error());
  const auto report = fw::confirm(*manager, context.state_dir, *pending);
  if (!report) return failed(context, report.error());
  record(context, nullptr, "confirm", name_of(*pending), {});
  if (context.json) context.print(json::object{{"confirmed", name_of(*pending)}});
  context.say(context.styled(Context::Style::green,
                             name_of(*pending) + " is confirmed: it is in force for good"));
  for (const std::string& warning : report->warnings) context.warn(warning);
  print_lists(context, report->lists.reports);
  return report->warnings.empty() && !report->lists.has_problems() ? kOk : kPartly;
}

int run_rollback(const Context& context) {
  const auto lock = fw::StateLock::take(context.state_dir);
  if (!lock) return failed(context, lock.error());
  const auto pending = fw::read_trial_record(context.state_dir);
  if (!pending) {
    if (context.json) context.print(json::object{{"rolled_back", nullptr}});
    context.say("nothing to do: no policy is on trial");
    return kOk;
  }
  auto manager = open_manager(context);
  if (!manager) return failed(context, manager.error());
  const auto done = fw::roll_back(*manager, context.state_dir, *pending, fw::wall_clock());
  if (!done) return failed(context, done.error());
  record(context, nullptr, "rollback", rolled_back_text(*pending, *done), {});
  if (context.json) context.print(json::object{{"rolled_back", name_of(*pending)}});
  context.say(context.styled(Context::Style::green, rolled_back_text(*pending, *done)));
  for (const std::string& warning : done->report.warnings) context.warn(warning);
  print_lists(context, done->report.lists.reports);
  return done->report.warnings.empty() && !done->report.lists.has_problems() ? kOk : kPartly;
}

}  // namespace

void add_confirm(CLI::App& program, Context& context, int& exit) {
  CLI::App* confirm = program.add_subcommand(
      "confirm",
      "Keep the policy that 'apply --confirm' put in force. Run it in a session that was opened "
      "since: that shows that one can still log in. An error when nothing waits: then what is in "
      "force is the earlier policy.");
  confirm->callback([&context, &exit] { exit = run_confirm(context); });

  CLI::App* rollback = program.add_subcommand(
      "rollback",
      "Bring back the rules from before 'apply --confirm', with what their limits had counted. "
      "Blocks that were made meanwhile stay.");
  rollback->callback([&context, &exit] { exit = run_rollback(context); });
}

}  // namespace cli
