// Exact sliding windows for small counts and millions of keys: 8 bytes for each event.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstddef>
#include <cstdint>

#include "fw/base/result.hpp"
#include "limiter/gcra.hpp"
#include "limiter/memory.hpp"

namespace limiter {

/// At most `count` events in any `width`.
struct WindowQuota {
  unsigned count = 1;  ///< 1 to Events::kCountMax
  Ticks width = 1;     ///< 1 to Events::kWidthMax

  bool operator==(const WindowQuota&) const = default;
};

/// A set-associative table of admitted events. A bucket is four cache lines of 32 slots; a slot is
/// 24 bits of the key's hash and 40 bits of the time at which its event leaves the window. A key
/// has as many live slots as it had events in its window, so one that comes once takes 8 bytes,
/// and not the 64 of a Window.
///
/// In a full bucket the slot goes whose key has the fewest there, of these the one that is nearest
/// to its end: who floods with many keys loses theirs, and not those of a key that spends a
/// budget. Two keys of one bucket whose 24 bits agree share a budget (2 in a million pairs of a
/// full bucket). For one thread.
class Events {
 public:
  static constexpr std::size_t kSlotsOfBucket = 32;
  static constexpr unsigned kCountMax = 14;
  /// A day. Times are kept in microseconds, rounded up: a place comes back up to two of them late,
  /// and none early.
  static constexpr Ticks kWidthMax = Ticks{86'400} * 8'000'000;
  static constexpr std::size_t kSlotsMax = std::size_t{1} << 32;

  /// Room for at least `slots` events at once. Errors: no memory, or more than kSlotsMax.
  static fw::Result<Events> make(std::size_t slots);
  /// In memory that may hold the slots of an earlier one of the same size; any content is safe.
  static Events in(Pages pages);
  /// How many bytes make() asks for.
  static std::size_t bytes_of(std::size_t slots);

  /// One more event of the key with that hash. A refused event leaves no trace.
  Verdict take(std::uint64_t hash, const WindowQuota& quota, Ticks now);

  /// Frees what has left its window, as a slot must be before its time wraps: call it at least
  /// once a day. Returns how many are live.
  std::size_t sweep(Ticks now);

  std::size_t slots() const { return buckets_ * kSlotsOfBucket; }
  std::size_t bytes() const { return pages_.size(); }

 private:
  struct alignas(64) Bucket {
    std::uint64_t slots[kSlotsOfBucket];
  };

  Events(Pages pages, std::size_t buckets) : pages_(std::move(pages)), buckets_(buckets) {}

  Bucket& bucket_of(std::uint64_t hash) const {
    return static_cast<Bucket*>(pages_.data())[bucket_index(hash, buckets_)];
  }

  Pages pages_;
  std::size_t buckets_;
};

}  // namespace limiter
