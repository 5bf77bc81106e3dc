// Files of an admin's own rules, as text: found next to the policy, and stored with it.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "fw/base/result.hpp"

namespace fw {

/// /etc/cloudron-fw/rules.d/10-monitor.nft
struct RuleFile {
  std::string path;
  std::string text;

  bool operator==(const RuleFile&) const = default;
};

/// The *.nft files of rules.d next to a policy file, by name; none when there is no such folder.
Result<std::vector<RuleFile>> read_rule_files(const std::string& policy_path);

/// A policy's text with the rule files behind it, as comments: what is remembered of a policy is
/// one text, and brings back both.
std::string with_rules(std::string policy_text, const std::vector<RuleFile>& files);

/// The two apart again.
std::pair<std::string_view, std::vector<RuleFile>> without_rules(std::string_view text);

}  // namespace fw
