// cloudron-fw check
#include <algorithm>
#include <iterator>

#include <CLI/CLI.hpp>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <fmt/format.h>

#include "chains/rule_text.hpp"
#include "cli/commands.hpp"
#include "fw/host/exposed.hpp"
#include "fw/host/lockout.hpp"
#include "fw/host/settings.hpp"
#include "fw/host/uplink.hpp"
#include "fw/lists/lists.hpp"
#include "fw/wire/wire.hpp"

namespace cli {
namespace {

/// What is wrong with the files that the policy names: apply goes on beside it, so these are
/// warnings.
void check_lists(const fw::Policy& policy, const fw::SparedSpace& spared,
                 std::vector<fw::Problem>& problems) {
  for (const fw::List& list : policy.lists) {
    if (list.file.empty()) continue;  // an error of the policy, which is said
    const std::string path = list_path(policy, list);
    const bool blocks = list.action == fw::ListAction::block;
    const auto text = fw::read_list(path, blocks ? spared : fw::SparedSpace{});
    if (!text) {
      problems.push_back({fw::Severity::warning,
                          fmt::format("list '{}': {}", list.name, to_string(text.error())),
                          list.where});
      continue;
    }
    for (const fw::BadLine& bad : text->bad) {
      const fw::Location where{path, static_cast<int>(bad.line), 0};
      problems.push_back({fw::Severity::warning, bad.what, where});
    }
    for (const fw::BadLine& wide : text->wide) {
      const fw::Location where{path, static_cast<int>(wide.line), 0};
      problems.push_back({fw::Severity::warning, wide.what, where});
    }
    for (const fw::BadLine& left : text->left_out) {
      const fw::Location where{path, static_cast<int>(left.line), 0};
      problems.push_back({fw::Severity::warning, left.what + "; no list blocks that part", where});
    }
    if (text->left_count > text->left_out.size()) {
      problems.push_back({fw::Severity::warning,
                          fmt::format("list '{}': {} more entries are left out in part", list.name,
                                      grouped(text->left_count - text->left_out.size())),
                          list.where});
    }
    if (text->bad_count > text->bad.size()) {
      problems.push_back({fw::Severity::warning,
                          fmt::format("list '{}': {} more bad lines", list.name,
                                      grouped(text->bad_count - text->bad.size())),
                          list.where});
    }
  }
}

/// A policy is as good as the kernel that it is for.
void check_settings(std::vector<fw::Problem>& problems) {
  for (const fw::WeakSetting& setting : fw::weak_settings()) {
    problems.push_back({fw::Severity::warning, to_string(setting), {}});
  }
}

/// The files of rules.d beside the policy.
void check_rules(const std::string& policy_path, std::vector<fw::Problem>& problems) {
  const auto files = fw::read_rule_files(fw::ops::absolute_path(policy_path));
  if (!files) {
    problems.push_back({fw::Severity::error, files.error().what, files.error().where});
    return;
  }
  auto found = chains::read_rules(*files).problems;
  std::move(found.begin(), found.end(), std::back_inserter(problems));
}

/// A file that is well written, and yet not what apply would take.
void check_shrunk(const Context& context, const fw::Policy& policy, const fw::SparedSpace& spared,
                  std::vector<fw::Problem>& problems) {
  fw::Lists lists(context.state_dir);
  const fw::EffectiveLists effective = lists.resolve(policy, {spared});
  for (std::size_t i = 0; i < effective.reports.size(); ++i) {
    const fw::ListReport& report = effective.reports[i];
    if (!report.shrank) continue;
    problems.push_back({fw::Severity::warning,
                        fmt::format("list '{}': {}", report.name, report.problem),
                        policy.lists[i].where});
  }
}

int run_check(const Context& context, const std::string& file) {
  if (file == "-") {
    context.error("check reads files only: write the name of one");
    return kUsage;
  }
  Context with = context;
  if (!file.empty()) with.policy_path = file;
  std::vector<fw::Problem> problems;
  std::string name = with.policy_path.empty() ? fw::ops::kDefaultPolicy : with.policy_path;
  if (with.policy_path.empty() && access(fw::ops::kDefaultPolicy, F_OK) != 0) {
    name = "the built-in default policy";
    problems = fw::check(fw::default_policy());
  } else {
    fw::Parsed parsed = fw::read_policy(name);
    const bool ok = parsed.ok();
    problems = std::move(parsed.problems);
    const fw::SparedSpace spared = fw::spared_here();
    check_lists(parsed.policy, spared, problems);
    if (ok) {
      check_shrunk(with, parsed.policy, spared, problems);
      for (auto& problem : fw::uplinks_among_apps(parsed.policy, fw::read_uplink())) {
        problems.push_back(std::move(problem));
      }
      for (auto& one : fw::ssh_by_absent_interfaces(parsed.policy)) {
        problems.push_back(std::move(one));
      }
      for (auto& one : fw::exposed_files(parsed.policy, name, with.state_dir)) {
        problems.push_back(std::move(one));
      }
    }
  }
  check_settings(problems);
  check_rules(with.policy_path.empty() ? fw::ops::kDefaultPolicy : with.policy_path, problems);
  const bool bad = std::any_of(problems.begin(), problems.end(), [](const fw::Problem& p) {
    return p.severity == fw::Severity::error;
  });
  if (context.json) {
    boost::json::array list;
    for (const fw::Problem& problem : problems) list.push_back(fw::wire::to_json(problem));
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
      "Report every problem in a policy and its lists with file:line:column, without touching the "
      "kernel; needs no root. Warns when no SSH port would stay open, and of sysctls of this host "
      "that weaken the firewall.");
  command->add_option("FILE", *file, "The policy to check (default: that of --policy)")
      ->check(not_empty);
  command->callback([&context, &exit, file] { exit = run_check(context, *file); });
}

}  // namespace cli
