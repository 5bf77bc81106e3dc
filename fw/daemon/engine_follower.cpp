// Follows the container engine of the policy.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/daemon/engine_follower.hpp"

#include <chrono>
#include <utility>

#include <boost/asio/post.hpp>

#include "fw/host/discovered.hpp"

namespace fw {
namespace {

constexpr std::chrono::seconds kLockAgain{1};  // where the lock could not be had

}  // namespace

EngineFollower::EngineFollower(Shared& shared, std::function<void(const InventoryChange&)> changed)
    : shared_(shared),
      changed_(std::move(changed)),
      try_again_(shared.io, [this] { take_news(); }) {}

EngineFollower::~EngineFollower() = default;

void EngineFollower::follow(const Discovery& engine) {
  if (at_ == engine) return;
  watch_.reset();
  news_.clear();
  trouble_.clear();
  at_ = engine;
  if (at_.from == Discover::none) return;
  watch_.emplace(at_.docker, [this](Result<docker::SharedNews> told) {
    boost::asio::post(shared_.io, [this, told = std::move(told)] { hear(told); });
  });
}

void EngineFollower::hear(const Result<docker::SharedNews>& told) {
  const std::string trouble = told ? std::string() : to_string(told.error());
  if (!told && trouble == trouble_) return;  // said before
  if (told && !trouble_.empty()) {
    shared_.messages.send(Level::info, "the container engine answers again");
  }
  trouble_ = trouble;
  if (!told) {
    shared_.messages.send(Level::warning, trouble + "; the last known apps stay in force");
  } else if (!news_.add(*told)) {
    if (watch_) watch_->again();
    return;
  }
  if (!std::exchange(waits_, true)) take_news();
}

void EngineFollower::take_news() {
  shared_.queue.with_lock(
      [this] {
        waits_ = false;
        take_in(news_.take());
      },
      [this](const Error& error) {
        shared_.messages.send(Level::warning, "cannot update the apps: " + to_string(error));
        try_again_.after(kLockAgain);
      });
}

/// Under the lock: remembered, and in force.
void EngineFollower::take_in(const NewsQueue::All& news) {
  KeptInventory& inventory = shared_.in_force.kept().inventory;
  InventoryChange change;
  for (const docker::SharedNews& each : news) {
    // A command that asked the engine in the meantime may know more or less than that.
    if (!each->part.everything && inventory.is_others() && watch_) watch_->again();
    change.add(inventory.take(each->part, each->now));
  }
  if (!change.empty()) changed_(change);
  if (const auto saved = news.empty() ? Result<void>() : inventory.save(); !saved) {
    shared_.messages.send(Level::error, "cannot store the apps: " + to_string(saved.error()));
  }
  if (trouble_.empty()) return;
  if (const auto noted = remember_trouble(shared_.state_dir, trouble_); !noted) {
    shared_.messages.send(Level::error, to_string(noted.error()));
  }
}

}  // namespace fw
