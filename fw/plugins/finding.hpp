// What an audit finds: a weakness, what an attacker gains, and the fix.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

namespace fw {

/// critical: whoever is inside, or comes in, has the host. high: one more step is needed. medium:
/// an attack is easier, or does more damage. low: one layer of several is missing.
enum class FindingSeverity : std::uint8_t { low, medium, high, critical };

constexpr const char* to_string(FindingSeverity severity) {
  switch (severity) {
    case FindingSeverity::low:
      return "low";
    case FindingSeverity::medium:
      return "medium";
    case FindingSeverity::high:
      return "high";
    case FindingSeverity::critical:
      return "critical";
  }
  return "";
}

/// Texts are safe to print.
struct Finding {
  FindingSeverity severity = FindingSeverity::low;
  std::string rule;     ///< "docker-socket": stable, for scripts
  std::string subject;  ///< the container's name; "Docker" or "host" for what concerns all
  std::string what;     ///< the weakness, as it was found
  std::string impact;   ///< what an attacker has of it
  std::string fix;      ///< the flag of `docker run`, or what to do on the host
  std::string compose;  ///< the line of a Compose file; "" where there is none

  bool operator==(const Finding&) const = default;
};

/// The gravest first; of the same severity, as they were.
inline void sort_findings(std::vector<Finding>& findings) {
  std::stable_sort(findings.begin(), findings.end(),
                   [](const Finding& a, const Finding& b) { return a.severity > b.severity; });
}

}  // namespace fw
