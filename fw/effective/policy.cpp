// The plugins that contribute to a policy, and the policy with what they do.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/effective/policy.hpp"

#include <algorithm>
#include <array>
#include <iterator>

#include "fw/plugins/mail/contribution.hpp"
#include "fw/plugins/tls/contribution.hpp"

namespace fw {
namespace {

/// A line for each plugin that contributes. It may know fw/policy alone, for all else stands on it.
constexpr std::array kContributions{
    Contribution{.plugin = "mail",
                 .tables = mail::tables,
                 .with_defaults = mail::with_defaults,
                 .contribute = mail::contribute},
    Contribution{.plugin = "tls", .tables = tls::tables, .check = tls::check},
};

}  // namespace

Contributions contributions() { return kContributions; }

Policy default_policy() { return contributed(with_defaults(kContributions), kContributions); }

Parsed parse_policy(std::string_view text, const std::string& file) {
  return parse_policy(text, file, kContributions);
}

Parsed read_policy(const std::string& path) { return read_policy(path, kContributions); }

std::vector<Problem> check(const Policy& policy) {
  std::vector<Problem> found = check(policy, with_defaults(kContributions));
  std::ranges::move(problems(policy, kContributions), std::back_inserter(found));
  return found;
}

}  // namespace fw
