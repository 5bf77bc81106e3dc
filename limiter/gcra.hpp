// The generic cell rate algorithm: a token bucket in one number. No clock, no memory.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>

namespace limiter {

/// Time in steps of 125 ns, from any beginning that all users of one state share.
using Ticks = std::uint64_t;
inline constexpr std::chrono::nanoseconds kTick{125};

constexpr Ticks to_ticks(std::chrono::nanoseconds time) { return static_cast<Ticks>(time / kTick); }

/// Six days: half of what a Table's slots can tell from the past.
inline constexpr Ticks kToleranceMax = Ticks{1} << 42;

/// A bucket of `burst` tokens that refills one every `interval`.
struct Quota {
  Ticks interval = 1;
  Ticks tolerance = 0;  ///< (burst - 1) intervals

  /// `count` in every `period`, at most `burst` at once; count and burst >= 1. The interval is
  /// rounded down to a whole tick, and is one at least: who keeps within the rate is never refused,
  /// and the rate exceeds the one asked for by less than a part in `interval`. A burst that takes
  /// longer than kToleranceMax to refill is cut to that.
  static constexpr Quota of(std::uint64_t count, std::chrono::nanoseconds period,
                            std::uint64_t burst) {
    const Ticks interval = std::max<Ticks>(to_ticks(period) / count, 1);
    return {interval, std::min(burst - 1, kToleranceMax / interval) * interval};
  }

  bool operator==(const Quota&) const = default;
};

/// Yes, or how long until the answer would be yes.
struct Verdict {
  Ticks wait = 0;

  constexpr bool admitted() const { return wait == 0; }
  constexpr std::chrono::nanoseconds retry_after() const { return wait * kTick; }
  bool operator==(const Verdict&) const = default;
};

struct Step {
  Ticks stored = 0;  ///< what to keep: the time at which the bucket is full again
  Verdict verdict;

  bool operator==(const Step&) const = default;
};

/// One more event of a key for which `stored` was kept (0: none). State that is not after `now`
/// carries no information, and a refusal changes none. Over any time t a key is admitted at most
/// burst + t / interval times. Source: ITU-T I.371, the virtual scheduling algorithm.
constexpr Step gcra(Ticks stored, const Quota& quota, Ticks now) {
  const Ticks from = std::max(stored, now);
  const Ticks debt = from - now;
  if (debt > quota.tolerance) return {stored, {debt - quota.tolerance}};
  return {from + quota.interval, {}};
}

}  // namespace limiter
