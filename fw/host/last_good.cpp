// The policy that was last in force.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/host/last_good.hpp"

#include <cerrno>

#include <fmt/format.h>
#include <unistd.h>

#include "fw/base/file.hpp"
#include "fw/base/limits.hpp"
#include "fw/effective/policy.hpp"
#include "fw/host/state_file.hpp"

namespace fw {
namespace {

constexpr const char* kLastGoodFile = "last-good.toml";
constexpr const char* kOff = "off";
// The last line: list files are named relative to the policy's own folder.
constexpr const char* kFrom = "\n# last applied from ";

}  // namespace

Result<void> save_last_good(const std::string& state_dir, const std::string& policy_path,
                            const std::string& text) {
  const std::string whole = text + kFrom + policy_path + "\n";
  if (read_state_file(state_dir, kLastGoodFile, 2 * kPolicyBytesMax) == whole) return {};
  return write_state_file(state_dir, kLastGoodFile, whole);
}

Result<void> forget_last_good(const std::string& state_dir) {
  return remove_state_file(state_dir, kLastGoodFile);
}

Result<void> switch_off(const std::string& state_dir) {
  return write_state_file(state_dir, kOff, "until the next apply or boot\n");
}

Result<void> switch_on(const std::string& state_dir) { return remove_state_file(state_dir, kOff); }

bool switched_off(const std::string& state_dir) {
  return ::access((state_dir + "/" + kOff).c_str(), F_OK) == 0;
}

std::optional<Policy> read_last_good(const std::string& state_dir) {
  const auto whole = read_state_file(state_dir, kLastGoodFile, 2 * kPolicyBytesMax);
  if (!whole) return {};
  const auto from = whole->rfind(kFrom);
  if (from == std::string::npos || whole->back() != '\n') return {};
  const auto path_at = from + std::string_view(kFrom).size();
  const std::string path = whole->substr(path_at, whole->size() - path_at - 1);
  Parsed parsed = parse_policy(std::string_view(*whole).substr(0, from), path);
  if (!parsed.ok()) return {};
  return std::move(parsed.policy);
}

const std::optional<Policy>& KeptLastGood::read() {
  if (is_others()) {
    file_ = identity_of_state_file(state_dir_, kLastGoodFile);
    policy_ = read_last_good(state_dir_);
  }
  return policy_;
}

bool KeptLastGood::is_others() const {
  return identity_of_state_file(state_dir_, kLastGoodFile) != file_;
}

}  // namespace fw
