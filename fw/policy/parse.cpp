// From the text of a policy file to a Policy, or to a problem.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/policy/parse.hpp"

#include <algorithm>
#include <cerrno>
#include <utility>

#include <fmt/format.h>

#include "fw/base/file.hpp"
#include "fw/base/limits.hpp"
#include "fw/policy/policy_tables.hpp"
#include "fw/policy/rule_files.hpp"
#include "fw/policy/tables.hpp"

namespace fw {
namespace {

Parsed broken(const std::string& file, Contributions contributions, Problem problem) {
  Parsed parsed{contributed(with_defaults(contributions), contributions), {std::move(problem)}, {}};
  parsed.policy.file = file;
  return parsed;
}

}  // namespace

std::string to_string(const Problem& problem) {
  const std::string where = to_string(problem.where);
  return fmt::format("{}{}{}: {}", where, where.empty() ? "" : ": ",
                     problem.severity == Severity::error ? "error" : "warning", problem.what);
}

bool Parsed::ok() const {
  return std::ranges::none_of(
      problems, [](const Problem& problem) { return problem.severity == Severity::error; });
}

Parsed parse_policy(std::string_view whole, const std::string& file, Contributions contributions) {
  auto [text, rules] = without_rules(whole);
  if (text.size() > kPolicyBytesMax) {
    return broken(file, contributions,
                  {Severity::error,
                   fmt::format("the policy is larger than {} MiB; put addresses in files and name "
                               "them in [[list]] tables",
                               kPolicyBytesMax >> 20),
                   {file, 0, 0}});
  }
  auto parsed = read_tables(text, file, contributions, policy_tables(contributions));
  if (!parsed) return broken(file, contributions, std::move(parsed.error()));
  parsed->policy.rules = std::move(rules);
  return std::move(*parsed);
}

Parsed read_policy(const std::string& path, Contributions contributions) {
  auto text = read_text_file(path, kPolicyBytesMax);
  if (text) {
    Parsed parsed = parse_policy(*text, path, contributions);
    parsed.text = std::move(*text);
    return parsed;
  }
  const char* reason = why_unreadable(text.error());
  const char* remedy = "";
  if (text.error() == ENOENT) remedy = "; name a policy file that exists";
  if (text.error() == EACCES) remedy = "; run as root, or make it readable";
  return broken(
      path, contributions,
      {Severity::error, fmt::format("cannot be read: {}{}", reason, remedy), {path, 0, 0}});
}

}  // namespace fw
