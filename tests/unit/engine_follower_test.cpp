// News of a container engine: their order, their bound, and what is remembered of them.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/daemon/engine_follower.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fw/host/lock.hpp"
#include "tests/unit/daemon_parts.hpp"

namespace fw {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

docker::SharedNews news(const std::string& id, const std::string& address) {
  docker::News out;
  out.part.containers = {id};
  Container container;
  container.id = container.name = id;
  container.addresses = {parse_ip(address).value()};
  out.now.containers = {container};
  return std::make_shared<const docker::News>(std::move(out));
}

docker::SharedNews everything() {
  docker::News out;
  out.part.everything = true;
  return std::make_shared<const docker::News>(std::move(out));
}

TEST(NewsQueue, TellsInOrder) {
  NewsQueue queue;
  const auto first = news("a", "172.20.0.2");
  const auto second = news("a", "172.20.0.3");
  EXPECT_TRUE(queue.add(first));
  EXPECT_TRUE(queue.add(second));
  EXPECT_THAT(queue.take(), ElementsAre(first, second));
  EXPECT_THAT(queue.take(), IsEmpty());
}

TEST(NewsQueue, EverythingTakesThePlaceOfWhatWasBefore) {
  NewsQueue queue;
  const auto all = everything();
  const auto later = news("a", "172.20.0.3");
  EXPECT_TRUE(queue.add(news("a", "172.20.0.2")));
  EXPECT_TRUE(queue.add(all));
  EXPECT_TRUE(queue.add(later));
  EXPECT_THAT(queue.take(), ElementsAre(all, later));
}

TEST(NewsQueue, TooManyAreNone) {
  NewsQueue queue;
  const auto one = news("a", "172.20.0.2");
  for (std::size_t i = 0; i < NewsQueue::kNewsMax; ++i) EXPECT_TRUE(queue.add(one));
  EXPECT_FALSE(queue.add(one));
  EXPECT_THAT(queue.take(), IsEmpty());
  EXPECT_TRUE(queue.add(one)) << "and then it begins anew";
}

class Engine : public DaemonParts {
 protected:
  std::vector<InventoryChange> changes;
  EngineFollower follower{shared,
                          [this](const InventoryChange& change) { changes.push_back(change); }};
};

TEST_F(Engine, WhatWaitedForTheLockIsOneChange) {
  follower.hear(everything());
  EXPECT_EQ(changes.size(), 1u) << "now it is known that there is none";
  auto others = StateLock::take(folder);
  ASSERT_TRUE(others);
  follower.hear(news("a", "172.20.0.2"));
  follower.hear(news("b", "172.20.0.3"));
  follower.hear(news("a", "172.20.0.4"));
  runs_for(20ms);
  EXPECT_EQ(changes.size(), 1u);
  { const StateLock ended = std::move(*others); }
  EXPECT_TRUE(runs_until([&] { return changes.size() == 2; }));
  EXPECT_EQ(changes.back().containers.size(), 2u);
  KeptInventory kept(folder);
  const Inventory* const inventory = kept.read();
  ASSERT_NE(inventory, nullptr);
  ASSERT_EQ(inventory->containers.size(), 2u);
  EXPECT_EQ(inventory->containers.front().addresses, std::vector{parse_ip("172.20.0.4").value()})
      << "the last word";
}

TEST_F(Engine, WhatChangesNothingIsNoChange) {
  follower.hear(everything());
  follower.hear(news("a", "172.20.0.2"));
  const std::size_t before = changes.size();
  follower.hear(news("a", "172.20.0.2"));
  EXPECT_EQ(changes.size(), before);
}

TEST_F(Engine, ItsTroubleIsRememberedUntilItIsOver) {
  follower.hear(everything());
  follower.hear(fail(ErrorCode::io, "the engine hung up"));
  EXPECT_NE(read_engine_trouble(folder).find("hung up"), std::string::npos);
  follower.hear(everything());
  follower.hear(news("a", "172.20.0.2"));
  EXPECT_EQ(read_engine_trouble(folder), "");
}

}  // namespace
}  // namespace fw
