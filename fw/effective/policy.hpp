// The effective policy: what the admin wrote, and what plugins contribute to it. The
// only way from a text to a Policy.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "fw/policy/contribution.hpp"
#include "fw/policy/parse.hpp"

namespace fw {

/// Of the plugins that contribute, in the order in which they do.
Contributions contributions();

/// The built-in default: the numbers of the product's promises (P1, L2-L8).
Policy default_policy();

/// Parses TOML text; `file` is only used to name places. All problems are reported at once.
/// Unknown keys are errors with a suggestion. Includes check().
Parsed parse_policy(std::string_view text, const std::string& file);

/// Reads (once) and parses a regular file of at most kPolicyBytesMax. A file that cannot be read is
/// one error; a FIFO or a device is not waited for.
Parsed read_policy(const std::string& path);

/// Problems that only show when the whole policy is seen: duplicate names, a port in two limits of
/// the same side, unknown addons, app addresses outside the app networks, no SSH port open
/// (warning), a limit on a port that is closed (warning).
std::vector<Problem> check(const Policy& policy);

}  // namespace fw
