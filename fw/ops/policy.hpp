// The policy that an operation works with: the file's, with the apps of the container engine.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "chains/diff.hpp"
#include "fw/host/apply.hpp"
#include "fw/host/discovered.hpp"
#include "fw/ops/environment.hpp"
#include "fw/policy/policy.hpp"

namespace fw::ops {

inline constexpr const char* kDefaultPolicy = "/etc/cloudron-fw/policy.toml";

/// Which policy is meant.
struct PolicySource {
  std::string path{};  ///< "": kDefaultPolicy, and without that file the built-in default
  /// Asks the container engine for its apps, if the policy discovers them; else those that are
  /// remembered.
  bool ask_engine = false;
  bool boot = false;  ///< before the engine is there
};

struct LoadedPolicy {
  Policy policy;
  std::vector<Problem> warnings;
  std::optional<std::string> text;  ///< of the file; none for the built-in default
  std::string name;        ///< "/etc/cloudron-fw/policy.toml" or "the built-in default policy"
  bool stands_in = false;  ///< for a policy that cannot be used
  /// With what the container engine answered, to be saved; none when it was not asked.
  std::optional<KeptInventory> asked{};
  bool asks = false;             ///< the engine was to be asked
  std::string engine_trouble{};  ///< why that is not the newest
  /// What its apply does with what it does not use.
  chains::Unused unused = chains::Unused::remove;
};

/// Absolute, as the process stands now.
std::string absolute_path(const std::string& path);
/// The policy file of a source, absolute; it need not be there.
std::string policy_file(const PolicySource& source);

/// Tells all problems when there is an error among them, and then gives nothing.
std::optional<LoadedPolicy> load_policy(const Environment& env, const PolicySource& source);

/// The same, and when that cannot be used (which is reported) the last good policy, or else the
/// built-in default: for what must go on. At boot a policy file that is not there while a last good
/// policy is remembered was lost, and one that holds what was rolled back was refused: both cannot
/// be used either.
LoadedPolicy load_some_policy(const Environment& env, const PolicySource& source);

/// Kernel, lists and store; without a state folder there are no blocks, and none is made.
Result<Manager> open_to_read(const Environment& env);

/// With the lock held: what the engine answered is remembered, or why it did not answer.
void remember_apps(const Environment& env, LoadedPolicy& loaded);

}  // namespace fw::ops
