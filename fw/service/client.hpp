// Asking the daemon, from a command.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <chrono>
#include <string>

#include "fw/base/result.hpp"

namespace fw {

/// Sends one request to the control socket and gives the answer's line, without its line break; at
/// most kControlAnswerMax bytes and `patience`. Errors: no process listens, no permission, no
/// answer.
Result<std::string> ask(const std::string& socket, const std::string& request,
                        std::chrono::milliseconds patience);

}  // namespace fw
