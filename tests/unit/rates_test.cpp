// What top makes of two samples.
#include "fw/daemon/rates.hpp"

#include <boost/json/parse.hpp>
#include <gtest/gtest.h>

namespace fw {
namespace {

boost::json::object counts(int time_ms, int connections, int refused) {
  return boost::json::parse(
             R"({"time_ms":)" + std::to_string(time_ms) + R"(,"connections":)" +
             std::to_string(connections) +
             R"(,"open":3,"limits":[{"name":"ssh","rate":"5/10s","accepted":)" +
             std::to_string(connections) + R"(,"refused":)" + std::to_string(refused) +
             R"(,"sources":4,"fullest":10,"capacity":100}],"dropped":{"closed":)" +
             std::to_string(2 * connections) + R"(},"apps":[{"name":"wiki","connections":)" +
             std::to_string(connections) +
             R"(}],"busiest":[{"source":"198.18.0.1","count":9}],)"
             R"("most_refused":[],"blocks":{"admin":2},"daemon":{"off":false,)"
             R"("repairs":1,"flow_events_lost":2,"refusals_lost":3,)"
             R"("changes_lost":4}})")
      .as_object();
}

TEST(Rates, AreDifferencesOverTime) {
  const Rates now = rates(counts(1000, 100, 10), counts(3000, 300, 20));
  Rates expected;
  expected.connections = 100;
  expected.refused = 5;
  expected.open = 3;
  expected.limits = {{"ssh", "5/10s", 100, 5, 4, 0.1}};
  expected.dropped = {{"closed", 200}};
  expected.apps = {{"wiki", 100}};
  expected.busiest = {{"198.18.0.1", 9}};
  expected.blocks = {{"admin", 2}};
  expected.repairs = 1;
  expected.lost = 9;
  EXPECT_EQ(now, expected);
}

TEST(Rates, WhatWentBackBeganAnew) {
  const Rates now = rates(counts(1000, 300, 20), counts(2000, 5, 0));
  EXPECT_EQ(now.connections, 0);
  EXPECT_EQ(now.refused, 0);
  EXPECT_EQ(now.limits.front().accepted, 0);
}

TEST(Rates, ANewLimitHasARateToo) {
  boost::json::object before = counts(1000, 0, 0);
  before["limits"] = boost::json::array{};
  EXPECT_EQ(rates(before, counts(2000, 7, 0)).limits.front().accepted, 7);
}

}  // namespace
}  // namespace fw
