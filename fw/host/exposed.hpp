// Files that others than root can change, and with them the firewall.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <string>
#include <vector>

#include "fw/policy/parse.hpp"

namespace fw {

/// Warnings about the policy file ("": none), its lists and the state folder: written by anybody,
/// or owned by others than root (of the state, than the user of the units), they themselves or
/// their folders. Nothing unless root asks: others try policies of their own.
std::vector<Problem> exposed_files(const Policy& policy, const std::string& policy_file,
                                   const std::string& state_dir);

}  // namespace fw
