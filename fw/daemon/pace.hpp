// How often a repair may be tried: somebody who keeps undoing it is not answered for ever.
#pragma once

#include <chrono>
#include <deque>

#include "fw/base/limits.hpp"

namespace fw {

class RepairPace {
 public:
  using Time = std::chrono::milliseconds;  ///< of a clock that is never set

  /// How long to wait before the next repair: nothing for the first kRepairsAMinute in a minute,
  /// then ever longer, up to a minute.
  Time wait(Time now) {
    while (!repairs_.empty() && now - repairs_.front() >= std::chrono::minutes{1})
      repairs_.pop_front();
    if (repairs_.size() < static_cast<std::size_t>(kRepairsAMinute)) {
      delay_ = Time{0};
      return Time{0};
    }
    const Time since = now - repairs_.back();
    return since >= delay_ ? Time{0} : delay_ - since;
  }

  void repaired(Time now) {
    repairs_.push_back(now);
    if (repairs_.size() < static_cast<std::size_t>(kRepairsAMinute)) return;
    delay_ = delay_ == Time{0} ? Time{5000} : std::min(delay_ * 2, Time{60'000});
  }

  /// Somebody undoes repairs faster than they should be made.
  bool alarmed() const { return delay_ != Time{0}; }

 private:
  std::deque<Time> repairs_;  ///< of the last minute
  Time delay_{0};
};

}  // namespace fw
