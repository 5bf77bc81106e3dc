// The activity log: what was done to the firewall, when and by whom, in a database of its own.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "fw/base/limits.hpp"
#include "fw/store/blocks.hpp"

namespace fw {

/// Who did it.
struct Actor {
  std::string user;  ///< the login name
  std::uint32_t uid = 0;
  std::string tty;     ///< "pts/3"; "" without a terminal
  std::string remote;  ///< the other end of the SSH session, "203.0.113.9:51234"; "" without one

  bool operator==(const Actor&) const = default;
};

struct Activity {
  std::int64_t id = 0;  ///< given by the log: grows, and is never given twice
  WallTime time{};
  std::string what;  ///< one word: "apply", "block" ...
  Actor actor;
  std::string summary;  ///< one line
  std::string details;  ///< JSON; "" for none

  bool operator==(const Activity&) const = default;
};

/// All the words for what was done.
inline constexpr std::array<std::string_view, 13> kActivityKinds{
    "apply",    "apps",  "block",  "certificate", "clock",    "confirm", "labels",
    "offender", "panic", "repair", "reset",       "rollback", "unblock"};

struct ActivityBounds {
  std::chrono::seconds keep = kActivityKeep;
  std::uint64_t bytes = kActivityBytes;

  bool operator==(const ActivityBounds&) const = default;
};

/// A row is there as a whole or not at all, for every process as soon as add() returns; a crash of
/// the machine can take the last rows, of the process none. Safe for several processes at once.
/// Texts are cut to the lengths of limits.hpp, at a character; longer details are left out.
class ActivityLog {
 public:
  /// Opens or creates `state_dir`/activity.db (folder 0700, file 0600). Blocks are in another file:
  /// a log that is damaged, full or newer is an error of code store, and nothing else.
  static Result<ActivityLog> open(const std::string& state_dir);

  ActivityLog(ActivityLog&&) noexcept;
  ActivityLog& operator=(ActivityLog&&) noexcept;
  ~ActivityLog();

  /// Adds a row, whose time is now, and takes at most kActivityStep of the oldest away that are
  /// beyond the bounds. Returns the row's id.
  Result<std::int64_t> add(const Activity& activity, const ActivityBounds& bounds);

  /// At most `count` rows of `since` or later with ids above `after_id`, ascending by id. With
  /// `what`, only those.
  Result<std::vector<Activity>> read(WallTime since, std::int64_t after_id, std::size_t count,
                                     const std::string& what = {});

  /// Takes everything but the newest row away that is beyond the bounds, in short transactions.
  /// Returns how many rows that were.
  Result<std::size_t> prune(WallTime now, const ActivityBounds& bounds);

 private:
  struct Impl;
  explicit ActivityLog(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace fw
