// What top makes of two samples.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/daemon/rates.hpp"

#include <gtest/gtest.h>

#include "fw/base/limits.hpp"

namespace fw {
namespace {

using namespace std::chrono_literals;

Counts counts(std::chrono::milliseconds time, std::uint64_t connections, std::uint64_t refused) {
  Counts out;
  out.time = WallTime{time};
  out.connections = connections;
  out.open = 3;
  out.limits = {{"ssh", {5, 10s}, connections, refused, 0, 4, kMeterSourcesMax / 5}};
  out.dropped = {{"closed", 2 * connections}};
  out.apps = {{"wiki", connections}};
  out.busiest = {{parse_ip_range("198.18.0.1").value(), 9, 0}};
  out.blocks = {{"admin", 2}};
  out.daemon.repairs = 1;
  out.daemon.flow_events_lost = 2;
  out.daemon.refusals_lost = 3;
  out.daemon.changes_lost = 4;
  return out;
}

TEST(Rates, AreDifferencesOverTime) {
  const Rates now = rates(counts(1s, 100, 10), counts(3s, 300, 20));
  Rates expected;
  expected.connections = 100;
  expected.refused = 5;
  expected.open = 3;
  expected.limits = {{"ssh", "5/10s", 100, 5, 4, 0.2}};
  expected.dropped = {{"closed", 200}};
  expected.apps = {{"wiki", 100}};
  expected.busiest = {{"198.18.0.1", 9}};
  expected.blocks = {{"admin", 2}};
  expected.repairs = 1;
  expected.lost = 9;
  EXPECT_EQ(now, expected);
}

TEST(Rates, WhatWentBackBeganAnew) {
  const Rates now = rates(counts(1s, 300, 20), counts(2s, 5, 0));
  EXPECT_EQ(now.connections, 0);
  EXPECT_EQ(now.refused, 0);
  EXPECT_EQ(now.limits.front().accepted, 0);
}

TEST(Rates, ANewLimitHasARateToo) {
  Counts before = counts(1s, 0, 0);
  before.limits.clear();
  EXPECT_EQ(rates(before, counts(2s, 7, 0)).limits.front().accepted, 7);
}

}  // namespace
}  // namespace fw
