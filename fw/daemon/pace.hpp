// How repairs are reported. They are made at once, however many there are: until then the host may
// stand open. Only what is said of them is bounded.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <utility>

#include "fw/base/limits.hpp"

namespace fw {

class RepairPace {
 public:
  using Time = std::chrono::milliseconds;  ///< of a clock that is never set

  enum class Tell : std::uint8_t {
    itself,     ///< a message and a row of its own
    and_alarm,  ///< the same, and that no more are reported one by one
    in_sum,     ///< it is counted
  };

  /// A repair was made: the first kRepairsAMinute in a minute are reported one by one.
  Tell repaired(Time now) {
    while (!told_.empty() && now - told_.front() >= std::chrono::minutes{1}) told_.pop_front();
    if (told_.size() >= static_cast<std::size_t>(kRepairsAMinute)) {
      ++in_sum_;
      return Tell::in_sum;
    }
    told_.push_back(now);
    return told_.size() == static_cast<std::size_t>(kRepairsAMinute) ? Tell::and_alarm
                                                                     : Tell::itself;
  }

  /// How many were counted since the last call.
  std::uint64_t take_sum() { return std::exchange(in_sum_, 0); }

 private:
  std::deque<Time> told_;  ///< in the last minute; kRepairsAMinute at most
  std::uint64_t in_sum_ = 0;
};

}  // namespace fw
