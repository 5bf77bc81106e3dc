// The order of what the daemon does under the lock of its state folder.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/daemon/lock_queue.hpp"

#include <fstream>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fw/host/lock.hpp"
#include "tests/unit/daemon_parts.hpp"

namespace fw {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;

class LockQueues : public DaemonParts {
 protected:
  std::function<void()> note(const std::string& what) {
    return [this, what] { done.push_back(what); };
  }
  std::function<void(const Error&)> busy() {
    return [this](const Error&) { done.push_back("busy"); };
  }

  LockQueue& queue = shared.queue;
  std::vector<std::string> done;
};

TEST_F(LockQueues, WhatRunsBesideKeepsTheLockUntilItIsOver) {
  queue.with_lock(
      [&] {
        queue.beside([] { std::this_thread::sleep_for(20ms); },
                     [&] {
                       done.push_back("first");
                       queue.beside([] {}, note("and its second half"));
                     });
      },
      busy());
  queue.with_lock(note("second"), busy());
  EXPECT_TRUE(done.empty());
  const auto other = StateLock::try_take(folder);
  EXPECT_FALSE(other && *other);
  EXPECT_TRUE(runs_until([&] { return done.size() == 3; }));
  EXPECT_THAT(done, ElementsAre("first", "and its second half", "second"));
  const auto free = StateLock::try_take(folder);
  EXPECT_TRUE(free && *free);
}

TEST_F(LockQueues, OthersHaveTheirTurn) {
  auto others = StateLock::take(folder);
  ASSERT_TRUE(others);
  queue.with_lock(note("first"), busy());
  queue.with_lock(note("second"), busy());
  runs_for(30ms);
  EXPECT_TRUE(done.empty());
  { const StateLock ended = std::move(*others); }
  EXPECT_TRUE(runs_until([&] { return done.size() == 2; }));
  EXPECT_THAT(done, ElementsAre("first", "second"));
}

TEST_F(LockQueues, TheLookBeforeComesFirst) {
  bool looking = false;
  queue.before_each([&] {
    if (std::exchange(looking, true)) return;
    queue.with_lock(note("a check"), busy());
  });
  queue.with_lock(note("a request"), busy());
  EXPECT_THAT(done, ElementsAre("a check", "a request"));
}

TEST_F(LockQueues, WithoutAFolderNobodyWaits) {
  const std::string file = folder + "/file";
  std::ofstream(file) << "no folder";
  LockQueue none(io, file);
  none.with_lock(note("work"), busy());
  EXPECT_THAT(done, ElementsAre("busy"));
}

}  // namespace
}  // namespace fw
