// The activity log: what is kept, for how long, and what is left of it after trouble.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/store/activity.hpp"

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <thread>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sqlite3.h>
#include <sys/wait.h>
#include <unistd.h>

namespace fw {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;
using std::chrono::seconds;

class ActivityFile : public testing::Test {
 protected:
  ActivityFile() {
    std::string name = (fs::temp_directory_path() / "activity_test.XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp");
    folder_ = name;
  }
  ~ActivityFile() override { fs::remove_all(folder_); }

  std::string state() const { return folder_ / "state"; }
  std::string file() const { return state() + "/activity.db"; }
  ActivityLog open() const {
    auto log = ActivityLog::open(state());
    if (!log) throw std::runtime_error(to_string(log.error()));
    return std::move(*log);
  }
  std::string integrity() const {
    sqlite3* db = nullptr;
    EXPECT_EQ(sqlite3_open(file().c_str(), &db), SQLITE_OK);
    std::string found;
    const auto keep = [](void* to, int, char** values, char**) {
      static_cast<std::string*>(to)->append(values[0]);
      return 0;
    };
    EXPECT_EQ(sqlite3_exec(db, "PRAGMA integrity_check", keep, &found, nullptr), SQLITE_OK);
    sqlite3_close(db);
    return found;
  }

 private:
  fs::path folder_;
};

WallTime at_second(std::int64_t second) { return WallTime(seconds(second)); }

Activity activity(std::int64_t second, const std::string& what, const std::string& summary = {},
                  const std::string& details = {}) {
  return {0,      at_second(second), what, {"alice", 1000, "pts/3", "203.0.113.9:51234"}, summary,
          details};
}

std::vector<Activity> all(ActivityLog& log, const std::string& what = {}) {
  return log.read(at_second(0), 0, 1'000'000, what).value();
}

TEST_F(ActivityFile, KeepsRowsForTheNextProcess) {
  std::vector<Activity> written{activity(1, "apply", "12 lines", R"({"lines":12})"),
                                activity(2, "block", "naïve 'quote'\n\x01")};
  written[1].actor = {"root", ~std::uint32_t{0}, "", ""};
  {
    ActivityLog log = open();
    for (Activity& one : written) one.id = log.add(one, {}).value();
  }
  EXPECT_LT(written[0].id, written[1].id);
  ActivityLog log = open();
  EXPECT_EQ(all(log), written);
}

TEST_F(ActivityFile, IsReadByTimePlaceCountAndKind) {
  ActivityLog log = open();
  std::vector<std::int64_t> ids;
  for (int second : {10, 20, 30, 40}) {
    ids.push_back(log.add(activity(second, second == 20 ? "apply" : "block"), {}).value());
  }
  const auto times = [](const std::vector<Activity>& rows) {
    std::vector<std::int64_t> out;
    for (const Activity& row : rows) out.push_back(row.time.time_since_epoch().count() / 1000);
    return out;
  };
  using Times = std::vector<std::int64_t>;
  EXPECT_EQ(times(log.read(at_second(20), 0, 9).value()), (Times{20, 30, 40}));
  EXPECT_EQ(times(log.read(at_second(0), ids[1], 1).value()), (Times{30}));
  EXPECT_EQ(times(log.read(at_second(0), 0, 9, "block").value()), (Times{10, 30, 40}));
  EXPECT_EQ(times(log.read(at_second(41), 0, 9).value()), (Times{}));
}

TEST_F(ActivityFile, LongTextsAreCutAtACharacterAndLongDetailsLeftOut) {
  ActivityLog log = open();
  Activity longest = activity(1, "block", std::string(kActivitySummaryMax - 1, 'x') + "é",
                              std::string(kActivityDetailsMax + 1, '"'));
  longest.actor.user = std::string(10'000, 'u');
  ASSERT_TRUE(log.add(longest, {}));
  const Activity row = all(log).at(0);
  EXPECT_EQ(row.summary, std::string(kActivitySummaryMax - 1, 'x'));
  EXPECT_EQ(row.actor.user, std::string(kActivityWordMax, 'u'));
  EXPECT_EQ(row.details, "");
}

TEST_F(ActivityFile, OldRowsGoALittleAtEachInsert) {
  ActivityLog log = open();
  const ActivityBounds bounds{seconds(100), kActivityBytes};
  for (int i = 0; i < 200; ++i) ASSERT_TRUE(log.add(activity(i, "block"), {}));
  ASSERT_TRUE(log.add(activity(1000, "apply"), bounds));
  EXPECT_EQ(all(log).size(), 201 - kActivityStep);
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(log.add(activity(1000, "apply"), bounds));
  EXPECT_EQ(all(log).size(), 4u) << "what is as old as the bound or younger";
  EXPECT_EQ(log.prune(at_second(1101), bounds).value(), 3u) << "the newest stays";
  const std::int64_t last = log.add(activity(2000, "apply"), bounds).value();
  EXPECT_EQ(last, 205) << "an id is not given twice";
}

TEST_F(ActivityFile, TheOldestGoWhenItIsTooLarge) {
  ActivityLog log = open();
  const ActivityBounds bounds{kActivityKeep, kActivityBytesMin};
  const std::string details = '"' + std::string(4000, 'd') + '"';
  std::int64_t last = 0;
  for (int i = 0; i < 2000; ++i) last = log.add(activity(i, "block", {}, details), bounds).value();
  const auto rows = all(log);
  EXPECT_GT(rows.size(), kActivityBytesMin / 8192) << "not more went than had to";
  EXPECT_LT(rows.size(), kActivityBytesMin / 4000);
  EXPECT_EQ(rows.back().id, last);
  EXPECT_EQ(rows.front().id, last + 1 - static_cast<std::int64_t>(rows.size())) << "no gap";
  EXPECT_LT(fs::file_size(file()), 2 * kActivityBytesMin);
  EXPECT_LT(fs::file_size(file() + "-wal"), 2 * kActivityBytesMin);

  EXPECT_EQ(log.prune(at_second(0), {kActivityKeep, 0}).value(), rows.size() - 1)
      << "a smaller bound";
  EXPECT_EQ(all(log), std::vector{rows.back()});
}

TEST_F(ActivityFile, AKilledProcessTearsNoRow) {
  open();
  const std::string details = '"' + std::string(9000, 'd') + '"';  // over several pages
  std::size_t before = 0;
  for (int kill = 0; kill < 20; ++kill) {
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      auto log = ActivityLog::open(state());
      while (log && log->add(activity(1, "block", "whole", details), {})) {
      }
      ::_exit(1);
    }
    // The more rows there are of this child's, the later it is killed.
    ActivityLog log = open();
    while (all(log).size() < before + static_cast<std::size_t>(kill % 4)) std::this_thread::yield();
    ::kill(child, SIGKILL);
    int status = 0;
    ::waitpid(child, &status, 0);
    ASSERT_TRUE(WIFSIGNALED(status));
    for (const Activity& row : all(log)) ASSERT_EQ(row.details, details);
    before = all(log).size();
    ASSERT_EQ(integrity(), "ok");
  }
  EXPECT_GT(before, 20u);
}

TEST_F(ActivityFile, SeveralProcessesAtOnce) {
  constexpr int kRows = 200;
  open();
  std::vector<pid_t> children;
  for (int writer = 0; writer < 4; ++writer) {
    children.push_back(::fork());
    ASSERT_GE(children.back(), 0);
    if (children.back() != 0) continue;
    auto log = ActivityLog::open(state());
    bool good = log.has_value();
    for (int i = 0; good && i < kRows; ++i) {
      good = log->add(activity(i, "block", std::to_string(writer)), {}).has_value();
    }
    ::_exit(good ? 0 : 1);
  }
  for (const pid_t child : children) {
    int status = 0;
    ::waitpid(child, &status, 0);
    EXPECT_EQ(status, 0);
  }
  ActivityLog log = open();
  EXPECT_EQ(all(log).size(), 4u * kRows);
}

TEST_F(ActivityFile, ADamagedFileIsAnErrorAndNotACrash) {
  {
    ActivityLog log = open();
    for (int i = 0; i < 3000; ++i) ASSERT_TRUE(log.add(activity(i, "block", "a row"), {}));
  }
  fs::remove(file() + "-wal");
  std::fstream damage(file(), std::ios::in | std::ios::out | std::ios::binary);
  for (std::uintmax_t page = 1; page < fs::file_size(file()) / 4096; ++page) {
    damage.seekp(static_cast<std::streamoff>(page * 4096));
    damage << std::string(4096, '\xa5');
  }
  damage.close();
  ActivityLog log = open();
  const auto read = log.read(at_second(0), 0, 10);
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().code, ErrorCode::store);
  EXPECT_NE(to_string(read.error()).find("activity.db is damaged: move it away, and a new one"),
            std::string::npos)
      << to_string(read.error());
  EXPECT_FALSE(log.add(activity(1, "block"), {}));

  std::ofstream(file()) << std::string(10'000, 'x');
  const auto none = ActivityLog::open(state());
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().code, ErrorCode::store);
}

}  // namespace
}  // namespace fw
