// What is said of repairs, and how often.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/daemon/repair_reports.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fw/base/limits.hpp"
#include "tests/unit/daemon_parts.hpp"

namespace fw {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(Repaired, SaysWhoChangedWhat) {
  EXPECT_EQ(to_string(Repaired{"nft (pid 7)", false, 2, 0, 3400us}),
            "nft (pid 7) changed 2 lines of the firewall; repaired in 3 ms");
  EXPECT_EQ(to_string(Repaired{"", false, 1, 0, 1ms}),
            "an unknown program changed 1 line of the firewall; repaired in 1 ms");
  EXPECT_EQ(to_string(Repaired{"nft (pid 7)", true, 90, 1, 20ms}),
            "nft (pid 7) removed the firewall; repaired in 20 ms; 1 hand-added rule is lost with "
            "it: put such rules into rules.d");
}

TEST(RepairPace, TellsAFewAMinuteOneByOne) {
  RepairPace pace;
  for (int i = 1; i < kRepairsAMinute; ++i) {
    EXPECT_EQ(pace.repaired(std::chrono::seconds{i}), RepairPace::Tell::itself);
  }
  EXPECT_EQ(pace.repaired(10s), RepairPace::Tell::and_alarm);
  EXPECT_EQ(pace.repaired(11s), RepairPace::Tell::in_sum);
  EXPECT_EQ(pace.repaired(12s), RepairPace::Tell::in_sum);
  EXPECT_EQ(pace.take_sum(), 2u);
  EXPECT_EQ(pace.take_sum(), 0u);
  EXPECT_EQ(pace.repaired(61s), RepairPace::Tell::and_alarm) << "one is older than a minute";
  EXPECT_EQ(pace.repaired(10min), RepairPace::Tell::itself);
}

class Reports : public DaemonParts {
 protected:
  RepairReports reports{shared};
};

TEST_F(Reports, OfManyRepairsAFewRowsAndASum) {
  const Repaired repaired{"nft (pid 7)", false, 2, 0, 3ms};
  for (int i = 0; i < kRepairsAMinute + 3; ++i) reports.tell(repaired, {}, 1s);
  EXPECT_EQ(recorded("repair").size(), static_cast<std::size_t>(kRepairsAMinute));
  reports.tell_sum();
  reports.tell_sum();
  EXPECT_EQ(recorded("repair").size(), kRepairsAMinute + 1u);
  EXPECT_EQ(recorded("repair").back(), "3 more repairs since the last report");
}

TEST_F(Reports, OfLabelsOnceWhenItBeginsAndOnceWhenItEnds) {
  reports.tell_labels("");
  EXPECT_THAT(recorded("labels"), IsEmpty());
  for (const char* trouble : {"bit 3 is set by table ip a", "bit 3 is set by table ip a", "", ""}) {
    reports.tell_labels(trouble);
  }
  EXPECT_THAT(
      recorded("labels"),
      ElementsAre("bit 3 is set by table ip a",
                  "no rule of another program sets our bits of connection labels any more"));
}

}  // namespace
}  // namespace fw
