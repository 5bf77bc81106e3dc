// The policy that the daemon keeps in force.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/daemon/policy_in_force.hpp"

#include <algorithm>

#include "fw/host/trial_record.hpp"

namespace fw {
namespace {

bool may_move(const DesiredPolicy& wanted) {
  return wanted.why == DesiredPolicy::Why::confirmed && !wanted.contested;
}

}  // namespace

PolicyInForce::PolicyInForce(std::string state_dir)
    : state_dir_(std::move(state_dir)), kept_(state_dir_) {}

DesiredPolicy PolicyInForce::ask() {
  DesiredPolicy wanted = desired_policy(state_dir_, this_moment(), kept_);
  apps_may_move_ = may_move(wanted);
  return wanted;
}

void PolicyInForce::take_up(DesiredPolicy wanted) {
  const bool first = !std::exchange(taken_up_, true);
  const bool in_apps = !first && static_cast<const PolicyBase&>(wanted.policy) == policy_;
  apps_may_move_ = may_move(wanted);
  policy_ = std::move(wanted.policy);
  observed_.forget();
  if (tell_) tell_(in_apps ? Differs::in_apps : Differs::in_more);
}

void PolicyInForce::move_apps(std::vector<App> moved) {
  for (App& app : moved) *std::ranges::find(policy_.apps, app.name, &App::name) = std::move(app);
}

}  // namespace fw
