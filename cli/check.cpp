// cloudron-fw check
#include <algorithm>

#include <CLI/CLI.hpp>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include "cli/commands.hpp"

namespace cli {
namespace {

int run(const Context& context, const std::string& file) {
  Context with = context;
  if (!file.empty()) with.policy_path = file;
  std::vector<fw::Problem> problems;
  std::string name = with.policy_path.empty() ? kDefaultPolicy : with.policy_path;
  if (with.policy_path.empty() && access(kDefaultPolicy, F_OK) != 0) {
    name = "the built-in default policy";
    problems = fw::check(fw::default_policy());
  } else {
    problems = fw::read_policy(name).problems;
  }
  const bool bad = std::any_of(problems.begin(), problems.end(), [](const fw::Problem& p) {
    return p.severity == fw::Severity::error;
  });
  if (context.json) {
    boost::json::array list;
    for (const fw::Problem& problem : problems) list.push_back(to_json(problem));
    context.print(boost::json::object{{"policy", name}, {"ok", !bad}, {"problems", list}});
  } else {
    context.problems(problems);
    if (!bad) {
      context.say(problems.empty() ? name + ": no problems"
                                   : name + ": usable, with " + plural(problems.size(), "warning"));
    }
  }
  return bad ? kError : kOk;
}

}  // namespace

void add_check(CLI::App& program, Context& context, int& exit) {
  auto file = std::make_shared<std::string>();
  CLI::App* command = program.add_subcommand(
      "check",
      "Report every problem in a policy with file:line:column, without touching the kernel; needs "
      "no root. Warns when no SSH port would stay open.");
  command->add_option("FILE", *file, "The policy to check (default: that of --policy)");
  command->callback([&context, &exit, file] { exit = run(context, *file); });
}

}  // namespace cli
