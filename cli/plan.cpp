// cloudron-fw plan
#include <CLI/CLI.hpp>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include "cli/commands.hpp"
#include "cli/record.hpp"
#include "cli/trial.hpp"
#include "fw/host/lockout.hpp"

namespace cli {
namespace {

boost::json::array texts(const std::vector<std::string>& from) {
  boost::json::array out;
  for (const std::string& text : from) out.emplace_back(text);
  return out;
}

int run_plan(Context& context) {
  context.apps = Context::Apps::asked;
  const auto loaded = load_policy(context);
  if (!loaded) return kError;
  context.problems(loaded->warnings);
  context.problems(fw::ssh_by_absent_interfaces(loaded->policy));
  auto manager = open_manager_to_read(context);
  if (!manager) {
    context.error(manager.error());
    return kError;
  }
  manager->refuse_lockout(own_session);
  const auto report = manager->apply(loaded->policy, fw::ApplyMode::dry_run, unused_now(context));
  if (!report) {
    context.error(report.error());
    return kError;
  }
  const fw::Trouble trouble = fw::read_trouble(context.state_dir);
  print_trouble(context, trouble);
  print_refused(context, *loaded);
  for (const std::string& warning : report->warnings) context.warn(warning);
  if (context.json) {
    context.print(boost::json::object{{"policy", loaded->name},
                                      {"changed", report->changed},
                                      {"confirmation", trial_json(trouble)},
                                      {"panic", panic_json(trouble)},
                                      {"difference", to_json(report->difference)},
                                      {"lists", to_json(report->lists.reports)},
                                      {"warnings", texts(report->warnings)}});
  } else if (report->changed) {
    print_difference(context, report->difference, report->difference.rules.all, Tense::to_be_done);
  } else {
    context.say("nothing to do: the kernel holds " + loaded->name);
  }
  print_lists(context, report->lists.reports);
  return report->changed ? kDifferent : kOk;
}

}  // namespace

void add_plan(CLI::App& program, Context& context, int& exit) {
  CLI::App* command = program.add_subcommand(
      "plan",
      "Print the exact difference between the kernel and the policy, as rule lines (+ to be added, "
      "- to be removed), each with the policy line that it comes from. Changes nothing.\n"
      "Exit code: 0 nothing to do, 2 something to do, 1 error.");
  command->callback([&context, &exit] { exit = run_plan(context); });
}

}  // namespace cli
