// An AppArmor profile for an app's containers, as text.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <string>
#include <string_view>

namespace fw::sandbox {

/// May this be an app's name: that of the policy file, lower-case letters, digits, - and _, a
/// letter first, at most kNameLengthMax bytes? Nothing else gets into a profile.
bool is_app_name(std::string_view name);

/// "cloudron-fw-app-wiki", or "cloudron-fw-app" without an app: what --security-opt apparmor=
/// takes.
std::string apparmor_name(std::string_view app);

/// The whole profile, for apparmor_parser 3: no writing to /proc (but to the processes' own) and
/// /sys, no mounting, no tracing of others, no raw sockets. `app` is an app's name or "".
std::string apparmor_profile(std::string_view app);

}  // namespace fw::sandbox
