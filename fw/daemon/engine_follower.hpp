// Follows the container engine of the policy, and stores its answers.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "fw/daemon/news_queue.hpp"
#include "fw/daemon/shared.hpp"
#include "fw/docker/discovery.hpp"
#include "fw/policy/policy.hpp"
#include "fw/service/timers.hpp"

namespace fw {

class EngineFollower {
 public:
  /// `changed` is called in the loop, under the lock, when the inventory is another than before; it
  /// may end with beside().
  EngineFollower(Shared& shared, std::function<void(const InventoryChange&)> changed);
  ~EngineFollower();

  /// The engine of the policy in force, unless that is the one that it follows.
  void follow(const Discovery& engine);

  /// In the loop: what an engine has now, or why it cannot be followed.
  void hear(const Result<docker::SharedNews>& told);

 private:
  void take_news();
  void take_in(const NewsQueue::All& news);

  Shared& shared_;
  std::function<void(const InventoryChange&)> changed_;
  Discovery at_;         ///< what it follows
  std::string trouble_;  ///< why it cannot
  NewsQueue news_;
  bool waits_ = false;  ///< for the lock
  Due try_again_;
  std::optional<docker::Watch> watch_;
};

}  // namespace fw
