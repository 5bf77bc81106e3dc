// An admin's own rules, read from files in a subset of nft's language.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <string>
#include <vector>

#include "chains/ruleset.hpp"
#include "fw/policy/parse.hpp"
#include "fw/policy/rule_files.hpp"

namespace chains {

/// Chains that an admin's rules may stand in; each has a chain of its own behind the one that is
/// filled by hand.
inline constexpr const char* kAdminChains[] = {"CLOUDRON_BEFORE", "CLOUDRON_AFTER",
                                               "CLOUDRON_FORWARD_BEFORE", "CLOUDRON_FORWARD_AFTER"};
/// Where rules of files for one of these stand: "CLOUDRON_BEFORE.rules".
std::string rules_chain(const std::string& admin_chain);

struct RulesOfFiles {
  Ruleset rules;  ///< chains with rules, and the sets that they ask
  std::vector<fw::Problem> problems;
};

/// Takes `add rule inet cloudron CHAIN RULE` and `chain CHAIN { RULE ... }`, which may stand in
/// `table inet cloudron { ... }`. What else nft knows is a problem with its place and a remedy.
RulesOfFiles read_rules(const std::vector<fw::RuleFile>& files);

}  // namespace chains
