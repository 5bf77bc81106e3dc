// The process that answers strangers on behalf of the firewall: the limiter's service.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "fw/base/result.hpp"
#include "fw/policy/http_limit.hpp"
#include "fw/services/offences.hpp"

namespace fw::services {

inline constexpr const char* kDefaultRuntimeDir = "/run/cloudron-fw-services";

struct ServicesOptions {
  std::string runtime_dir = kDefaultRuntimeDir;  ///< with limit.sock and the budgets
  std::string tokens;  ///< file of who may report offences; "": nobody. Read again by SIGHUP
  HttpRules fallback;  ///< until somebody could say what is in force
  // These two are called by a thread of their own, one at a time: they may take a while.
  /// What is in force. Asked at the start, every kLimitsAgain and by SIGHUP.
  std::function<Result<HttpRules>()> rules;
  /// Asks the daemon for a block.
  std::function<Result<void>(const WantedBlock&)> block;
  /// Which of these are blocked, by the daemon. Called by another thread of its own: proxies wait
  /// for the answer, which takes kBlockedPatience at most.
  std::function<Result<std::vector<Ip>>(const std::vector<Ip>& clients)> blocked;
};

/// Runs until SIGTERM or SIGINT. Errors: another process uses the folder, no room, no socket.
Result<void> run_services(const ServicesOptions& options);

}  // namespace fw::services
