// cloudron-fw activity
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/store/activity.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <system_error>

#include <CLI/CLI.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <fmt/format.h>
#include <poll.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "cli/commands.hpp"
#include "fw/base/file.hpp"
#include "fw/base/rate.hpp"
#include "fw/base/suggest.hpp"
#include "fw/host/host_facts.hpp"
#include "fw/ops/daemon_client.hpp"
#include "fw/wire/wire.hpp"

namespace cli {
namespace {

namespace json = boost::json;
using Style = Context::Style;

constexpr std::size_t kPage = 1000;  // rows that are in memory at once, or in an answer

struct ActivityOptions {
  std::string since = "7d";
  std::string what;
  bool follow = false;
};

/// Prints rows as they come: a line each, or JSON.
class Printer {
 public:
  Printer(const Context& context, const ActivityOptions& options)
      : context_(context),
        lines_(context.json && options.follow),
        nothing_(fmt::format("no entries in the last {}{}", options.since,
                             options.what.empty() ? "" : " as " + fw::quote(options.what))) {}
  void print(const std::vector<fw::Activity>& rows) {
    // Columns only grow, so that what follows stands below what was there.
    for (const fw::Activity& row : rows) {
      who_ = std::max(who_, who(row).size());
      what_ = std::max(what_, fw::printable(row.what).size());
    }
    for (const fw::Activity& row : rows) {
      if (context_.json) {
        print_json(row);
      } else {
        print_text(row);
      }
    }
    any_ = any_ || !rows.empty();
    if (std::fflush(stdout) != 0) throw std::system_error(errno, std::generic_category());
  }
  void end() const {
    if (context_.json && !lines_) fmt::print("{}]\n", first_ ? "[" : "");
    if (!any_) context_.say(nothing_);
  }

 private:
  void print_json(const fw::Activity& row) {
    const std::string text = json::serialize(fw::wire::versioned(fw::wire::to_json(row)));
    if (lines_) return fmt::print("{}\n", text);
    fmt::print("{}{}", first_ ? "[" : ",\n", text);
    first_ = false;
  }
  static std::string who(const fw::Activity& row) {
    const fw::Actor& actor = row.actor;
    const std::string& from = actor.remote.empty() ? actor.tty : actor.remote;
    return fw::printable(actor.user) + (from.empty() ? "" : " " + fw::printable(from));
  }
  void print_text(const fw::Activity& row) const {
    fmt::print("{}  {}  {}  {}\n", context_.styled(Style::dim, time_text(row.time)),
               context_.styled(Style::bold, fmt::format("{:<{}}", fw::printable(row.what), what_)),
               fmt::format("{:<{}}", who(row), who_),
               fw::printable(row.summary, row.summary.size()));
  }

  const Context& context_;
  bool lines_;
  std::string nothing_;  ///< what is said when there was no row
  bool first_ = true;
  bool any_ = false;
  std::size_t what_ = 0;
  std::size_t who_ = 0;
};

/// Wakes when the log's files change.
class Watch {
 public:
  explicit Watch(const std::string& state_dir) : fd_(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK)) {
    if (fd_) ::inotify_add_watch(fd_.fd(), state_dir.c_str(), IN_MODIFY | IN_CREATE | IN_MOVED_TO);
  }

  /// A row can be read a moment after it was written, so after a change one more look is due soon;
  /// without a change one now and then, should the folder not be watchable.
  void wait() {
    pollfd change{fd_.fd(), POLLIN, 0};
    const bool changed = ::poll(&change, 1, changed_ ? kSoonMs : kNowAndThenMs) == 1;
    std::array<char, 4096> events;
    while (changed && ::read(fd_.fd(), events.data(), events.size()) > 0) {
    }
    changed_ = changed;
  }

 private:
  static constexpr int kSoonMs = 20;
  static constexpr int kNowAndThenMs = 1000;
  fw::File fd_;
  bool changed_ = true;
};

/// Rows of the log, or those that the daemon tells to those who may not read it.
class Rows {
 public:
  static fw::Result<Rows> open(const Context& context) {
    Rows rows(context);
    if (auto opened = rows.open_log(); !opened) return std::unexpected(opened.error());
    return rows;
  }
  /// As ActivityLog::read.
  fw::Result<std::vector<fw::Activity>> read(fw::WallTime since, std::int64_t after,
                                             const std::string& what) {
    if (by_daemon_) return fw::ops::activity_of_daemon(env_, since, after, kPage, what);
    if (auto opened = open_log(); !opened) return std::unexpected(opened.error());
    return log_ ? log_->read(since, after, kPage, what) : std::vector<fw::Activity>{};
  }

 private:
  explicit Rows(const Context& context)
      : env_(context.environment()), by_daemon_(fw::ops::needs_daemon(env_)) {}
  /// Without a state folder there is no log, yet.
  fw::Result<void> open_log() {
    if (by_daemon_ || log_ || !fw::ops::has_state(env_)) return {};
    auto log = fw::ActivityLog::open(env_.state_dir);
    if (!log) return std::unexpected(log.error());
    log_ = std::move(*log);
    return {};
  }

  fw::ops::Environment env_;
  bool by_daemon_;
  std::optional<fw::ActivityLog> log_;
};

fw::Result<void> print_rows(const Context& context, const ActivityOptions& options,
                            fw::WallTime since) {
  auto log = Rows::open(context);
  if (!log) return std::unexpected(log.error());
  Printer printer(context, options);
  Watch watch(context.state_dir);
  for (std::int64_t last = 0;;) {
    const auto rows = log->read(since, last, options.what);
    if (!rows) return std::unexpected(rows.error());
    if (!rows->empty()) {
      printer.print(*rows);
      last = rows->back().id;
    } else if (options.follow) {
      watch.wait();
    } else {
      printer.end();
      return {};
    }
  }
}

int run_activity(const Context& context, const ActivityOptions& options) {
  const auto since = fw::parse_duration(options.since);
  if (!since) {
    context.error("--since " + to_string(since.error()));
    return kUsage;
  }
  if (!options.what.empty() &&
      std::ranges::find(fw::kActivityKinds, options.what) == fw::kActivityKinds.end()) {
    const std::string_view near = fw::nearest(options.what, fw::kActivityKinds);
    context.error(fmt::format(
        "--what {}: {}", fw::quote(options.what),
        near.empty() ? fmt::format("it is one of {}", fmt::join(fw::kActivityKinds, ", "))
                     : "did you mean " + fw::quote(near) + "?"));
    return kUsage;
  }
  const auto done = print_rows(context, options, fw::wall_clock() - *since);
  if (!done) context.error(done.error());
  return done ? kOk : kError;
}

}  // namespace

void add_activity(CLI::App& program, Context& context, int& exit) {
  auto options = std::make_shared<ActivityOptions>();
  CLI::App* command = program.add_subcommand(
      "activity",
      "Show what was done to the firewall, when and by whom, newest last. [activity] in the "
      "policy sets how long entries are kept.");
  command->add_option("--since", options->since, "How far back: 90s, 10m, 1h, 7d, 2w")
      ->type_name("TIME")
      ->check(not_empty)
      ->capture_default_str();
  command->add_option("--what", options->what, "Only one kind: apply, block, unblock, reset ...")
      ->type_name("WORD")
      ->check(not_empty);
  command->add_flag("--follow,-f", options->follow,
                    "Keep printing new entries; with --json, one per line");
  command->callback([&context, &exit, options] { exit = run_activity(context, *options); });
}

}  // namespace cli
