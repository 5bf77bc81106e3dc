// Removes the firewall from the kernel.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <functional>
#include <string>

#include "fw/ops/environment.hpp"

namespace fw::ops {

struct ResetReport {
  bool removed = false;  ///< false: there was no table of ours
  std::string text;      ///< "table inet cloudron, table bridge cloudron removed"
};

/// Removes exactly our tables; every port is open afterwards. Stored blocks stay, and come back
/// with the next apply. `agree` is called when there is something to remove, before anything is
/// locked: its error ends the reset. Errors: the rules that stand in for a removed table are still
/// there, for only the daemon can remove them.
Result<ResetReport> reset(const Environment& env, const std::function<Result<void>()>& agree);

}  // namespace fw::ops
