// The policy that the daemon keeps in force.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "fw/host/desired_policy.hpp"
#include "fw/host/observed_generation.hpp"
#include "fw/policy/policy.hpp"

namespace fw {

class PolicyInForce {
 public:
  /// What differs in its apps alone is a matter of every day.
  enum class Differs { in_apps, in_more };

  explicit PolicyInForce(std::string state_dir);

  const Policy& policy() const { return policy_; }

  /// Called after each take_up().
  void when_taken_up(std::function<void(Differs)> tell) { tell_ = std::move(tell); }

  /// What the state folder says must be in force now. It is not yet: see take_up().
  DesiredPolicy ask();
  /// From now on that is in force; whether the kernel holds it is not known.
  void take_up(DesiredPolicy wanted);

  /// When only addresses of its apps differ from what ask() said last, does nothing else follow?
  bool apps_may_move() const { return apps_may_move_; }
  /// Some of its apps, as they are from now on. Each is there already, by its name.
  void move_apps(std::vector<App> moved);

  /// What was read of the state folder.
  Kept& kept() { return kept_; }
  /// Whether the kernel holds policy().
  ObservedGeneration& observed() { return observed_; }

 private:
  std::string state_dir_;
  Policy policy_;
  bool taken_up_ = false;
  bool apps_may_move_ = false;
  Kept kept_;
  ObservedGeneration observed_;
  std::function<void(Differs)> tell_;
};

}  // namespace fw
