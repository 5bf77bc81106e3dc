// Which policy the kernel must hold: what a daemon, a boot and a panic go by.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <string>

#include "chains/diff.hpp"
#include "fw/host/discovered.hpp"
#include "fw/host/last_good.hpp"
#include "fw/host/trial_record.hpp"
#include "fw/policy/policy.hpp"

namespace fw {

struct DesiredPolicy {
  enum class Why { on_trial, confirmed, built_in };

  Why why = Why::built_in;
  Policy policy;
  /// While a trial is on, what the confirmed policy had learned waits for it.
  chains::Unused unused = chains::Unused::remove;
  bool contested = false;  ///< two of its apps or addons claim one address
};

/// What is read of a state folder again and again.
struct Kept {
  explicit Kept(const std::string& state_dir) : last_good(state_dir), inventory(state_dir) {}

  KeptLastGood last_good;
  KeptInventory inventory;
};

/// The policy on trial until its time is over, else the one that was last confirmed, else the
/// built-in default; each with the apps that were last discovered, if it asks for them. Never the
/// policy file: that may be half written.
DesiredPolicy desired_policy(const std::string& state_dir, const Moment& now, Kept& kept);
inline DesiredPolicy desired_policy(const std::string& state_dir, const Moment& now) {
  Kept kept(state_dir);
  return desired_policy(state_dir, now, kept);
}

/// The same without a trial.
DesiredPolicy confirmed(Kept& kept);
inline DesiredPolicy confirmed(const std::string& state_dir) {
  Kept kept(state_dir);
  return confirmed(kept);
}

}  // namespace fw
