// What a plugin is: a name, and functions from request values to report values. Its options are
// data, so who asks it knows none by name.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <chrono>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "fw/base/result.hpp"
#include "fw/plugins/finding.hpp"
#include "fw/policy/policy.hpp"

namespace fw {

struct PluginOption {
  enum class Form : std::uint8_t { value, flag, positional, positionals };

  Form form = Form::value;
  std::string_view name;  ///< "docker", of a positional one "APP"
  char letter = 0;        ///< 'a' for -a as well; 0: none
  std::string_view help;
  std::string_view value_name{};  ///< "PATH"
  std::string_view fallback{};    ///< its value when it is not given
  /// Why a value cannot be meant, asked before the policy is read; "" when it can.
  std::string (*complaint)(const std::string& value) = nullptr;
};
using PluginOptions = std::span<const PluginOption>;

/// The value of each option by its name: the fallback where it was not given, a flag "yes" or "",
/// of positionals a line each.
using OptionValues = std::map<std::string, std::string, std::less<>>;

struct AuditRequest {
  const Policy& policy;
  const OptionValues& options;
  std::chrono::sys_seconds now;
};

/// What was seen of one thing, good or bad. Texts are safe to print.
struct AuditRow {
  std::string name;  ///< "protocols"
  std::vector<std::string> values;

  bool operator==(const AuditRow&) const = default;
};
struct AuditSheet {
  std::string subject;  ///< as findings name it
  std::string grade;    ///< "A+"; "" where there is none
  std::vector<AuditRow> rows;

  bool operator==(const AuditSheet&) const = default;
};

struct AuditReport {
  std::string scope;  ///< what was looked at: "3 containers", "the host"
  std::vector<Finding> findings;
  bool complete = true;               ///< false: something could not be looked at
  std::vector<Error> unread{};        ///< what of it was an error
  std::vector<std::string> warnings;  ///< sentences for the admin
  std::vector<AuditSheet> sheets{};

  bool operator==(const AuditReport&) const = default;
};

struct RenderRequest {
  const Policy& policy;
  const OptionValues& options;
};

/// Configuration for another program.
struct TextFile {
  std::string subject;  ///< whom it is for: an app's name, or ""
  std::string name;     ///< what the other program calls it
  std::string text;

  bool operator==(const TextFile&) const = default;
};

/// Looks, and changes nothing. An error of the code `usage` means the options.
struct PluginAudit {
  std::string_view about;      ///< sentences for --help
  std::string_view fix_label;  ///< what a finding's `fix` speaks of, e.g. "docker"
  PluginOptions options;
  Result<AuditReport> (*run)(const AuditRequest&) = nullptr;  ///< null: it has no audit
};

/// What an installation did.
struct InstallReport {
  std::vector<std::string> changed{};   ///< paths, sorted; none: everything was in place
  std::vector<std::string> warnings{};  ///< sentences for the admin

  bool operator==(const InstallReport&) const = default;
};

/// How what is installed differs from what would be.
struct InstallDifference {
  std::vector<std::string> changed{};   ///< paths, sorted; none: everything is in place
  std::vector<std::string> lines{};     ///< of a unified diff; safe to print
  std::size_t left_out = 0;             ///< further lines of it
  std::vector<std::string> warnings{};  ///< sentences for the admin

  bool operator==(const InstallDifference&) const = default;
};

/// Rendering is pure.
struct PluginRender {
  std::string_view name;  ///< of what it renders: "apparmor"
  std::string_view about;
  std::string_view subject_key;  ///< what a file's subject and text are called in JSON
  std::string_view text_key;
  PluginOptions options;
  Result<std::vector<TextFile>> (*run)(const RenderRequest&) = nullptr;  ///< null: it has none
  /// Puts it where the other program looks, and has that use it; all or nothing. null: --install is
  /// no option.
  Result<InstallReport> (*install)(const RenderRequest&) = nullptr;
  /// What that would change; changes nothing. null: --diff is no option.
  Result<InstallDifference> (*compare)(const RenderRequest&) = nullptr;
};

/// What a plugin adds to a policy is elsewhere, in fw/effective: all else stands on the policy.
struct Plugin {
  std::string_view name;  ///< "sandbox"
  PluginAudit audit{};
  PluginRender render{};
};

}  // namespace fw
