// Whether an apply would lock its own caller out.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "fw/host/actor.hpp"
#include "fw/host/target.hpp"
#include "fw/policy/parse.hpp"

namespace fw {

/// Why: no SSH port is open, or a new connection that comes like the session would not be let in.
/// Limits are taken as not spent. Rules of the admin's own chains are those of `observed`; what
/// cannot be found out is no reason.
std::optional<std::string> why_locked_out(const Policy& policy, const Target& target,
                                          const chains::Ruleset* observed,
                                          const std::optional<Session>& session, Lists& lists,
                                          Store* store);

/// A warning when SSH is open by interfaces alone of which none is there now.
std::vector<Problem> ssh_by_absent_interfaces(const Policy& policy);

}  // namespace fw
