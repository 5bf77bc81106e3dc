// A panic: drops all new connections, except SSH from trusted networks and the callers.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <string>
#include <vector>

#include "fw/host/status.hpp"
#include "fw/ops/environment.hpp"

namespace fw::ops {

struct PanicRequest {
  bool on = true;      ///< else: call it off
  bool force = false;  ///< even when nobody could log in any more
};

struct PanicReport {
  bool changed = false;  ///< false: there was no panic to call off
  Trouble trouble;
  std::vector<std::string> warnings;
};

/// It outlives applies and boots. Calling it off brings the rules from before, with what their
/// limits had counted. Errors: nobody could log in any more (nothing is changed then).
Result<PanicReport> panic(const Environment& env, const PanicRequest& request);

}  // namespace fw::ops
