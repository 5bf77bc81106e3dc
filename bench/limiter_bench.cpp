// The limiter's table beside what a competent engineer writes in an afternoon: the same GCRA, keys,
// hash and batches over maps of Abseil and Boost.
// SPDX-License-Identifier: GPL-2.0-or-later
#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <mutex>
#include <random>
#include <thread>
#include <unordered_map>
#include <vector>

#include <absl/container/flat_hash_map.h>
#include <benchmark/benchmark.h>
#include <boost/unordered/unordered_flat_map.hpp>

#include "limiter/hash.hpp"
#include "limiter/table.hpp"
#include "limiter/window.hpp"

namespace {

using limiter::Quota;
using limiter::Request;
using limiter::Ticks;
using limiter::Verdict;

constexpr std::size_t kBatch = 256;
const Quota kQuota = Quota::of(50, std::chrono::seconds(1), 50);
const limiter::Secret kSecret = limiter::Secret::random();

Ticks now() { return limiter::to_ticks(std::chrono::steady_clock::now().time_since_epoch()); }

struct KeyHash {
  std::size_t operator()(std::uint64_t key) const { return limiter::hash(kSecret, key); }
};

/// A power of two of keys, drawn evenly from `distinct` ones.
std::vector<std::uint64_t> uniform(std::size_t distinct, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  std::vector<std::uint64_t> keys(std::size_t{1} << 22);
  for (auto& key : keys) key = random() % distinct;
  return keys;
}

struct Ours {
  explicit Ours(std::size_t keys) : table(limiter::Table::make(keys * 3 / 2).value()) {}

  void take(const std::uint64_t* keys, Ticks time, Verdict* verdicts) {
    Request requests[kBatch];
    for (std::size_t i = 0; i < kBatch; ++i) {
      requests[i] = {limiter::hash(kSecret, keys[i]), &kQuota};
    }
    table.take(requests, time, {verdicts, kBatch});
  }

  limiter::Table table;
};

template <class Map>
struct OverMap {
  explicit OverMap(std::size_t keys) { map.reserve(keys); }

  void take(const std::uint64_t* keys, Ticks time, Verdict* verdicts) {
    for (std::size_t i = 0; i < kBatch; ++i) {
      Ticks& stored = map[keys[i]];
      const limiter::Step step = limiter::gcra(stored, kQuota, time);
      stored = step.stored;
      verdicts[i] = step.verdict;
    }
  }

  Map map;
};

using Absl = OverMap<absl::flat_hash_map<std::uint64_t, Ticks, KeyHash>>;
using BoostFlat = OverMap<boost::unordered_flat_map<std::uint64_t, Ticks, KeyHash>>;
using Std = OverMap<std::unordered_map<std::uint64_t, Ticks, KeyHash>>;

/// The same, and one lock for each of 64 parts.
struct Sharded {
  explicit Sharded(std::size_t keys) {
    for (auto& shard : shards) shard.map.reserve(keys / 48);
  }

  void take(const std::uint64_t* keys, Ticks time, Verdict* verdicts) {
    for (std::size_t i = 0; i < kBatch; ++i) {
      Shard& shard = shards[limiter::hash(kSecret, keys[i]) >> 58];
      const std::lock_guard lock(shard.mutex);
      Ticks& stored = shard.map[keys[i]];
      const limiter::Step step = limiter::gcra(stored, kQuota, time);
      stored = step.stored;
      verdicts[i] = step.verdict;
    }
  }

  struct alignas(64) Shard {
    std::mutex mutex;
    boost::unordered_flat_map<std::uint64_t, Ticks, KeyHash> map;
  };
  Shard shards[64];
};

template <class Limiter>
void uniform_keys(benchmark::State& state) {
  const auto distinct = static_cast<std::size_t>(state.range(0));
  static std::size_t made_for;
  static std::unique_ptr<Limiter> limiter;
  static std::vector<std::uint64_t> keys;
  if (state.thread_index() == 0) {
    if (made_for != distinct) {
      limiter = std::make_unique<Limiter>(distinct);
      keys = uniform(distinct, 1);
      made_for = distinct;
      Verdict verdicts[kBatch];
      for (std::uint64_t key = 0; key + kBatch <= distinct; key += kBatch) {  // all are known
        std::uint64_t batch[kBatch];
        for (std::size_t i = 0; i < kBatch; ++i) batch[i] = key + i;
        limiter->take(batch, now(), verdicts);
      }
    }
  }
  std::size_t at = 0;
  bool first = true;
  Verdict verdicts[kBatch];
  for (auto _ : state) {
    if (first) {  // behind the barrier that all threads wait at
      at = keys.size() / 2 * static_cast<std::size_t>(state.thread_index());
      first = false;
    }
    limiter->take(keys.data() + at, now(), verdicts);
    benchmark::DoNotOptimize(verdicts);
    at = (at + kBatch) & (keys.size() - 1);
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(kBatch));
  state.counters["ns/op"] =
      benchmark::Counter(static_cast<double>(state.iterations()) * kBatch / 1e9,
                         benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}

/// Nine of ten keys are never seen again; a tenth are regular clients, some of them over the limit.
struct Attack {
  static constexpr std::uint64_t kRegulars = 100'000;
  std::vector<std::uint64_t> keys;

  Attack() {
    std::mt19937_64 random(2);
    std::uint64_t stranger = std::uint64_t{1} << 40;
    keys.resize(std::size_t{1} << 22);
    for (auto& key : keys) {
      if (random() % 10 != 0) {
        key = ++stranger;
      } else {
        // Squared, so that some ask much more often than others.
        const double u = std::generate_canonical<double, 53>(random);
        key = static_cast<std::uint64_t>(u * u * u * u * kRegulars);
      }
    }
  }
};

const Attack& attack() {
  static const Attack one;
  return one;
}

template <class Limiter>
void under_attack(benchmark::State& state) {
  const auto& keys = attack().keys;
  auto limiter = std::make_unique<Limiter>((std::size_t{1} << 20) * 2 / 3);
  std::size_t at = 0;
  Verdict verdicts[kBatch];
  for (auto _ : state) {
    limiter->take(keys.data() + at, now(), verdicts);
    benchmark::DoNotOptimize(verdicts);
    at = (at + kBatch) & (keys.size() - 1);
  }
  state.counters["ns/op"] =
      benchmark::Counter(static_cast<double>(state.iterations()) * kBatch / 1e9,
                         benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}

/// How often the table and an exact GCRA disagree about a regular client, at 10 million events/s.
void wrong_answers(benchmark::State& state) {
  const auto& keys = attack().keys;
  std::uint64_t asked = 0;
  std::uint64_t wrong = 0;
  std::uint64_t refused = 0;
  for (auto _ : state) {
    limiter::Table table = limiter::Table::make(std::size_t{1} << 20).value();
    std::vector<Ticks> exact(Attack::kRegulars);
    Ticks time = now();
    for (int round = 0; round < 4; ++round) {
      for (std::size_t i = 0; i < keys.size(); ++i) {
        if (i % 5 == 0) time += 4;  // 500 ns
        const Verdict verdict = table.take({limiter::hash(kSecret, keys[i]), &kQuota}, time);
        if (keys[i] >= exact.size()) continue;
        const limiter::Step step = limiter::gcra(exact[keys[i]], kQuota, time);
        exact[keys[i]] = step.stored;
        ++asked;
        wrong += verdict.admitted() != step.verdict.admitted();
        refused += !step.verdict.admitted();
      }
    }
  }
  state.counters["wrong_percent"] = 100.0 * static_cast<double>(wrong) / static_cast<double>(asked);
  state.counters["refused_percent"] =
      100.0 * static_cast<double>(refused) / static_cast<double>(asked);
}

/// The slowest of all chunks of 65,536 operations against the median one, while a million keys come
/// for the first time.
template <class Limiter>
void worst_chunk(benchmark::State& state) {
  std::vector<double> chunks;
  std::vector<std::uint64_t> keys(65'536);
  for (auto _ : state) {
    auto limiter = std::make_unique<Limiter>(0 + (std::is_same_v<Limiter, Ours> ? 2'000'000 : 0));
    std::uint64_t key = 0;
    Verdict verdicts[kBatch];
    for (int chunk = 0; chunk < 30; ++chunk) {
      for (auto& one : keys) one = ++key;
      const auto begin = std::chrono::steady_clock::now();
      for (std::size_t at = 0; at < keys.size(); at += kBatch) {
        limiter->take(keys.data() + at, now(), verdicts);
      }
      const std::chrono::duration<double, std::micro> took =
          std::chrono::steady_clock::now() - begin;
      chunks.push_back(took.count());
    }
  }
  std::sort(chunks.begin(), chunks.end());
  state.counters["median_us"] = chunks[chunks.size() / 2];
  state.counters["worst_us"] = chunks.back();
  state.counters["ratio"] = chunks.back() / chunks[chunks.size() / 2];
}

void bytes_a_key(benchmark::State& state) {
  constexpr std::size_t kKeys = 1'000'000;
  std::size_t held = 0;
  std::size_t bytes = 0;
  for (auto _ : state) {
    limiter::Table table = limiter::Table::make(kKeys).value();
    const Quota slow = Quota::of(1, std::chrono::seconds(60), 1);
    const Ticks time = now();
    for (std::uint64_t key = 0; key < 2 * kKeys; ++key) {
      (void)table.take({limiter::hash(kSecret, key), &slow}, time);
    }
    held = table.count(time);
    bytes = table.bytes();
  }
  state.counters["bytes/key"] = static_cast<double>(bytes) / static_cast<double>(held);
}

void windows(benchmark::State& state) {
  std::vector<limiter::Window> all(1'000'000);
  const auto keys = uniform(all.size(), 3);
  std::size_t at = 0;
  const Ticks width = limiter::to_ticks(std::chrono::seconds(10));
  for (auto _ : state) {
    const Ticks time = now();
    for (std::size_t i = 0; i < kBatch; ++i) {
      if (i + 40 < kBatch) __builtin_prefetch(&all[keys[at + i + 40]], 1);
      benchmark::DoNotOptimize(all[keys[at + i]].take(5, width, time));
    }
    at = (at + kBatch) & (keys.size() - 1);
  }
  state.counters["ns/op"] =
      benchmark::Counter(static_cast<double>(state.iterations()) * kBatch / 1e9,
                         benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}

BENCHMARK(uniform_keys<Ours>)->Arg(1'000'000)->Arg(10'000'000);
BENCHMARK(uniform_keys<BoostFlat>)->Arg(1'000'000)->Arg(10'000'000);
BENCHMARK(uniform_keys<Absl>)->Arg(1'000'000)->Arg(10'000'000);
BENCHMARK(uniform_keys<Std>)->Arg(1'000'000);
BENCHMARK(uniform_keys<Ours>)->Arg(1'000'000)->Threads(2)->UseRealTime();
BENCHMARK(uniform_keys<Sharded>)->Arg(1'000'000)->Threads(2)->UseRealTime();
BENCHMARK(under_attack<Ours>);
BENCHMARK(under_attack<BoostFlat>)->Iterations(16'384);
BENCHMARK(under_attack<Absl>)->Iterations(16'384);
BENCHMARK(wrong_answers)->Iterations(1)->Unit(benchmark::kMillisecond);
BENCHMARK(worst_chunk<Ours>)->Iterations(3)->Unit(benchmark::kMillisecond);
BENCHMARK(worst_chunk<BoostFlat>)->Iterations(3)->Unit(benchmark::kMillisecond);
BENCHMARK(worst_chunk<Absl>)->Iterations(3)->Unit(benchmark::kMillisecond);
BENCHMARK(bytes_a_key)->Iterations(1)->Unit(benchmark::kMillisecond);
BENCHMARK(windows);

}  // namespace

BENCHMARK_MAIN();
