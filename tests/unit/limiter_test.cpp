// The limiter against exact logs of what was admitted.
// SPDX-License-Identifier: GPL-2.0-or-later
#include <algorithm>
#include <array>
#include <atomic>
#include <cmath>
#include <cstdint>
#include <deque>
#include <map>
#include <random>
#include <set>
#include <thread>
#include <unordered_map>
#include <vector>

#include <gtest/gtest.h>

#include "limiter/events.hpp"
#include "limiter/gcra.hpp"
#include "limiter/hash.hpp"
#include "limiter/table.hpp"
#include "limiter/top.hpp"
#include "limiter/window.hpp"

namespace limiter {
namespace {

using namespace std::chrono_literals;

constexpr Ticks kSecond = to_ticks(1s);
constexpr Ticks kStart = 1000 * kSecond;

static_assert(Quota::of(5, 10s, 5) == Quota{2 * kSecond, 8 * kSecond});
static_assert(gcra(0, Quota::of(1, 1s, 1), kStart) == Step{kStart + kSecond, {}});
static_assert(gcra(kStart + kSecond, Quota::of(1, 1s, 1), kStart).verdict.retry_after() == 1s);
static_assert(gcra(kStart + kSecond, Quota::of(1, 1s, 2), kStart).verdict.admitted());

/// Times at which somebody asks: bursts, pauses, and steps that are just a little too short or
/// long.
std::vector<Ticks> arrivals(std::mt19937_64& random, Ticks interval, std::size_t count) {
  std::vector<Ticks> out;
  Ticks now = kStart + random() % kSecond;
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint64_t kind = random() % 8;
    if (kind < 3) now += random() % 3;
    if (kind == 3) now += interval - 1 + random() % 3;
    if (kind > 3) now += random() % (interval * 3 + 1);
    if (random() % 64 == 0) now += random() % (interval * 64 + 1);
    out.push_back(now);
  }
  return out;
}

TEST(Gcra, NeverAdmitsMoreThanBurstAndRateAllow) {
  std::mt19937_64 random(1);
  for (int round = 0; round < 200; ++round) {
    const std::uint64_t burst = 1 + random() % 40;
    const Quota quota = Quota::of(1 + random() % 1000, 1s * (1 + random() % 60), burst);
    Ticks stored = 0;
    std::vector<Ticks> admitted;
    for (const Ticks now : arrivals(random, quota.interval, 400)) {
      const Step step = gcra(stored, quota, now);
      stored = step.stored;
      if (step.verdict.admitted()) admitted.push_back(now);
    }
    for (std::size_t i = 0; i < admitted.size(); ++i) {
      for (std::size_t j = i; j < admitted.size(); ++j) {
        ASSERT_LE(j - i + 1, burst + (admitted[j] - admitted[i]) / quota.interval)
            << "round " << round;
      }
    }
  }
}

TEST(Gcra, NeverRefusesWhoKeepsWithinTheRate) {
  std::mt19937_64 random(2);
  for (int round = 0; round < 200; ++round) {
    const std::uint64_t burst = 1 + random() % 40;
    const Quota quota = Quota::of(1 + random() % 1000, 1s * (1 + random() % 60), burst);
    // A bucket kept by hand, in ticks: full at first, and asked only when a token is there.
    std::uint64_t ticks = burst * quota.interval;
    Ticks stored = 0;
    Ticks before = kStart;
    for (const Ticks now : arrivals(random, quota.interval, 2000)) {
      ticks = std::min(ticks + now - before, burst * quota.interval);
      before = now;
      if (ticks < quota.interval) continue;
      ticks -= quota.interval;
      const Step step = gcra(stored, quota, now);
      ASSERT_TRUE(step.verdict.admitted()) << "round " << round;
      stored = step.stored;
    }
  }
}

TEST(Gcra, SaysWhenToComeBack) {
  const Quota quota = Quota::of(7, 3s, 4);
  Ticks stored = 0;
  for (int i = 0; i < 4; ++i) stored = gcra(stored, quota, kStart).stored;
  const Verdict verdict = gcra(stored, quota, kStart).verdict;
  EXPECT_FALSE(gcra(stored, quota, kStart + verdict.wait - 1).verdict.admitted());
  EXPECT_TRUE(gcra(stored, quota, kStart + verdict.wait).verdict.admitted());
}

TEST(Gcra, ABurstBeyondAllMeasureIsCut) {
  const Quota quota = Quota::of(1, 86'400s, 10'000'000);
  EXPECT_LE(quota.tolerance, kToleranceMax);
  EXPECT_GT(quota.tolerance, kToleranceMax / 2);
}

/// The same window as a list of times.
struct WindowLog {
  std::deque<Ticks> times;

  bool take(unsigned count, Ticks width, Ticks now) {
    while (!times.empty() && now - times.front() >= width) times.pop_front();
    if (times.size() >= count) return false;
    times.push_back(now);
    return true;
  }
};

template <class Window>
struct AnyWindow : testing::Test {};
using Windows = testing::Types<BasicWindow<1>, BasicWindow<2>>;
TYPED_TEST_SUITE(AnyWindow, Windows);

TYPED_TEST(AnyWindow, IsExact) {
  std::mt19937_64 random(3);
  for (int round = 0; round < 300; ++round) {
    const auto count = static_cast<unsigned>(1 + random() % TypeParam::kCountMax);
    const Ticks width = 1 + random() % (15 * kSecond);
    TypeParam window;
    WindowLog log;
    for (const Ticks now : arrivals(random, width / count + 1, 1000)) {
      const Verdict verdict = window.take(count, width, now);
      ASSERT_EQ(verdict.admitted(), log.take(count, width, now)) << "round " << round;
      if (verdict.admitted()) continue;
      ASSERT_EQ(verdict.wait, log.times.front() + width - now);
    }
  }
}

TYPED_TEST(AnyWindow, LongOnesNeverAdmitMoreAndGiveBackInTime) {
  std::mt19937_64 random(4);
  for (int round = 0; round < 100; ++round) {
    const auto count = static_cast<unsigned>(1 + random() % TypeParam::kCountMax);
    const Ticks width = 40 * kSecond + random() % (86'400 * kSecond);
    const Ticks late = width >> 25;  // two units
    TypeParam window;
    std::deque<Ticks> admitted;
    for (const Ticks now : arrivals(random, width / count, 1000)) {
      const bool yes = window.take(count, width, now).admitted();
      if (admitted.size() == count) {
        const Ticks age = now - admitted.front();
        ASSERT_FALSE(yes && age < width) << "round " << round;
        ASSERT_FALSE(!yes && age >= width + late) << "round " << round;
      } else {
        ASSERT_TRUE(yes) << "round " << round;
      }
      if (yes) admitted.push_back(now);
      if (admitted.size() > count) admitted.pop_front();
    }
  }
}

TEST(Hash, NeedsTheSecret) {
  const Secret one = Secret::random();
  const Secret other = Secret::random();
  EXPECT_NE(one.words, other.words);
  int same = 0;
  std::vector<int> changed(64);
  for (std::uint64_t key = 0; key < 4096; ++key) {
    same += (hash(one, key) & 0xfff) == (hash(other, key) & 0xfff);
    const std::uint64_t flips = hash(one, key) ^ hash(one, key ^ (std::uint64_t{1} << (key % 64)));
    for (int bit = 0; bit < 64; ++bit)
      changed[static_cast<std::size_t>(bit)] += static_cast<int>(flips >> bit & 1);
  }
  EXPECT_LT(same, 16) << "two secrets see the same neighbours";
  for (const int flips : changed) EXPECT_NEAR(flips, 2048, 300) << "a bit depends on too little";
}

TEST(Hash, EveryPartOfAKeyCounts) {
  const Secret secret = Secret::random();
  std::mt19937_64 random(5);
  std::set<std::uint64_t> seen;
  std::size_t made = 0;
  for (int i = 0; i < 1000; ++i) {
    const Key key{random(), random(), static_cast<std::uint32_t>(random()),
                  static_cast<std::uint32_t>(random())};
    for (int bit = 0; bit < 192; ++bit) {
      Key next = key;
      const std::uint64_t one = std::uint64_t{1} << (bit % 64);
      if (bit < 64) next.high ^= one;
      if (bit >= 64 && bit < 128) next.low ^= one;
      if (bit >= 128 && bit < 160) next.limit ^= static_cast<std::uint32_t>(one >> 0);
      if (bit >= 160) next.app ^= static_cast<std::uint32_t>(one >> 32);
      seen.insert(hash(secret, next));
      ++made;
    }
  }
  EXPECT_EQ(seen.size(), made);
}

TEST(Table, DecidesLikeOneStateForEachKey) {
  Table table = Table::make(1 << 16).value();
  const Secret secret = Secret::random();
  std::mt19937_64 random(6);
  const Quota quotas[] = {Quota::of(5, 10s, 5), Quota::of(50, 1s, 50), Quota::of(3, 1s, 20)};
  std::unordered_map<std::uint64_t, Ticks> exact;
  Ticks now = kStart;
  int different = 0;
  for (int i = 0; i < 100'000; ++i) {
    now += random() % 100'000;
    const std::uint64_t key = random() % 4000;
    const Quota& quota = quotas[key % 3];
    const Step step = gcra(exact[key], quota, now);
    exact[key] = step.stored;
    const Request request{hash(secret, key), &quota};
    const Verdict looked = table.look(request, now);
    ASSERT_EQ(looked, table.take(request, now));
    different += table.look(request, now) != gcra(step.stored, quota, now).verdict;
  }
  // Two of 4000 keys may share a bucket and 20 bits of their hashes.
  EXPECT_LT(different, 2000);
}

TEST(Table, ManyAtOnceAreDecidedLikeOneByOne) {
  Table one = Table::make(1 << 12).value();
  Table many = Table::make(1 << 12).value();
  std::mt19937_64 random(7);
  const Quota quota = Quota::of(5, 10s, 5);
  std::vector<Request> requests;
  for (int i = 0; i < 1000; ++i)
    requests.push_back({(random() % 500) * 0x9e3779b97f4a7c15u, &quota});
  std::vector<Verdict> verdicts(requests.size());
  many.take(requests, kStart, verdicts);
  for (std::size_t i = 0; i < requests.size(); ++i) {
    EXPECT_EQ(one.take(requests[i], kStart), verdicts[i]) << i;
  }
  EXPECT_EQ(one.count(kStart), many.count(kStart));
}

TEST(Table, ForgetsWhatHasEnded) {
  Table table = Table::make(64).value();
  const Quota quota = Quota::of(1, 1s, 1);
  for (std::uint64_t key = 1; key <= 8; ++key) {
    EXPECT_TRUE(table.take({key << 40 | key, &quota}, kStart).admitted());
  }
  EXPECT_EQ(table.count(kStart), 8u);
  EXPECT_EQ(table.count(kStart + kSecond), 0u);
}

TEST(Table, KeysInDebtOutliveAFloodOfKeysThatAreSeenOnce) {
  Table table = Table::make(1 << 10).value();
  const Secret secret = Secret::random();
  const Quota quota = Quota::of(10, 1s, 10);
  std::vector<Request> regulars;
  for (std::uint64_t key = 0; key < 200; ++key) regulars.push_back({hash(secret, key), &quota});
  for (int i = 0; i < 10; ++i) {
    for (const Request& request : regulars) table.take(request, kStart);
  }
  std::uint64_t stranger = 1'000'000;
  for (int i = 0; i < 50'000; ++i) table.take({hash(secret, ++stranger), &quota}, kStart);
  const auto forgotten = std::count_if(regulars.begin(), regulars.end(), [&](const Request& r) {
    return table.look(r, kStart).admitted();
  });
  EXPECT_LE(forgotten, 2);
}

TEST(Table, TimeWraps) {
  Table table = Table::make(64).value();
  const Quota quota = Quota::of(1, 10s, 1);
  const Ticks end = Ticks{1} << Table::kTimeBits;
  for (const Ticks around : {end, 2 * end, 5 * end / 2, 7 * end / 2}) {
    EXPECT_TRUE(table.take({42, &quota}, around - 5 * kSecond).admitted());
    EXPECT_FALSE(table.take({42, &quota}, around).admitted());
    EXPECT_TRUE(table.take({42, &quota}, around + 5 * kSecond).admitted());
  }
}

TEST(Table, SizesHaveBounds) {
  EXPECT_FALSE(Table::make(Table::kSlotsMax + 1).has_value());
  EXPECT_GE(Table::make(0).value().slots(), 8u);
  const Table table = Table::make(1'000'001).value();
  EXPECT_GE(table.slots(), 1'000'001u);
  EXPECT_LE(table.bytes(), 12u * 1'000'001);
}

TEST(Threads, OfOneTableShareEveryBudget) {
  Table table = Table::make(1 << 10).value();
  const Secret secret = Secret::random();
  const Quota quota = Quota::of(100, 1s, 100);
  constexpr std::uint64_t kKeys = 50;
  std::atomic<std::uint64_t> admitted{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 100; ++i) {
        for (std::uint64_t key = 0; key < kKeys; ++key) {
          const Request request{hash(secret, key), &quota};
          admitted += table.take(request, kStart).admitted();
          (void)table.look(request, kStart);
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(admitted, kKeys * 100);
}

TEST(Threads, ThatTakeSlotsFromOneAnotherGoOn) {
  Table table = Table::make(Table::kSlotsOfBucket).value();
  const Quota quota = Quota::of(1000, 1s, 1);
  std::atomic<std::uint64_t> asked{0};
  std::vector<std::thread> threads;
  for (std::uint64_t t = 0; t < 2; ++t) {
    threads.emplace_back([&, t] {
      std::mt19937_64 random(t);
      std::array<Request, 64> requests;
      std::array<Verdict, 64> verdicts;
      for (int round = 0; round < 100'000; ++round) {
        for (Request& request : requests) request = {random(), &quota};
        table.take(requests, kStart + static_cast<Ticks>(round) * 1000, verdicts);
        asked += requests.size();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(asked, 2u * 100'000 * 64);
}

TEST(Top, HoldsItsBound) {
  std::mt19937_64 random(8);
  for (const std::size_t counters : {1u, 10u, 100u, 1000u}) {
    Top top(counters);
    std::map<std::uint64_t, std::uint64_t> exact;
    for (int i = 0; i < 100'000; ++i) {
      // A few send much, many send little.
      const double u = std::generate_canonical<double, 53>(random);
      const auto key = static_cast<std::uint64_t>(1.0 / (u + 1e-5));
      const std::uint64_t weight = 1 + random() % 3;
      top.add({0, key, 0, 0}, weight);
      exact[key] += weight;
    }
    const auto entries = top.largest(counters);
    EXPECT_LE(entries.size(), counters);
    std::set<std::uint64_t> kept;
    for (const Top::Entry& entry : entries) {
      kept.insert(entry.key.low);
      EXPECT_GE(entry.count, exact[entry.key.low]);
      EXPECT_LE(entry.count - entry.error, exact[entry.key.low]);
      EXPECT_LE(entry.error, top.total() / counters);
    }
    EXPECT_EQ(kept.size(), entries.size()) << "a key has two counters";
    for (const auto& [key, count] : exact) {
      EXPECT_TRUE(count <= top.total() / counters || kept.contains(key)) << key;
    }
    EXPECT_TRUE(std::is_sorted(entries.begin(), entries.end(),
                               [](const auto& a, const auto& b) { return a.count > b.count; }));
  }
}

TEST(Top, HalvesThePast) {
  Top top(4);
  for (int i = 0; i < 8; ++i) top.add({0, 1, 0, 0});
  top.halve();
  EXPECT_EQ(top.largest(1).front().count, 4u);
  EXPECT_EQ(top.total(), 4u);
}

// ---- Events

TEST(Events, NoWindowHoldsMoreThanTheCountAndNobodyWithinItIsRefused) {
  std::mt19937_64 random(7);
  for (int round = 0; round < 200; ++round) {
    Events events = Events::make(64).value();
    const WindowQuota quota{1 + static_cast<unsigned>(random() % Events::kCountMax),
                            kSecond * (1 + random() % 60)};
    std::deque<Ticks> admitted;
    for (const Ticks now : arrivals(random, quota.width / quota.count, 400)) {
      const auto since = [&](Ticks late) {
        return std::ranges::count_if(admitted,
                                     [&](Ticks at) { return at + quota.width + late > now; });
      };
      const Verdict verdict = events.take(42, quota, now);
      if (verdict.admitted()) {
        ASSERT_LT(since(0), quota.count);
        admitted.push_back(now);
        if (admitted.size() > 2 * quota.count) admitted.pop_front();
        continue;
      }
      ASSERT_GE(since(16), quota.count);  // late by two microseconds at most
      EXPECT_LE(verdict.wait, quota.width + 16);
    }
  }
}

TEST(Events, WaitingAsLongAsItSaysIsEnoughAndNeeded) {
  Events events = Events::make(64).value();
  const WindowQuota quota{3, kSecond};
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(events.take(1, quota, kStart + i * 1000).admitted());
  const Ticks now = kStart + 5000;
  const Ticks wait = events.take(1, quota, now).wait;
  EXPECT_NEAR(static_cast<double>(wait), static_cast<double>(kSecond - 5000), 16);
  EXPECT_FALSE(events.take(1, quota, now + wait - 16).admitted());
  EXPECT_TRUE(events.take(1, quota, now + wait).admitted());
}

TEST(Events, KeysHaveBudgetsOfTheirOwn) {
  const Secret secret = Secret::random();
  Events events = Events::make(1 << 16).value();
  const WindowQuota quota{2, kSecond};
  for (std::uint64_t key = 0; key < 10'000; ++key) {
    const std::uint64_t hashed = hash(secret, key);
    EXPECT_TRUE(events.take(hashed, quota, kStart).admitted());
    EXPECT_TRUE(events.take(hashed, quota, kStart).admitted());
    EXPECT_FALSE(events.take(hashed, quota, kStart).admitted());
  }
}

TEST(Events, AFloodOfKeysDoesNotFreeWhoSpentTheBudget) {
  const Secret secret = Secret::random();
  Events events = Events::make(1 << 12).value();
  const WindowQuota quota{10, 60 * kSecond};
  const std::uint64_t brute = hash(secret, std::uint64_t{1} << 40);
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(events.take(brute, quota, kStart).admitted());
  for (std::uint64_t key = 0; key < 200'000; ++key) {
    events.take(hash(secret, key), quota, kStart + key);
  }
  EXPECT_FALSE(events.take(brute, quota, kStart + kSecond).admitted());
  EXPECT_EQ(events.sweep(kStart + kSecond), events.slots());
}

TEST(Events, TheLongestWindowAndManyDays) {
  Events events = Events::make(32).value();
  const WindowQuota quota{1, Events::kWidthMax};
  Ticks now = kStart;
  for (int day = 0; day < 40; ++day) {
    ASSERT_TRUE(events.take(5, quota, now).admitted()) << day;
    ASSERT_FALSE(events.take(5, quota, now + quota.width - 16).admitted()) << day;
    now += quota.width + 16;
    events.sweep(now);
  }
  EXPECT_EQ(events.sweep(now), 0u);
}

TEST(Events, AnyContentIsSafe) {
  std::mt19937_64 random(3);
  Pages pages = Pages::map(Events::bytes_of(32)).value();
  auto* const words = static_cast<std::uint64_t*>(pages.data());
  for (std::size_t i = 0; i < pages.size() / 8; ++i) words[i] = random();
  Events events = Events::in(std::move(pages));
  const WindowQuota quota{14, kSecond};
  for (std::uint64_t key = 0; key < 10'000; ++key) {
    EXPECT_LE(events.take(random(), quota, kStart + key).wait, Events::kWidthMax + 16);
  }
}

}  // namespace
}  // namespace limiter
