// What plugins add to a policy.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/policy/contribution.hpp"

#include <utility>

#include "fw/policy/parse.hpp"

namespace fw {

Policy with_defaults(Contributions contributions) {
  Policy policy = core_policy();
  for (const Contribution& each : contributions) {
    if (each.with_defaults != nullptr) policy = each.with_defaults(std::move(policy));
  }
  return policy;
}

std::vector<Problem> problems(const Policy& policy, Contributions contributions) {
  std::vector<Problem> all;
  for (const Contribution& each : contributions) {
    if (each.check == nullptr) continue;
    for (Problem& problem : each.check(policy)) all.push_back(std::move(problem));
  }
  return all;
}

Policy contributed(Policy policy, Contributions contributions) {
  for (const Contribution& each : contributions) {
    if (each.contribute != nullptr) policy = each.contribute(std::move(policy));
  }
  return policy;
}

}  // namespace fw
