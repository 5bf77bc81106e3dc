// Budgets of many keys in fixed memory.
#include "limiter/table.hpp"

#include <algorithm>
#include <memory>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

namespace limiter {
namespace {

constexpr std::uint64_t kTimeMask = (std::uint64_t{1} << Table::kTimeBits) - 1;
constexpr std::uint64_t kPast = std::uint64_t{1} << (Table::kTimeBits - 1);
constexpr auto kRelaxed = std::memory_order_relaxed;

/// How far a slot's time is ahead of now; kPast and more: it has passed.
std::uint64_t ahead(std::uint64_t slot, Ticks now) { return (slot - now) & kTimeMask; }

/// Never zero: that is an empty slot's.
std::uint64_t tag_of(std::uint64_t hash) {
  const std::uint64_t tag = hash << Table::kTimeBits;
  return tag != 0 ? tag : std::uint64_t{1} << Table::kTimeBits;
}

/// The slots of a bucket whose tag is the key's, as bits. A hint: the slots may change at any
/// moment, and whoever uses one loads it again and lets compare-and-swap decide.
#if defined(__SSE2__) && !defined(__SANITIZE_THREAD__)
unsigned same_tag(const std::atomic<std::uint64_t>* slots, std::uint64_t tag) {
  const auto* const at = reinterpret_cast<const __m128i*>(slots);
  const __m128i mask = _mm_set1_epi32(static_cast<int>(~kTimeMask >> 32));
  const __m128i wanted = _mm_set1_epi32(static_cast<int>(tag >> 32));
  const auto same = [&](int pair) {  // four slots: their upper halves side by side
    const __m128i upper = _mm_castps_si128(
        _mm_shuffle_ps(_mm_castsi128_ps(_mm_load_si128(at + pair)),
                       _mm_castsi128_ps(_mm_load_si128(at + pair + 1)), _MM_SHUFFLE(3, 1, 3, 1)));
    return _mm_cmpeq_epi32(_mm_and_si128(upper, mask), wanted);
  };
  const __m128i words = _mm_packs_epi32(same(0), same(2));
  return static_cast<unsigned>(_mm_movemask_epi8(_mm_packs_epi16(words, _mm_setzero_si128())));
}
#else
unsigned same_tag(const std::atomic<std::uint64_t>* slots, std::uint64_t tag) {
  unsigned bits = 0;
  for (std::size_t i = 0; i < Table::kSlotsOfBucket; ++i) {
    bits |= static_cast<unsigned>(((slots[i].load(kRelaxed) ^ tag) & ~kTimeMask) == 0) << i;
  }
  return bits;
}
#endif

/// The slot that is free, or else nearest to its end.
std::size_t freest(const std::atomic<std::uint64_t>* slots, Ticks now) {
  std::uint64_t least = ~std::uint64_t{0};
#pragma GCC unroll 8
  for (std::size_t i = 0; i < Table::kSlotsOfBucket; ++i) {
    const std::uint64_t slot = slots[i].load(kRelaxed);
    const std::uint64_t left = ahead(slot, now);
    const std::uint64_t worth = slot == 0 || left >= kPast ? 0 : left;
    least = std::min(least, worth * Table::kSlotsOfBucket + i);
  }
  return least % Table::kSlotsOfBucket;
}

/// What a slot of the key holds, as a time that gcra() understands. More than the quota can ever
/// owe is a time that has passed long ago, seen through the wrap.
Ticks stored_in(std::uint64_t slot, const Quota& quota, Ticks now) {
  const std::uint64_t left = ahead(slot, now);
  return left <= quota.tolerance + quota.interval ? now + left : 0;
}

[[gnu::always_inline]] inline Verdict take_in(std::atomic<std::uint64_t>* slots,
                                              const Request& request, Ticks now) {
  const std::uint64_t tag = tag_of(request.hash);
  for (;;) {
    const unsigned own = same_tag(slots, tag);
    auto& slot =
        slots[own != 0 ? static_cast<std::size_t>(__builtin_ctz(own)) : freest(slots, now)];
    std::uint64_t held = slot.load(kRelaxed);
    const bool known = ((held ^ tag) & ~kTimeMask) == 0;
    if (known != (own != 0)) continue;  // it was taken at this moment
    const Step step = gcra(known ? stored_in(held, *request.quota, now) : 0, *request.quota, now);
    if (!step.verdict.admitted()) return step.verdict;
    const std::uint64_t kept = tag | (step.stored & kTimeMask);
    if (slot.compare_exchange_strong(held, kept, kRelaxed)) return step.verdict;
  }
}

}  // namespace

fw::Result<Table> Table::make(std::size_t slots) {
  if (slots > kSlotsMax) {
    return fw::fail(fw::ErrorCode::memory, "a table of limits has at most 2^35 slots");
  }
  const std::size_t buckets =
      slots <= kSlotsOfBucket ? 1 : (slots + kSlotsOfBucket - 1) / kSlotsOfBucket;
  auto pages = Pages::map(buckets * sizeof(Bucket));
  if (!pages) return std::unexpected(pages.error());
  auto* const at = static_cast<Bucket*>(pages->data());
  std::uninitialized_default_construct_n(at, 0);
  return Table(std::move(*pages), buckets);
}

Verdict Table::take(const Request& request, Ticks now) {
  return take_in(bucket_of(request.hash).slots, request, now);
}

void Table::take(std::span<const Request> requests, Ticks now, std::span<Verdict> verdicts) {
  constexpr std::size_t kAhead = 40;  // what a core can have on its way from memory
  const std::size_t count = requests.size();
  for (std::size_t i = 0; i < std::min(kAhead, count); ++i) {
    __builtin_prefetch(&bucket_of(requests[i].hash), 1);
  }
  for (std::size_t i = 0; i < count; ++i) {
    if (i + kAhead < count) __builtin_prefetch(&bucket_of(requests[i + kAhead].hash), 1);
    verdicts[i] = take_in(bucket_of(requests[i].hash).slots, requests[i], now);
  }
}

Verdict Table::look(const Request& request, Ticks now) const {
  const std::uint64_t tag = tag_of(request.hash);
  const auto* const slots = bucket_of(request.hash).slots;
  const unsigned own = same_tag(slots, tag);
  if (own == 0) return {};
  const std::uint64_t held = slots[__builtin_ctz(own)].load(kRelaxed);
  return gcra(stored_in(held, *request.quota, now), *request.quota, now).verdict;
}

std::size_t Table::count(Ticks now) const {
  std::size_t count = 0;
  for (std::size_t b = 0; b < buckets_; ++b) {
    for (const auto& slot : static_cast<const Bucket*>(pages_.data())[b].slots) {
      const std::uint64_t value = slot.load(kRelaxed);
      const std::uint64_t left = ahead(value, now);
      if (value != 0 && left != 0 && left < kPast) ++count;
    }
  }
  return count;
}

}  // namespace limiter
