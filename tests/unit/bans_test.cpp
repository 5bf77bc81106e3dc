// Whom the daemon blocks by itself.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/daemon/bans.hpp"

#include <optional>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fw/effective/policy.hpp"
#include "tests/unit/daemon_parts.hpp"

namespace fw {
namespace {

using namespace std::chrono_literals;
using ::testing::IsEmpty;

chains::Refusal refusal_of(const std::string& source) {
  chains::Refusal refusal;
  refusal.why = chains::Refusal::Why::limit;
  refusal.limit = "ssh";
  refusal.shaken = true;
  refusal.packet.source = *parse_ip(source);
  refusal.packet.destination_port = 22;
  return refusal;
}

class Banning : public DaemonParts {
 protected:
  Banning() {
    DesiredPolicy wanted;
    wanted.policy =
        parse_policy("[[offender]]\nafter = \"3 refused/10s\"\nmax = \"3h\"\n", "p").policy;
    shared.in_force.take_up(wanted);
    bans.begin();
  }

  void refuse(int times) {
    for (int i = 0; i < times; ++i) bans.refused(refusal_of("198.51.100.7"));
    runs_for(20ms);
  }

  std::vector<Block> made;
  std::optional<Error> trouble;
  Bans bans{shared, [this](const Block& block, WallTime) -> Result<void> {
              if (trouble) return std::unexpected(*trouble);
              made.push_back(block);
              return {};
            }};
};

TEST_F(Banning, WhoIsDueIsBlockedOnceAndThatIsRecorded) {
  refuse(2);
  EXPECT_THAT(made, IsEmpty());
  refuse(5);
  ASSERT_EQ(made.size(), 1u);
  EXPECT_EQ(to_string(made.front().range), "198.51.100.7");
  EXPECT_EQ(made.front().origin, "offender");
  EXPECT_EQ(*made.front().until - made.front().since, 1h);
  EXPECT_EQ(bans.blocked(), 1u);
  const auto rows = recorded("offender");
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_TRUE(rows.front().starts_with("198.51.100.7 blocked for 1h: 3 refused by limit ssh"))
      << rows.front();
}

TEST_F(Banning, WhatCannotBeStoredIsNoBlock) {
  trouble = Error{ErrorCode::store, "the disk is full", {}, {}, 0};
  refuse(3);
  EXPECT_EQ(bans.blocked(), 0u);
  EXPECT_THAT(recorded("offender"), IsEmpty());
}

TEST_F(Banning, BlocksOfThePastCountAfterARestart) {
  refuse(3);
  ASSERT_EQ(made.size(), 1u);
  std::vector<Block> later;
  Bans next(shared, [&](const Block& block, WallTime) -> Result<void> {
    later.push_back(block);
    return {};
  });
  next.begin();
  for (int i = 0; i < 3; ++i) next.refused(refusal_of("198.51.100.7"));
  EXPECT_TRUE(runs_until([&] { return !later.empty(); }));
  ASSERT_EQ(later.size(), 1u);
  EXPECT_EQ(*later.front().until - later.front().since, 2h) << "the second is twice as long";
}

}  // namespace
}  // namespace fw
