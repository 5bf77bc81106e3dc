// The activity log.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/store/activity.hpp"

#include <array>
#include <limits>
#include <string_view>

#include <fmt/format.h>

#include "fw/store/file.hpp"

namespace fw {

struct ActivityLog::Impl {
  std::string path;
  SQLite::Database db;
};

namespace {

// The newest row never goes, so ids are given once: who follows the log knows its place.
constexpr const char* kActivitySchema = R"sql(
CREATE TABLE activity(
  id INTEGER PRIMARY KEY,
  time_ms INTEGER NOT NULL,
  what TEXT NOT NULL,
  user TEXT NOT NULL,
  uid INTEGER NOT NULL,
  tty TEXT NOT NULL,
  remote TEXT NOT NULL,
  summary TEXT NOT NULL,
  details TEXT NOT NULL
) STRICT;
)sql";

constexpr std::array kActivityVersions{kActivitySchema};

constexpr DatabaseForm kForm{.file = "activity.db",
                             .name = "the activity log",
                             .versions = kActivityVersions,
                             .application_id = 0x6366'7761,  // "cfwa"
                             // A row needs no fsync of its own: it outlives its process, and what a
                             // power cut takes is missed less than the time would be.
                             .synchronous = "NORMAL",
                             .log_pages_max = 32,       // some ten rows
                             .busy_timeout_ms = 1'000,  // the command has more to do than to wait
                             .afresh = "and a new one begins"};

constexpr const char* kActivityColumns = "time_ms, what, user, uid, tty, remote, summary, details";

/// At most so many bytes, without half a character at the end.
std::string cut(std::string_view text, std::size_t bytes_max) {
  if (text.size() > bytes_max) {
    while (bytes_max > 0 && (text[bytes_max] & 0xc0) == 0x80) --bytes_max;  // UTF-8 goes on
  }
  return std::string(text.substr(0, bytes_max));
}

/// Bytes that rows take; pages that rows have left are used again first.
std::uint64_t used_bytes(SQLite::Database& db) {
  return static_cast<std::uint64_t>((pragma(db, "page_count") - pragma(db, "freelist_count")) *
                                    pragma(db, "page_size"));
}

/// Takes away, of the oldest rows, those that are too old, or all while the log is too large. Only
/// the oldest are looked at: what stands behind kActivityStep rows of a clock that was ahead goes
/// by size.
std::size_t take_oldest(SQLite::Database& db, WallTime now, const ActivityBounds& bounds) {
  const std::int64_t time_max = used_bytes(db) > bounds.bytes
                                    ? std::numeric_limits<std::int64_t>::max()
                                    : ms_of(now - bounds.keep);
  SQLite::Statement remove(db,
                           "DELETE FROM activity WHERE time_ms < ? AND id IN "
                           "(SELECT id FROM activity ORDER BY id LIMIT ?) AND "
                           "id < (SELECT max(id) FROM activity)");
  remove.bind(1, time_max);
  remove.bind(2, static_cast<std::int64_t>(kActivityStep));
  return static_cast<std::size_t>(remove.exec());
}

Activity activity_of(SQLite::Statement& row) {
  Activity activity;
  activity.id = row.getColumn(0).getInt64();
  activity.time = WallTime(std::chrono::milliseconds(row.getColumn(1).getInt64()));
  activity.what = row.getColumn(2).getString();
  activity.actor = {row.getColumn(3).getString(), row.getColumn(4).getUInt(),
                    row.getColumn(5).getString(), row.getColumn(6).getString()};
  activity.summary = row.getColumn(7).getString();
  activity.details = row.getColumn(8).getString();
  return activity;
}

}  // namespace

Result<ActivityLog> ActivityLog::open(const std::string& state_dir) {
  const std::string path = path_in(state_dir, kForm);
  return guarded(kForm, path, [&]() -> Result<ActivityLog> {
    if (auto made = make_database(state_dir, kForm); !made) return std::unexpected(made.error());
    return ActivityLog(std::make_unique<Impl>(path, open_database(path, kForm)));
  });
}

ActivityLog::ActivityLog(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
ActivityLog::ActivityLog(ActivityLog&&) noexcept = default;
ActivityLog& ActivityLog::operator=(ActivityLog&&) noexcept = default;
ActivityLog::~ActivityLog() = default;

Result<std::int64_t> ActivityLog::add(const Activity& activity, const ActivityBounds& bounds) {
  return guarded(kForm, impl_->path, [&]() -> Result<std::int64_t> {
    SQLite::Database& db = impl_->db;
    SQLite::Transaction transaction(db, SQLite::TransactionBehavior::IMMEDIATE);
    SQLite::Statement insert(
        db, fmt::format("INSERT INTO activity ({}) VALUES (?,?,?,?,?,?,?,?)", kActivityColumns));
    const Actor& actor = activity.actor;
    insert.bind(1, ms_of(activity.time));
    insert.bind(2, cut(activity.what, kActivityWordMax));
    insert.bind(3, cut(actor.user, kActivityWordMax));
    insert.bind(4, actor.uid);
    insert.bind(5, cut(actor.tty, kActivityWordMax));
    insert.bind(6, cut(actor.remote, kActivityWordMax));
    insert.bind(7, cut(activity.summary, kActivitySummaryMax));
    insert.bind(8, activity.details.size() > kActivityDetailsMax ? "" : activity.details);
    insert.exec();
    const std::int64_t id = db.getLastInsertRowid();
    take_oldest(db, activity.time, bounds);
    transaction.commit();
    return id;
  });
}

Result<std::vector<Activity>> ActivityLog::read(WallTime since, std::int64_t after_id,
                                                std::size_t count, const std::string& what) {
  return guarded(kForm, impl_->path, [&]() -> Result<std::vector<Activity>> {
    SQLite::Statement select(
        impl_->db, fmt::format("SELECT id, {} FROM activity WHERE id > ? AND time_ms >= ? AND "
                               "(? = '' OR what = ?) ORDER BY id LIMIT ?",
                               kActivityColumns));
    select.bind(1, after_id);
    select.bind(2, ms_of(since));
    select.bindNoCopy(3, what);
    select.bindNoCopy(4, what);
    select.bind(5, static_cast<std::int64_t>(count));
    std::vector<Activity> rows;
    while (select.executeStep()) rows.push_back(activity_of(select));
    return rows;
  });
}

Result<std::size_t> ActivityLog::prune(WallTime now, const ActivityBounds& bounds) {
  return guarded(kForm, impl_->path, [&]() -> Result<std::size_t> {
    for (std::size_t all = 0;;) {
      SQLite::Transaction transaction(impl_->db, SQLite::TransactionBehavior::IMMEDIATE);
      const std::size_t taken = take_oldest(impl_->db, now, bounds);
      transaction.commit();
      all += taken;
      if (taken == 0) return all;
    }
  });
}

}  // namespace fw
