// Exact sliding windows for small counts and millions of keys.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "limiter/events.hpp"

#include <algorithm>
#include <array>
#include <span>
#include <utility>

namespace limiter {
namespace {

constexpr int kEndBits = 40;
constexpr std::uint64_t kEndMask = (std::uint64_t{1} << kEndBits) - 1;
constexpr Ticks kTicksOfStep = 8;  // a microsecond
constexpr std::uint64_t kStepsMax = Events::kWidthMax / kTicksOfStep + 2;
static_assert(kStepsMax * 8 < kEndMask, "the past must not look like a window to come");

/// Never zero: that is a free slot's.
std::uint64_t event_tag(std::uint64_t hash) {
  const std::uint64_t tag = hash << kEndBits;
  return tag != 0 ? tag : std::uint64_t{1} << kEndBits;
}

/// Steps until the slot's event leaves its window; 0: it is free. `now` in steps.
std::uint64_t steps_left(std::uint64_t slot, std::uint64_t now) {
  const std::uint64_t left = (slot - now) & kEndMask;
  return slot == 0 || left > kStepsMax ? 0 : left;
}

/// Which slot of a bucket without a free one goes.
std::size_t least_known(std::span<const std::uint64_t> slots, std::uint64_t now) {
  std::size_t least = 0;
  std::pair<std::size_t, std::uint64_t> least_worth{~std::size_t{0}, 0};
  for (std::size_t i = 0; i < slots.size(); ++i) {
    const auto same = std::ranges::count_if(
        slots, [&](std::uint64_t other) { return ((other ^ slots[i]) & ~kEndMask) == 0; });
    const std::pair worth{static_cast<std::size_t>(same), steps_left(slots[i], now)};
    if (worth < least_worth) {
      least_worth = worth;
      least = i;
    }
  }
  return least;
}

std::size_t buckets_for(std::size_t slots) {
  return std::max<std::size_t>((slots + Events::kSlotsOfBucket - 1) / Events::kSlotsOfBucket, 1);
}

}  // namespace

std::size_t Events::bytes_of(std::size_t slots) { return buckets_for(slots) * sizeof(Bucket); }

fw::Result<Events> Events::make(std::size_t slots) {
  if (slots > kSlotsMax) {
    return fw::fail(fw::ErrorCode::memory, "a table of events can have at most 2^32 slots");
  }
  auto pages = Pages::map(bytes_of(slots));
  if (!pages) return std::unexpected(pages.error());
  return Events(std::move(*pages), buckets_for(slots));
}

Events Events::in(Pages pages) {
  const std::size_t buckets = pages.size() / sizeof(Bucket);
  return {std::move(pages), buckets};
}

Verdict Events::take(std::uint64_t hash, const WindowQuota& quota, Ticks now) {
  Bucket& bucket = bucket_of(hash);
  const std::uint64_t tag = event_tag(hash);
  const std::uint64_t now_steps = now / kTicksOfStep;
  constexpr std::size_t kNone = kSlotsOfBucket;
  std::size_t free = kNone;
  unsigned used = 0;
  std::uint64_t first_end = kStepsMax;  // steps until the first of its events leaves
  for (std::size_t i = 0; i < kSlotsOfBucket; ++i) {
    const std::uint64_t slot = bucket.slots[i];
    const std::uint64_t left = steps_left(slot, now_steps);
    if (left == 0) {
      free = i;
    } else if (((slot ^ tag) & ~kEndMask) == 0) {
      ++used;
      first_end = std::min(first_end, left);
    }
  }
  if (used >= quota.count) return {first_end * kTicksOfStep};
  if (free == kNone) free = least_known(bucket.slots, now_steps);
  const std::uint64_t end = (now + quota.width + kTicksOfStep - 1) / kTicksOfStep;
  bucket.slots[free] = tag | (end & kEndMask);
  return {};
}

std::size_t Events::sweep(Ticks now) {
  std::size_t live = 0;
  for (std::size_t b = 0; b < buckets_; ++b) {
    for (std::uint64_t& slot : static_cast<Bucket*>(pages_.data())[b].slots) {
      if (steps_left(slot, now / kTicksOfStep) == 0)
        slot = 0;
      else
        ++live;
    }
  }
  return live;
}

}  // namespace limiter
