// Events of a container engine that are not handled yet.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <deque>
#include <utility>

#include "fw/docker/discovery.hpp"

namespace fw {

/// In the order in which they were reported; at most kNewsMax.
class NewsQueue {
 public:
  using All = std::deque<docker::SharedNews>;

  /// What tells everything takes the place of all that was reported before. False when too many
  /// wait: then none is left, and the engine must begin with everything again.
  bool add(docker::SharedNews news) {
    if (news->part.everything) news_.clear();
    news_.push_back(std::move(news));
    if (news_.size() <= kNewsMax) return true;
    news_.clear();
    return false;
  }
  All take() { return std::exchange(news_, {}); }
  void clear() { news_.clear(); }

  static constexpr std::size_t kNewsMax = 64;

 private:
  All news_;
};

}  // namespace fw
