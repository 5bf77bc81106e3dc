// What every command works with: the global options, and how to say things.
#pragma once

#include <cstdio>
#include <optional>
#include <string>
#include <vector>

#include <boost/json/value.hpp>

#include "fw/base/result.hpp"
#include "fw/host/apply.hpp"
#include "fw/host/discovered.hpp"
#include "fw/policy/parse.hpp"

namespace cli {

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

inline constexpr const char* kDefaultPolicy = "/etc/cloudron-fw/policy.toml";
inline constexpr const char* kDefaultStateDir = "/var/lib/cloudron-fw";

inline constexpr const char* kDefaultSocket = "/run/cloudron-fw/control.sock";

struct Context {
  std::string policy_path;  ///< "" when not given
  std::string state_dir = kDefaultStateDir;
  std::string socket = kDefaultSocket;
  bool quiet = false;
  bool json = false;
  bool color = false;  ///< on stdout
  bool color_err = false;
  bool boot = false;  ///< messages carry the journal's priority
  enum class Apps { remembered, asked };
  Apps apps = Apps::remembered;  ///< where a policy that discovers apps has them from

  enum class Style { plain, bold, dim, red, green, yellow };
  std::string styled(Style style, const std::string& text) const;

  /// A line on stdout, unless --quiet or --json.
  void say(const std::string& line) const;
  /// stderr; errors are printed even with --quiet.
  void warn(const std::string& line) const;
  void error(const std::string& line) const;
  void error(const fw::Error& error) const;
  void print(const boost::json::value& value) const;
  void problems(const std::vector<fw::Problem>& problems) const;
};

/// Says why a command came to nothing, and gives the code that it ends with.
int failed(const Context& context, const fw::Error& error);

/// The policy that the options name: the file, or without one the built-in default.
struct LoadedPolicy {
  fw::Policy policy;
  std::vector<fw::Problem> warnings;
  std::optional<std::string> text;  ///< of the file; none for the built-in default
  std::string name;        ///< "/etc/cloudron-fw/policy.toml" or "the built-in default policy"
  bool stands_in = false;  ///< for a policy that cannot be used
  /// With what the container engine answered, to be saved; none when it was not asked.
  std::optional<fw::KeptInventory> asked{};
  std::string engine_trouble{};  ///< why that is not the newest
  /// What its apply does with what it does not use.
  chains::Unused unused = chains::Unused::remove;
};
/// Absolute, as the process stands now.
std::string absolute_path(const std::string& path);
/// The policy file that the options name, absolute; it need not be there.
std::string policy_file(const Context& context);
/// Prints all problems itself when there is an error among them, and then gives nothing.
std::optional<LoadedPolicy> load_policy(const Context& context);

/// The same, and when that cannot be used (all problems are printed) the last good policy, or else
/// the built-in default: for what must go on. At boot a policy file that is not there while a last
/// good policy is remembered was lost, and one that holds what was rolled back was refused: both
/// cannot be used either.
LoadedPolicy load_some_policy(const Context& context);

/// Opens kernel, lists and store.
fw::Result<fw::Manager> open_manager(const Context& context);
/// Is the state folder there? Who only reads does not make it: without it, all of it is empty.
bool has_state(const Context& context);
fw::Result<fw::Manager> open_manager_to_read(const Context& context);

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

std::string grouped(std::uint64_t number);  ///< 1,234,567
std::string plural(std::uint64_t n, const char* one, const char* many = nullptr);
std::string until_text(const std::optional<fw::WallTime>& until, fw::WallTime now);
std::string time_text(fw::WallTime time);  ///< 2026-11-23 14:03:11Z

boost::json::value to_json(const fw::Location& where);
boost::json::value to_json(const fw::Problem& problem);
boost::json::value to_json(const fw::Difference& difference);
boost::json::value to_json(const std::vector<fw::ListReport>& reports);
boost::json::value to_json(const fw::Block& block, fw::WallTime now);

void print_lists(const Context& context, const std::vector<fw::ListReport>& reports);
inline constexpr std::size_t kLinesShown = 40;  ///< of a difference
enum class Tense { done, to_be_done };
void print_difference(const Context& context, const fw::Difference& difference, std::size_t most,
                      Tense tense);

}  // namespace cli
