// What plugins add to a policy.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/policy/contribution.hpp"

#include <utility>

namespace fw {

Policy with_defaults(Contributions contributions) {
  Policy policy = core_policy();
  for (const Contribution& each : contributions) {
    if (each.with_defaults != nullptr) policy = each.with_defaults(std::move(policy));
  }
  return policy;
}

Policy contributed(Policy policy, Contributions contributions) {
  for (const Contribution& each : contributions) {
    if (each.contribute != nullptr) policy = each.contribute(std::move(policy));
  }
  return policy;
}

}  // namespace fw
