// Every problem of a policy, its lists and its rules, without asking the kernel's firewall.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <string>
#include <vector>

#include "fw/ops/policy.hpp"

namespace fw::ops {

struct CheckReport {
  std::string policy;  ///< "/etc/cloudron-fw/policy.toml" or "the built-in default policy"
  bool ok = false;     ///< no problem is an error
  std::vector<Problem> problems;
};

/// Needs no root. Also warns when no SSH port would stay open, and of sysctls of this host that
/// weaken the firewall.
CheckReport check(const Environment& env, const PolicySource& source);

}  // namespace fw::ops
