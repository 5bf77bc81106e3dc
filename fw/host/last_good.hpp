// The policy that was last in force, for the boot that finds the policy file missing or broken.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <optional>
#include <string>
#include <utility>

#include "fw/policy/parse.hpp"

namespace fw {

/// Remembers the text of a policy file that was just applied; writes nothing when it is the same.
Result<void> save_last_good(const std::string& state_dir, const std::string& policy_path,
                            const std::string& text);

/// Remembers none: the built-in default was just applied.
Result<void> forget_last_good(const std::string& state_dir);

/// `reset` switches the firewall off until the next apply or boot: nobody repairs what is not
/// there.
Result<void> switch_off(const std::string& state_dir);
Result<void> switch_on(const std::string& state_dir);
bool switched_off(const std::string& state_dir);

/// The remembered policy, as if read from its own path; nothing when there is none that parses.
std::optional<Policy> read_last_good(const std::string& state_dir);

/// That of a state folder; its file is read again when it is another one.
class KeptLastGood {
 public:
  explicit KeptLastGood(std::string state_dir) : state_dir_(std::move(state_dir)) {}

  const std::optional<Policy>& read();
  /// Is the file another than the one that was read last?
  bool is_others() const;

 private:
  std::string state_dir_;
  std::string file_;  ///< which file that was
  std::optional<Policy> policy_;
};

}  // namespace fw
