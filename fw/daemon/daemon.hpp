// The daemon: repairs the firewall, counts refusals, and answers on the control socket.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <string>

#include "fw/base/result.hpp"

namespace fw {

struct DaemonOptions {
  std::string state_dir;
  std::string socket;  ///< path of the control socket
};

/// Runs until SIGTERM or SIGINT. Errors: what it cannot begin without (the kernel, the state
/// folder, the socket, another daemon on the same state).
Result<void> run_daemon(const DaemonOptions& options);

}  // namespace fw
