// Apps come, go and move while the rest of a policy stays: what that changes, and nothing else,
// goes to the kernel.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstdint>
#include <optional>

#include "chains/diff.hpp"
#include "chains/netlink/kernel.hpp"
#include "fw/inventory/inventory.hpp"
#include "fw/policy/policy.hpp"

namespace fw {

/// Of two policies, each without the apps that are alike in both: what compile_of_apps makes of
/// them differs as what compile makes of the whole ones does. Nothing when more than apps differs,
/// or the ports that they publish, or one policy has none.
struct OtherApps {
  Policy before;
  Policy after;
};
std::optional<OtherApps> other_apps(const Policy& before, const Policy& after);
OtherApps other_apps(const Policy& policy, const MovedApps& moved);

/// What was changed, and the generation at which the kernel holds it.
struct AppsChanged {
  chains::Description lines;  ///< kDescribedMax at most
  std::uint32_t generation = 0;
};
/// From a kernel that holds one policy at that generation to one that holds the other. Fails with
/// kernel_busy when it is of another generation by now, and changes nothing when it fails.
Result<AppsChanged> change_apps(chains::Kernel& kernel, std::uint32_t generation,
                                const OtherApps& apps);

}  // namespace fw
