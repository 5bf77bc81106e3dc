// Applies changes of containers. That is not a repair: no other program changed the rules.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>

#include "chains/netlink/kernel.hpp"
#include "fw/daemon/applier.hpp"
#include "fw/daemon/change_listener.hpp"
#include "fw/daemon/feeds.hpp"
#include "fw/daemon/shared.hpp"
#include "fw/host/change_apps.hpp"

namespace fw {

class AppChanges {
 public:
  /// `check_soon` is called when it failed.
  AppChanges(Shared& shared, chains::Kernel& kernel, ChangeListener& changes, Applier& applier,
             Feeds& feeds, std::function<void()> check_soon);

  /// Under the lock, as the last deed of who has it.
  void put_in_force(const InventoryChange& change);

  std::uint64_t count() const { return count_; }  ///< that changed rules

 private:
  using Time = std::chrono::steady_clock::time_point;
  struct Apply;

  bool move(const InventoryChange& change);
  void applied(Apply& apply);
  void tell(const chains::Description& lines, Time begin);

  Shared& shared_;
  chains::Kernel& kernel_;
  ChangeListener& changes_;
  Applier& applier_;
  Feeds& feeds_;
  std::function<void()> check_soon_;
  std::uint64_t count_ = 0;
};

}  // namespace fw
