// What lists and blocks cost, step by step: lists_bench LIST STATE_DIR [BLOCKS].
//
// LIST is read as a block list; STATE_DIR is a scratch folder. Each line is the median of the runs.
// With BLOCKS, that many single addresses are blocked first, and single blocks are timed after.
// SPDX-License-Identifier: GPL-2.0-or-later
#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <functional>
#include <random>
#include <string_view>
#include <vector>

#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include "fw/lists/lists.hpp"
#include "fw/store/store.hpp"

namespace {

using Clock = std::chrono::steady_clock;

double timed_ms(const std::function<void()>& work) {
  const auto begin = Clock::now();
  work();
  return std::chrono::duration<double, std::milli>(Clock::now() - begin).count();
}

void print(std::string_view what, std::vector<double> ms) {
  std::sort(ms.begin(), ms.end());
  ::rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  fmt::print("{:48} median {:9.3f} ms, worst {:9.3f} ms; peak {:6} KiB\n", what, ms[ms.size() / 2],
             ms.back(), usage.ru_maxrss);
}

template <class T>
T must(fw::Result<T> result) {
  if (result) return std::move(*result);
  fmt::print(stderr, "{}\n", to_string(result.error()));
  std::exit(1);
}

void must(const fw::Result<void>& result) {
  if (result) return;
  fmt::print(stderr, "{}\n", to_string(result.error()));
  std::exit(1);
}

void bench_lists(const std::string& list, const std::string& state_dir) {
  constexpr int kRuns = 7;
  std::vector<double> read, first, save, again, changed, compare, save_again;
  for (int i = 0; i < kRuns; ++i) read.push_back(timed_ms([&] { must(fw::read_list(list)); }));
  print("read_list", read);

  const std::string copy = state_dir + "/list.txt";
  fw::Policy policy;
  policy.lists.push_back({"bench", copy, fw::ListAction::block, {}});
  for (int i = 0; i < kRuns; ++i) {
    std::filesystem::remove_all(state_dir + "/lists");
    std::filesystem::copy_file(list, copy, std::filesystem::copy_options::overwrite_existing);
    ::usleep(10'000);  // as long as a new file's stamp is not yet trusted
    fw::Digest before;
    {
      fw::Lists lists(state_dir);
      first.push_back(timed_ms([&] { before = lists.resolve(policy).block; }));
      save.push_back(timed_ms([&] { must(lists.save()); }));
    }
    again.push_back(timed_ms([&] {
      fw::Lists lists(state_dir);
      lists.resolve(policy);
      must(lists.save());
    }));
    std::ofstream(copy, std::ios::app) << fmt::format("198.51.100.{}\n", i + 1);
    ::usleep(10'000);
    fw::Lists lists(state_dir);
    fw::EffectiveLists effective;
    changed.push_back(timed_ms([&] { effective = lists.resolve(policy); }));
    compare.push_back(timed_ms(
        [&] { compare_spans(must(lists.content(before)), must(lists.content(effective.block))); }));
    save_again.push_back(timed_ms([&] { must(lists.save()); }));
  }
  print("resolve, first time", first);
  print("save, first time", save);
  print("open, resolve, save: nothing changed", again);
  print("resolve, one line changed", changed);
  print("load and compare old and new content", compare);
  print("save, one line changed", save_again);
}

void bench_blocks(const std::string& state_dir, std::size_t count) {
  const fw::WallTime now{std::chrono::sys_days{std::chrono::year{2030} / 1 / 1}};
  std::mt19937 random(1);
  const auto block = [&](std::uint32_t first, std::uint32_t hosts) {
    return fw::Block{{fw::Family::ipv4, first & ~hosts, first | hosts},
                     now + std::chrono::hours(1),
                     "bench",
                     "admin",
                     now};
  };
  std::filesystem::remove(state_dir + "/state.db");
  std::filesystem::remove(state_dir + "/state.db-wal");
  std::vector<fw::Block> many;
  for (std::size_t i = 0; i < count; ++i)
    many.push_back(block(static_cast<std::uint32_t>(random()), 0));
  fw::Store store = must(fw::Store::open(state_dir));
  print(fmt::format("block {} addresses at once", count),
        {timed_ms([&] { must(store.block(many, now)); })});
  for (const std::uint32_t hosts : {0u, 255u}) {
    std::vector<double> one, one_open;
    for (int i = 0; i < 200; ++i) {
      const auto add = block(static_cast<std::uint32_t>(random()), hosts);
      one.push_back(timed_ms([&] { must(store.block({add}, now)); }));
    }
    for (int i = 0; i < 50; ++i) {
      const auto add = block(static_cast<std::uint32_t>(random()), hosts);
      one_open.push_back(
          timed_ms([&] { must(must(fw::Store::open(state_dir)).block({add}, now)); }));
    }
    print(hosts == 0 ? "block one address" : "block one network", one);
    print("the same, opening the store first", one_open);
  }
  std::vector<double> generation;
  for (int i = 0; i < 50; ++i)
    generation.push_back(timed_ms([&] { must(must(fw::Store::open(state_dir)).generation()); }));
  print("open the store and ask its generation", generation);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    fmt::print(stderr, "usage: lists_bench LIST STATE_DIR [BLOCKS]\n");
    return 2;
  }
  std::filesystem::create_directories(argv[2]);
  bench_lists(argv[1], argv[2]);
  std::size_t blocks = 0;
  const std::string_view number = argc > 3 ? argv[3] : "0";
  std::from_chars(number.begin(), number.end(), blocks);
  if (blocks > 0) bench_blocks(argv[2], blocks);
}
