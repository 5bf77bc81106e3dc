// What commands say about a policy on trial, and about a panic.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <optional>
#include <string>

#include "cli/context.hpp"
#include "fw/host/status.hpp"

namespace cli {

/// How to go on, from a new session.
void print_trial(const Context& context, const std::string& policy, fw::WallTime until);

/// A panic, if there is one.
void print_panic(const Context& context, const fw::Trouble& trouble);
/// For `status` and `plan`: loud lines about both.
void print_trouble(const Context& context, const fw::Trouble& trouble);
/// That the policy was rolled back, if it was.
void print_refused(const Context& context, const std::string& policy,
                   const std::optional<fw::WallTime>& rolled_back);

}  // namespace cli
