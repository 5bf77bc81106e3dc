// The program under test, run on the host with a policy and a state folder of its own.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <string>
#include <vector>

#include <boost/json/value.hpp>

#include "tests/lab/process.hpp"

namespace lab {

/// Its path: that of this build, or what CLOUDRON_FW names, which is of another (under TSan).
const std::string& program();

class Firewall {
 public:
  /// Nothing is applied yet; the policy is empty: all defaults.
  explicit Firewall(const Namespace& host);

  /// Writes the policy file.
  void policy(const std::string& toml);
  /// Writes another file into the policy's folder; gives its path.
  std::string file(const std::string& name, const std::string& text);

  /// Runs cloudron-fw with --policy and --state-dir.
  Output run(const std::vector<std::string>& words, const std::string& input = {}) const;
  /// The same with other words before the program's name (setpriv ...).
  Output run_by(const std::vector<std::string>& before,
                const std::vector<std::string>& words) const;
  /// The same with --json, and must print JSON.
  boost::json::value json(std::vector<std::string> words) const;

  /// Must exit with 0.
  Output must(const std::vector<std::string>& words, const std::string& input = {}) const;
  Output apply() const { return must({"apply"}); }
  Output apply(const std::string& toml) {
    policy(toml);
    return apply();
  }

  /// The wall clock of what is run from now on is ahead of the machine's by so much, and that of
  /// what was run since the first call is set, too.
  void set_clock(seconds ahead);

  const Namespace& host() const { return host_; }
  const TempDir& dir() const { return dir_; }
  std::string policy_path() const { return dir_ / "policy.toml"; }
  std::string state_dir() const { return dir_ / "state"; }
  /// The whole command, for those who start it themselves.
  std::vector<std::string> command(const std::vector<std::string>& words) const;

 private:
  std::string clock_path() const { return dir_ / "clock"; }

  const Namespace& host_;
  TempDir dir_;
  bool own_clock_ = false;
};

}  // namespace lab
