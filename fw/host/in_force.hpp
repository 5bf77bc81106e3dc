// Which policy the kernel must hold: what a daemon, a boot and a panic go by.
#pragma once

#include <string>

#include "chains/diff.hpp"
#include "fw/host/discovered.hpp"
#include "fw/host/pending.hpp"
#include "fw/policy/policy.hpp"

namespace fw {

struct InForce {
  enum class Why { on_trial, confirmed, built_in };

  Why why = Why::built_in;
  Policy policy;
  /// While a trial is on, what the confirmed policy had learned waits for it.
  chains::Unused unused = chains::Unused::remove;
};

/// The policy on trial until its time is over, else the one that was last confirmed, else the
/// built-in default; each with the apps that were last discovered, if it asks for them. Never the
/// policy file: that may be half written.
InForce in_force(const std::string& state_dir, const Moment& now, KeptInventory& kept);
inline InForce in_force(const std::string& state_dir, const Moment& now) {
  KeptInventory kept(state_dir);
  return in_force(state_dir, now, kept);
}

/// The same without a trial.
InForce confirmed(const std::string& state_dir, KeptInventory& kept);
inline InForce confirmed(const std::string& state_dir) {
  KeptInventory kept(state_dir);
  return confirmed(state_dir, kept);
}

}  // namespace fw
