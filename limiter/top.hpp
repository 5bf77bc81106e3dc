// The busiest senders, in fixed memory.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "limiter/hash.hpp"

namespace limiter {

/// Space-Saving (Metwally, Agrawal, El Abbadi, 2005) with `counters` counters: of n events, every
/// key with more than n / counters of them is here, and a count is too high by its `error` at most,
/// which is at most n / counters. Never too low. A step costs O(log counters).
class Top {
 public:
  struct Entry {
    Key key;
    std::uint64_t count = 0;
    std::uint64_t error = 0;  ///< the true count is at least count - error

    bool operator==(const Entry&) const = default;
  };

  /// At least one counter, at most kCountersMax.
  static constexpr std::size_t kCountersMax = std::size_t{1} << 24;
  explicit Top(std::size_t counters, const Secret& secret = Secret::random());

  void add(const Key& key, std::uint64_t weight = 1);

  /// The `n` largest, largest first.
  std::vector<Entry> largest(std::size_t n) const;
  std::uint64_t total() const { return total_; }

  /// Halves every count, so that the past weighs less.
  void halve();

 private:
  using Place = std::uint32_t;  ///< in heap_, counted from 1; 0: none

  std::size_t home(const Key& key) const;
  std::size_t find(const Key& key) const;  ///< in index_: where it is, or where it would be
  void erase(std::size_t at);
  void sink(std::size_t at);
  void exchange(std::size_t a, std::size_t b);  ///< two places of the heap

  std::size_t counters_;
  Secret secret_;
  std::uint64_t total_ = 0;
  std::vector<Entry> heap_;   ///< the smallest count first
  std::vector<Place> index_;  ///< by key, open addressing
};

}  // namespace limiter
