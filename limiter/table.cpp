// Budgets of many keys in fixed memory.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "limiter/table.hpp"

#include <algorithm>
#include <memory>

#ifdef __x86_64__
#include <immintrin.h>
#endif

namespace limiter {
namespace {

constexpr std::uint64_t kTimeMask = (std::uint64_t{1} << Table::kTimeBits) - 1;
constexpr std::uint64_t kPast = std::uint64_t{1} << (Table::kTimeBits - 1);
constexpr int kTagBits = 64 - Table::kTimeBits;
constexpr auto kRelaxed = std::memory_order_relaxed;

using Slots = std::atomic<std::uint64_t>;

struct Buckets {
  Slots* first;
  std::size_t count;

  Slots* of(std::uint64_t hash) const {
    return first + bucket_index(hash, count) * Table::kSlotsOfBucket;
  }
};

/// Never zero: that is an empty slot's.
std::uint64_t tag_of(std::uint64_t hash) {
  const std::uint64_t tag = hash << Table::kTimeBits;
  return tag != 0 ? tag : std::uint64_t{1} << Table::kTimeBits;
}

/// What a slot of the key holds, as a time that gcra() understands. More than the quota can ever
/// owe is a time that has passed long ago, seen through the wrap.
Ticks stored_in(std::uint64_t slot, const Quota& quota, Ticks now) {
  const std::uint64_t left = (slot - now) & kTimeMask;
  return left <= quota.tolerance + quota.interval ? now + left : 0;
}

/// The slot of a key, or else the one that is free or nearest to its end. A hint, for slots may
/// change at any moment: whoever goes by it lets compare-and-swap decide. So a bucket may be read
/// with plain loads; each of its slots is read whole.
struct Place {
  std::size_t at;
  bool known;
};

namespace portable {

inline Place find(const Slots* slots, std::uint64_t tag, Ticks now) {
  std::uint64_t least = ~std::uint64_t{0};
#pragma GCC unroll 8
  for (std::size_t i = 0; i < Table::kSlotsOfBucket; ++i) {
    const std::uint64_t slot = slots[i].load(kRelaxed);
    if (((slot ^ tag) & ~kTimeMask) == 0) return {i, true};
    const std::uint64_t left = (slot - now) & kTimeMask;
    const std::uint64_t worth = slot == 0 || left >= kPast ? 0 : left;
    least = std::min(least, worth * Table::kSlotsOfBucket + i);
  }
  return {least % Table::kSlotsOfBucket, false};
}

#include "limiter/take.inc"

}  // namespace portable

// Clang knows no such pragma.
#if defined(__x86_64__) && !defined(__SANITIZE_THREAD__) && !defined(__clang__)
#define CLOUDRON_FW_AVX512
#pragma GCC push_options
#pragma GCC target("avx512f")

namespace avx512 {

inline Place find(const Slots* slots, std::uint64_t tag, Ticks now) {
  const __m512i line = _mm512_load_si512(slots);
  const __m512i tags = _mm512_set1_epi64(static_cast<long long>(~kTimeMask));
  const __m512i other = _mm512_xor_si512(line, _mm512_set1_epi64(static_cast<long long>(tag)));
  const __mmask8 own = _mm512_testn_epi64_mask(other, tags);
  if (own != 0) return {static_cast<std::size_t>(__builtin_ctz(own)), true};
  // The time that is left to each slot, and below it the slot's index: so one minimum finds it.
  const __m512i left = _mm512_sub_epi64(_mm512_slli_epi64(line, kTagBits),
                                        _mm512_set1_epi64(static_cast<long long>(now << kTagBits)));
  const __mmask8 used =
      _mm512_cmpgt_epi64_mask(left, _mm512_setzero_si512()) & _mm512_test_epi64_mask(line, line);
  const __m512i worth =
      _mm512_or_si512(_mm512_maskz_mov_epi64(used, left), _mm512_set_epi64(7, 6, 5, 4, 3, 2, 1, 0));
  const auto least = static_cast<std::size_t>(_mm512_reduce_min_epi64(worth));
  return {least % Table::kSlotsOfBucket, false};
}

#include "limiter/take.inc"

}  // namespace avx512

#pragma GCC pop_options
#endif

}  // namespace

fw::Result<Table> Table::make(std::size_t slots) {
  if (slots > kSlotsMax) {
    return fw::fail(fw::ErrorCode::memory, "a table of limits can have at most 2^35 slots");
  }
  const std::size_t buckets =
      slots <= kSlotsOfBucket ? 1 : (slots + kSlotsOfBucket - 1) / kSlotsOfBucket;
  auto pages = Pages::map(buckets * sizeof(Bucket));
  if (!pages) return std::unexpected(pages.error());
  return Table(std::move(*pages), buckets);
}

Table Table::in(Pages pages) {
  const std::size_t buckets = pages.size() / sizeof(Bucket);
  return {std::move(pages), buckets};
}

Verdict Table::take(const Request& request, Ticks now) {
  return portable::take(bucket_of(request.hash).slots, request, now);
}

void Table::take(std::span<const Request> requests, Ticks now, std::span<Verdict> verdicts) {
  const Buckets buckets{bucket_of(0).slots, buckets_};
#ifdef CLOUDRON_FW_AVX512
  static const bool wide = __builtin_cpu_supports("avx512f") != 0;
  if (wide) {
    return avx512::take(buckets, requests.data(), requests.size(), now, verdicts.data());
  }
#endif
  portable::take(buckets, requests.data(), requests.size(), now, verdicts.data());
}

Verdict Table::look(const Request& request, Ticks now) const {
  return portable::decide(bucket_of(request.hash).slots, request, now).verdict;
}

std::size_t Table::count(Ticks now) const {
  std::size_t count = 0;
  for (std::size_t b = 0; b < buckets_; ++b) {
    for (const auto& slot : static_cast<const Bucket*>(pages_.data())[b].slots) {
      const std::uint64_t value = slot.load(kRelaxed);
      const std::uint64_t left = (value - now) & kTimeMask;
      if (value != 0 && left != 0 && left < kPast) ++count;
    }
  }
  return count;
}

}  // namespace limiter
