// From the text of a policy file to a Policy, with contributions that are handed in: who needs the
// policy itself asks fw/effective/policy.hpp.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "fw/policy/contribution.hpp"
#include "fw/policy/policy.hpp"

namespace fw {

struct Table;

enum class Severity { error, warning };

struct Problem {
  Severity severity = Severity::error;
  std::string what;  ///< one sentence with the remedy, e.g. `rate "5/10x": unknown unit 'x' (use s,
                     ///< m, h or d)`
  Location where;

  bool operator==(const Problem&) const = default;
};

/// "policy.toml:14:9: error: what"
std::string to_string(const Problem& problem);

struct Parsed {
  Policy policy;                  ///< meaningful only when there is no error among the problems
  std::vector<Problem> problems;  ///< all of them, in the order of the file
  std::string text{};             ///< of the file, where read_policy could read it

  bool ok() const;
};

/// Parses TOML text; `file` is only used to name places. All problems are reported at once.
/// Unknown keys are errors with a suggestion. Includes the cross-field check below.
Parsed parse_policy(std::string_view text, const std::string& file, Contributions contributions);

/// Reads (once) and parses a regular file of at most kPolicyBytesMax. A file that cannot be read is
/// one error; a FIFO or a device is not waited for.
Parsed read_policy(const std::string& path, Contributions contributions);

/// Problems that only show when the whole policy is seen: duplicate names, a port in two limits of
/// the same side, unknown addons, app addresses outside the app networks, no SSH port open
/// (warning), a limit on a port that is closed (warning; not of a default limit in its place).
std::vector<Problem> check(const Policy& policy, const Policy& defaults);

/// "no SSH port is open (tcp/22, tcp/202)", if that is so.
std::optional<std::string> ssh_closed(const Policy& policy);

}  // namespace fw
