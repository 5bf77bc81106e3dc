// The busiest senders, in fixed memory.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "limiter/top.hpp"

#include <algorithm>
#include <bit>

namespace limiter {

Top::Top(std::size_t counters, const Secret& secret)
    : counters_(std::clamp<std::size_t>(counters, 1, kCountersMax)),
      secret_(secret),
      index_(std::bit_ceil(counters_ * 2)) {
  heap_.reserve(counters_);
}

std::size_t Top::home(const Key& key) const {
  return static_cast<std::size_t>(hash(secret_, key)) & (index_.size() - 1);
}

std::size_t Top::find(const Key& key) const {
  std::size_t at = home(key);
  while (index_[at] != 0 && heap_[index_[at] - 1].key != key) at = (at + 1) & (index_.size() - 1);
  return at;
}

/// Closes the gap, so that every key is found without a stop between its home and itself.
void Top::erase(std::size_t at) {
  const std::size_t mask = index_.size() - 1;
  for (std::size_t next = (at + 1) & mask; index_[next] != 0; next = (next + 1) & mask) {
    const std::size_t wanted = home(heap_[index_[next] - 1].key);
    if (((next - wanted) & mask) < ((next - at) & mask)) continue;
    index_[at] = index_[next];
    at = next;
  }
  index_[at] = 0;
}

void Top::exchange(std::size_t a, std::size_t b) {
  const std::size_t one = find(heap_[a].key);
  const std::size_t other = find(heap_[b].key);
  std::swap(heap_[a], heap_[b]);
  std::swap(index_[one], index_[other]);
}

void Top::sink(std::size_t at) {
  for (;;) {
    std::size_t least = at;
    for (const std::size_t child : {2 * at + 1, 2 * at + 2}) {
      if (child < heap_.size() && heap_[child].count < heap_[least].count) least = child;
    }
    if (least == at) return;
    exchange(at, least);
    at = least;
  }
}

void Top::add(const Key& key, std::uint64_t weight) {
  total_ += weight;
  std::size_t at = find(key);
  if (index_[at] != 0) {
    const std::size_t place = index_[at] - 1;
    heap_[place].count += weight;
    sink(place);
    return;
  }
  if (heap_.size() < counters_) {
    // It rises to its place: counts above it are larger.
    std::size_t place = heap_.size();
    heap_.push_back({key, weight, 0});
    index_[at] = static_cast<Place>(place + 1);
    while (place != 0 && heap_[(place - 1) / 2].count > heap_[place].count) {
      const std::size_t up = (place - 1) / 2;
      exchange(place, up);
      place = up;
    }
    return;
  }
  const std::uint64_t least = heap_.front().count;
  erase(find(heap_.front().key));
  heap_.front() = {key, least + weight, least};
  // The key is not in the index yet; where it would be may have moved.
  at = home(key);
  while (index_[at] != 0) at = (at + 1) & (index_.size() - 1);
  index_[at] = 1;
  sink(0);
}

std::vector<Top::Entry> Top::largest(std::size_t n) const {
  std::vector<Entry> out = heap_;
  n = std::min(n, out.size());
  std::partial_sort(out.begin(), out.begin() + static_cast<std::ptrdiff_t>(n), out.end(),
                    [](const Entry& a, const Entry& b) {
                      if (a.count != b.count) return a.count > b.count;
                      return a.error < b.error;  // the surer one
                    });
  out.resize(n);
  return out;
}

void Top::halve() {
  // The order of the heap stays: half of less is not more.
  for (Entry& entry : heap_) {
    entry.count -= entry.count / 2;
    entry.error -= entry.error / 2;
  }
  total_ -= total_ / 2;
}

}  // namespace limiter
