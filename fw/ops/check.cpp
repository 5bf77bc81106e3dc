// Every problem of a policy, its lists and its rules.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/ops/check.hpp"

#include <algorithm>
#include <iterator>

#include <fmt/format.h>
#include <unistd.h>

#include "chains/rule_text.hpp"
#include "fw/effective/policy.hpp"
#include "fw/host/exposed.hpp"
#include "fw/host/lockout.hpp"
#include "fw/host/settings.hpp"
#include "fw/host/uplink.hpp"
#include "fw/lists/lists.hpp"
#include "fw/ops/words.hpp"
#include "fw/policy/rule_files.hpp"

namespace fw::ops {
namespace {

void append(std::vector<Problem>& problems, std::vector<Problem> more) {
  std::move(more.begin(), more.end(), std::back_inserter(problems));
}

/// What is wrong with the files that the policy names: apply goes on without them, so these are
/// warnings.
void check_lists(const Policy& policy, const SparedSpace& spared, std::vector<Problem>& problems) {
  for (const List& list : policy.lists) {
    if (list.file.empty()) continue;  // an error of the policy, which is said
    const std::string path = list_path(policy, list);
    const bool blocks = list.action == ListAction::block;
    const auto text = read_list(path, blocks ? spared : SparedSpace{});
    if (!text) {
      problems.push_back({Severity::warning,
                          fmt::format("list '{}': {}", list.name, to_string(text.error())),
                          list.where});
      continue;
    }
    for (const BadLine& bad : text->bad) {
      const Location where{path, static_cast<int>(bad.line), 0};
      problems.push_back({Severity::warning, bad.what, where});
    }
    for (const BadLine& wide : text->wide) {
      const Location where{path, static_cast<int>(wide.line), 0};
      problems.push_back({Severity::warning, wide.what, where});
    }
    for (const BadLine& left : text->left_out) {
      const Location where{path, static_cast<int>(left.line), 0};
      problems.push_back({Severity::warning, left.what + "; no list blocks that part", where});
    }
    if (text->left_count > text->left_out.size()) {
      problems.push_back({Severity::warning,
                          fmt::format("list '{}': {} more entries are partly ignored", list.name,
                                      grouped(text->left_count - text->left_out.size())),
                          list.where});
    }
    if (text->bad_count > text->bad.size()) {
      problems.push_back({Severity::warning,
                          fmt::format("list '{}': {} more bad lines", list.name,
                                      grouped(text->bad_count - text->bad.size())),
                          list.where});
    }
  }
}

/// A policy is as good as the kernel that it is for.
void check_settings(std::vector<Problem>& problems) {
  for (const WeakSetting& setting : weak_settings()) {
    problems.push_back({Severity::warning, to_string(setting), {}});
  }
}

/// The files of rules.d next to the policy.
void check_rules(const std::string& policy_path, std::vector<Problem>& problems) {
  const auto files = read_rule_files(absolute_path(policy_path));
  if (!files) {
    problems.push_back({Severity::error, files.error().what, files.error().where});
    return;
  }
  auto found = chains::read_rules(*files).problems;
  std::move(found.begin(), found.end(), std::back_inserter(problems));
}

/// A file that is well written, and yet not what apply would take.
void check_shrunk(const Environment& env, const Policy& policy, const SparedSpace& spared,
                  std::vector<Problem>& problems) {
  Lists lists(env.state_dir);
  const EffectiveLists effective = lists.resolve(policy, {spared});
  for (std::size_t i = 0; i < effective.reports.size(); ++i) {
    const ListReport& report = effective.reports[i];
    if (!report.shrank) continue;
    problems.push_back({Severity::warning,
                        fmt::format("list '{}': {}", report.name, report.problem),
                        policy.lists[i].where});
  }
}

/// Of a policy file.
void check_file(const Environment& env, const std::string& path, std::vector<Problem>& problems) {
  Parsed parsed = read_policy(path);
  const bool ok = parsed.ok();
  problems = std::move(parsed.problems);
  const SparedSpace spared = spared_here();
  check_lists(parsed.policy, spared, problems);
  if (!ok) return;
  check_shrunk(env, parsed.policy, spared, problems);
  append(problems, uplinks_among_apps(parsed.policy, read_uplink()));
  append(problems, ssh_by_absent_interfaces(parsed.policy));
  append(problems, exposed_files(parsed.policy, path, env.state_dir));
}

}  // namespace

CheckReport check(const Environment& env, const PolicySource& source) {
  CheckReport report;
  const std::string path = source.path.empty() ? kDefaultPolicy : source.path;
  if (source.path.empty() && ::access(kDefaultPolicy, F_OK) != 0) {
    report.policy = "the built-in default policy";
    report.problems = fw::check(default_policy());
  } else {
    report.policy = path;
    check_file(env, path, report.problems);
  }
  check_settings(report.problems);
  check_rules(path, report.problems);
  report.ok = std::ranges::none_of(report.problems,
                                   [](const Problem& p) { return p.severity == Severity::error; });
  return report;
}

}  // namespace fw::ops
