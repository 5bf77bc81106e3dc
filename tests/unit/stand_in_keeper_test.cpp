// When a table stands in for ours.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/daemon/stand_in_keeper.hpp"

#include <atomic>

#include <gtest/gtest.h>

#include "fw/host/last_good.hpp"
#include "tests/unit/daemon_parts.hpp"

namespace fw {
namespace {

using namespace std::chrono_literals;

class StandInKeepers : public DaemonParts {
 protected:
  StandInKeepers() { shared.in_force.take_up({}); }

  bool ends() {
    bool asked = false;
    shared.queue.with_lock(
        [&] {
          keeper.end();
          asked = true;
        },
        [](const Error&) {});
    return runs_until([&] { return asked; });
  }

  std::atomic<int> put = 0;
  std::atomic<int> removed = 0;
  std::atomic<int> failures = 0;  ///< that are to come
  StandInKeeper keeper{shared,
                       {[this](const chains::Ruleset&) -> Result<void> {
                          if (failures > 0) return --failures, fail(ErrorCode::io, "no memory");
                          ++put;
                          return {};
                        },
                        [this]() -> Result<void> {
                          if (failures > 0) return --failures, fail(ErrorCode::io, "no memory");
                          ++removed;
                          return {};
                        }}};
};

TEST_F(StandInKeepers, IsMadeOnceHoweverOftenTheTableGoes) {
  EXPECT_FALSE(keeper.rules());
  for (int i = 0; i < 5; ++i) keeper.table_removed();
  EXPECT_TRUE(runs_until([&] { return keeper.rules().has_value(); }));
  keeper.table_removed();
  runs_for(20ms);
  EXPECT_EQ(put, 1);
}

TEST_F(StandInKeepers, EndsAndCanComeAgain) {
  keeper.table_removed();
  EXPECT_TRUE(runs_until([&] { return keeper.rules().has_value(); }));
  EXPECT_TRUE(ends());
  EXPECT_TRUE(runs_until([&] { return !keeper.rules(); }));
  EXPECT_EQ(removed, 1);
  keeper.table_removed();
  EXPECT_TRUE(runs_until([&] { return keeper.rules().has_value(); }));
  EXPECT_EQ(put, 2);
}

TEST_F(StandInKeepers, AfterAResetNothingStandsIn) {
  ASSERT_TRUE(switch_off(folder));
  keeper.table_removed();
  runs_for(20ms);
  EXPECT_EQ(put, 0);
  EXPECT_FALSE(keeper.rules());
}

TEST_F(StandInKeepers, WhatCannotBeMadeDoesNotStand) {
  failures = 1;
  keeper.table_removed();
  EXPECT_TRUE(runs_until([&] { return failures == 0; }));
  runs_for(20ms);
  EXPECT_FALSE(keeper.rules());
  keeper.table_removed();
  EXPECT_TRUE(runs_until([&] { return keeper.rules().has_value(); })) << "the next time it can";
}

TEST_F(StandInKeepers, ItsEndIsTriedUntilItIsDone) {
  keeper.table_removed();
  EXPECT_TRUE(runs_until([&] { return keeper.rules().has_value(); }));
  failures = 1;
  EXPECT_TRUE(ends());
  EXPECT_TRUE(runs_until([&] { return failures == 0; }));
  EXPECT_TRUE(keeper.rules());
  EXPECT_TRUE(runs_until([&] { return !keeper.rules(); })) << "a second later";
}

}  // namespace
}  // namespace fw
