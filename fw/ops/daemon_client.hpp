// What the daemon does for a command, if it runs: blocks, for it has the store and the kernel open
// already, and answers to those who may not read the state folder.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "fw/host/counts.hpp"
#include "fw/ops/block.hpp"
#include "fw/ops/environment.hpp"
#include "fw/ops/status.hpp"
#include "fw/policy/http_limit.hpp"
#include "fw/store/activity.hpp"

namespace fw::ops {

/// Nothing: no daemon keeps this state, or the request is too long for it; then it is done here.
/// What it did stands in the activity log already.
std::optional<Result<BlockReport>> block_by_daemon(const Environment& env,
                                                   const BlockRequest& request);
std::optional<Result<UnblockReport>> unblock_by_daemon(const Environment& env,
                                                       const UnblockRequest& request);

/// Tells the daemon, where one runs, of an apply that changed something. It only counts them, so
/// nothing comes of it when it does not answer.
void tell_applied(const Environment& env, std::chrono::microseconds took);

/// True for a user who may not read the state folder: the daemon may tell what is in it.
bool needs_daemon(const Environment& env);

// Errors of all that follow: of fw::ask, and what the daemon says.

Result<BlockList> blocks_of_daemon(const Environment& env);
/// As status_in_force().
Result<StatusReport> status_of_daemon(const Environment& env);
/// As ActivityLog::read.
Result<std::vector<Activity>> activity_of_daemon(const Environment& env, WallTime since,
                                                 std::int64_t after, std::size_t count,
                                                 const std::string& what);
/// As a service without rights asks for it: by the daemon or not at all.
Result<BlockReport> block_of_service(const Environment& env, const BlockRequest& request);
/// Which of these are blocked, as far as packets go; at most kBlockedAskedMax.
Result<std::vector<Ip>> blocked_of_daemon(const Environment& env, const std::vector<Ip>& clients,
                                          std::chrono::milliseconds patience);
/// What the policy in force says about requests.
Result<HttpRules> limits_of_daemon(const Environment& env);
/// With the busiest sources, at most so many.
Result<Counts> counts_of_daemon(const Environment& env, std::size_t sources);

}  // namespace fw::ops
