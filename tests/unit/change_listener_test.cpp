// What the daemon makes of changes of rulesets.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/daemon/change_listener.hpp"

#include <vector>

#include <gtest/gtest.h>

namespace fw {
namespace {

chains::RulesetChange change(std::uint32_t generation, bool ours, const char* process = "nft") {
  chains::RulesetChange out;
  out.generation = generation;
  out.ours = ours;
  out.pid = 7;
  out.process = process;
  return out;
}

HeardChanges heard(const std::vector<chains::RulesetChange>& changes) {
  ObservedGeneration observed;
  return hear(changes, observed);
}

TEST(HearChanges, OfOtherTablesAreNoChangeOfOurs) {
  EXPECT_EQ(heard({}), HeardChanges{});
  EXPECT_EQ(heard({change(2, false)}), (HeardChanges{.of_other_tables = true}));
}

TEST(HearChanges, TheLastWhoChangedOursIsNamed) {
  EXPECT_EQ(heard({change(2, true), change(3, true, "perl"), change(4, false, "iptables")}),
            (HeardChanges{.of_other_tables = true, .of_ours = true, .by = "perl (pid 7)"}));
}

TEST(HearChanges, ARemovalIsNotForgottenForWhatCameAfter) {
  auto removed = change(2, true);
  removed.removed = true;
  EXPECT_TRUE(heard({removed, change(3, true)}).removed_ours);
}

TEST(HearChanges, ANameCannotChangeTheTerminal) {
  EXPECT_EQ(heard({change(2, true, "\x1b[2J")}).by.find('\x1b'), std::string::npos);
}

TEST(HearChanges, WhatTheKernelHoldsIsKnownThroughOthersChangesOnly) {
  ObservedGeneration observed;
  observed.holds(1);
  (void)hear(std::vector{change(2, false), change(3, false)}, observed);
  EXPECT_EQ(observed.generation(), 3u);
  (void)hear(std::vector{change(4, true)}, observed);
  EXPECT_FALSE(observed.generation());
}

}  // namespace
}  // namespace fw
