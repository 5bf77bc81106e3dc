// What sshd's configuration says of root and passwords, read from its files.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "fw/base/result.hpp"

namespace fw::host_audit {

/// A setting and where it stands; in lower case. Of several, sshd takes the first.
struct SshdSetting {
  std::string value;
  Location where;
  std::string match;  ///< the criteria of its Match block; "" for all connections

  bool operator==(const SshdSetting&) const = default;
};

/// Every occurrence, in the order in which sshd reads them.
struct SshdConfig {
  std::vector<SshdSetting> permit_root_login;
  std::vector<SshdSetting> password_authentication;
  std::vector<SshdSetting> keyboard_interactive;  ///< and its old name, ChallengeResponse...

  bool operator==(const SshdConfig&) const = default;
};

/// Files that a pattern of Include stands for, sorted, each with its text.
struct IncludedFile {
  std::string path;
  std::string text;
};
using Include = std::function<std::vector<IncludedFile>(const std::string& pattern)>;

/// sshd_config(5), with Include and Match; nested to kIncludeDepthMax.
SshdConfig parse_sshd_config(const std::string& path, std::string_view text,
                             const Include& include);

/// How root may log in by password. `match` is "" when everybody may from everywhere.
std::optional<SshdSetting> root_by_password(const SshdConfig& config);

}  // namespace fw::host_audit
