// Budgets of many keys in fixed memory: outside input cannot make it grow or stall.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>

#include "fw/base/result.hpp"
#include "limiter/gcra.hpp"
#include "limiter/memory.hpp"

namespace limiter {

/// One event: the hash of its key, and the quota that the key has.
struct Request {
  std::uint64_t hash = 0;
  const Quota* quota = nullptr;
};

/// A set-associative table of GCRA states. A bucket is a cache line of 8 slots; a slot is 20 bits
/// of the key's hash and 44 bits of time. A slot whose time has passed carries no information, so
/// it is free, without any sweep. In a full bucket the slot that is nearest to its end goes: it
/// knows the least, and an attacker's keys, each seen once, go before those that are in debt.
///
/// Any number of threads may use it at once; no thread waits for another. Two keys of one bucket
/// whose 20 bits agree share a budget (8 in a million pairs of a full bucket). Time wraps after 25
/// days: a key that comes back after as long, to the minute of its debt, into a bucket that nobody
/// touched in the meantime, may be refused.
class Table {
 public:
  static constexpr std::size_t kSlotsOfBucket = 8;
  static constexpr int kTimeBits = 44;

  /// Room for at least `slots` keys at once; 8 bytes each, all of it now. Errors: no memory, or
  /// more than kSlotsMax.
  static constexpr std::size_t kSlotsMax = std::size_t{1} << 35;
  static fw::Result<Table> make(std::size_t slots);
  /// In memory that may hold the slots of an earlier one of the same size; any content is safe.
  static Table in(Pages pages);
  /// How many bytes the slots take.
  static constexpr std::size_t bytes_of(std::size_t slots) {
    const std::size_t buckets = (slots + kSlotsOfBucket - 1) / kSlotsOfBucket;
    return (buckets != 0 ? buckets : 1) * sizeof(Bucket);
  }

  Verdict take(const Request& request, Ticks now);
  /// The same for many, several times as fast, because memory is asked for ahead. As many verdicts
  /// as requests.
  void take(std::span<const Request> requests, Ticks now, std::span<Verdict> verdicts);

  /// Would it be admitted? Changes nothing.
  Verdict look(const Request& request, Ticks now) const;

  std::size_t slots() const { return buckets_ * kSlotsOfBucket; }
  std::size_t bytes() const { return pages_.size(); }
  /// Keys in debt at a time; reads all of the table.
  std::size_t count(Ticks now) const;

 private:
  struct alignas(64) Bucket {
    std::atomic<std::uint64_t> slots[kSlotsOfBucket];
  };

  Table(Pages pages, std::size_t buckets) : pages_(std::move(pages)), buckets_(buckets) {}

  Bucket& bucket_of(std::uint64_t hash) const {
    return static_cast<Bucket*>(pages_.data())[bucket_index(hash, buckets_)];
  }

  Pages pages_;
  std::size_t buckets_;
};

}  // namespace limiter
