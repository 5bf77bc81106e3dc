// An exact sliding window for small counts: never more than N in any W, in a cache line or two.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <array>
#include <bit>
#include <cstdint>

#include "limiter/gcra.hpp"

namespace limiter {

/// The times of a key's last admitted events. A window is always asked for the same count and
/// width; the one that was made by default has none. Windows up to 33 s / Lines are exact to the
/// tick. For longer ones times are kept in larger units, 2^27 / Lines or more of them in a window,
/// and a place comes back up to two units late; none comes back early.
template <unsigned Lines>
class alignas(64) BasicWindow {
 public:
  static constexpr unsigned kCountMax = 16 * Lines - 2;

  /// One more event, at a time that is not before the last one. `count` is 1 to kCountMax, `width`
  /// at least 1. A refused event leaves no trace.
  constexpr Verdict take(unsigned count, Ticks width, Ticks now) {
    const int shift = shift_of(width);
    const auto now_units = static_cast<std::uint32_t>(now >> shift);
    // What was rounded down may be a unit younger than it looks.
    const auto width_units =
        static_cast<std::uint32_t>(shift == 0 ? width : ((width - 1) >> shift) + 2);
    if (is_idle(width, now)) {
      times_.fill(now_units - width_units);  // all are free
    }
    const unsigned next = static_cast<unsigned>(state_ % kIndexes) % count;
    const std::uint32_t age = now_units - times_[next];
    if (age < width_units) return {Ticks{width_units - age} << shift};
    times_[next] = now_units;
    state_ = (now + kIndexes) / kIndexes * kIndexes + (next + 1) % count;
    return {};
  }

  /// How much later than a width after an event its place may come back.
  static constexpr Ticks late(Ticks width) {
    const int shift = shift_of(width);
    return shift == 0 ? Ticks{0} : Ticks{2} << shift;
  }

  /// Has it forgotten all events, so that it is as good as a new one?
  constexpr bool is_idle(Ticks width, Ticks now) const {
    return state_ == 0 || now >= last() + width + (Ticks{2} << shift_of(width));
  }

 private:
  static constexpr Ticks kIndexes = 16 * Lines;
  static_assert(std::has_single_bit(Lines));
  // The oldest time may be nearly kCountMax windows old, and still differ from all others.
  static constexpr Ticks kUnitsMax = (Ticks{1} << 32) / kIndexes;

  static constexpr int shift_of(Ticks width) {
    int shift = 0;
    while (width >> shift >= kUnitsMax) ++shift;
    return shift;
  }
  /// The last admitted event, up to kIndexes ticks later than it was.
  constexpr Ticks last() const { return state_ / kIndexes * kIndexes; }

  Ticks state_ = 0;  ///< last(), and in its low bits the oldest of the times; 0: none yet
  std::array<std::uint32_t, kCountMax> times_{};
};

using Window = BasicWindow<1>;
static_assert(sizeof(Window) == 64 && sizeof(BasicWindow<2>) == 128);

}  // namespace limiter
