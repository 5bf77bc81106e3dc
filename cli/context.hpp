// What every command works with: the global options, and printing messages.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstdio>
#include <optional>
#include <string>
#include <vector>

#include <boost/json/value.hpp>

#include "fw/base/result.hpp"
#include "fw/host/apply.hpp"
#include "fw/ops/environment.hpp"
#include "fw/ops/policy.hpp"
#include "fw/ops/words.hpp"
#include "fw/policy/parse.hpp"

namespace cli {

using fw::ops::grouped;
using fw::ops::LoadedPolicy;
using fw::ops::plural;
using fw::ops::time_text;
using fw::ops::until_text;

/// Exit codes; stable, documented in --help and the man page.
enum Exit : int {
  kOk = 0,
  kError = 1,
  kDifferent = 2,  ///< plan, status: the kernel does not hold the policy
  kPartly = 3,     ///< done, but something needs attention (a bad list, an address still blocked)
  kFoundMedium = 10,  ///< audit: the worst that was found
  kFoundHigh = 11,
  kFoundCritical = 12,
  kUsage = 64,
};

/// For CLI11's check(): an option's complaint about a value; "" when it may be.
std::string not_empty(const std::string& value);

inline constexpr const char* kDefaultStateDir = "/var/lib/cloudron-fw";

inline constexpr const char* kDefaultSocket = "/run/cloudron-fw/control.sock";

inline constexpr const char* kDefaultNginx = "/etc/nginx";

struct Context {
  std::string policy_path;  ///< "" when not given
  std::string state_dir = kDefaultStateDir;
  std::string socket = kDefaultSocket;
  std::string nginx;  ///< its folder; "": kDefaultNginx, but with another state folder none
  bool quiet = false;
  bool json = false;
  bool color = false;  ///< on stdout
  bool color_err = false;
  bool boot = false;  ///< messages carry the journal's priority
  fw::ops::Caller caller = fw::ops::this_process();

  /// What an operation works in: it tells its warnings on stderr, and shows that it works.
  fw::ops::Environment environment() const;
  /// The policy that the options name.
  fw::ops::PolicySource source() const { return {.path = policy_path, .boot = boot}; }

  enum class Style { plain, bold, dim, red, green, yellow };
  std::string styled(Style style, const std::string& text) const;

  /// A line on stdout, unless --quiet or --json.
  void say(const std::string& line) const;
  /// stderr; errors are printed even with --quiet.
  void warn(const std::string& line) const;
  void error(const std::string& line) const;
  void error(const fw::Error& error) const;
  /// An object on stdout, with the version of its form.
  void print(boost::json::value fields) const;
  void problems(const std::vector<fw::Problem>& problems) const;
};

/// Says why a command came to nothing, and gives the code that it ends with.
int failed(const Context& context, const fw::Error& error);

/// fw::ops::load_policy of what the options name.
std::optional<LoadedPolicy> load_policy(const Context& context);

/// A table with aligned columns; widths in display columns. Without a row it prints nothing.
class Table {
 public:
  enum class Align { left, right };
  explicit Table(std::vector<Align> columns) : columns_(std::move(columns)) {}
  void heading(std::vector<std::string> cells) { heading_ = std::move(cells); }
  void row(std::vector<std::string> cells) { rows_.push_back(std::move(cells)); }
  bool empty() const { return rows_.empty(); }
  void print(const Context& context, const std::string& indent = "  ") const;

 private:
  std::vector<Align> columns_;
  std::vector<std::string> heading_;
  std::vector<std::vector<std::string>> rows_;
};

void print_lists(const Context& context, const std::vector<fw::ListReport>& reports);
inline constexpr std::size_t kLinesShown = 40;  ///< of a difference
enum class Tense { done, to_be_done };
void print_difference(const Context& context, const fw::Difference& difference, std::size_t most,
                      Tense tense);

}  // namespace cli
