// The two clocks of the daemon, and whether the wall clock was set.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <chrono>
#include <functional>
#include <utility>

#include "fw/host/host_facts.hpp"

namespace fw {

/// By the monotonic clock.
inline std::chrono::milliseconds steady_now() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(
      std::chrono::steady_clock::now().time_since_epoch());
}

/// Blocks end by the wall clock, the kernel's timers do not: when it is set, they must start again.
class ClockWatch {
 public:
  explicit ClockWatch(std::function<void()> was_set) : was_set_(std::move(was_set)) {}

  /// Tells when it was set since the last look.
  void look() {
    const WallTime began = read_clocks().began;
    if (clock_was_set(std::exchange(began_, began), began)) was_set_();
  }

 private:
  std::function<void()> was_set_;
  WallTime began_ = read_clocks().began;
};

}  // namespace fw
