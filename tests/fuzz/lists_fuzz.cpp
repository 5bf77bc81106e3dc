// Address lists as they are published: whatever the bytes are, what is read is spans in order.
// SPDX-License-Identifier: GPL-2.0-or-later
#include <algorithm>
#include <cstdint>
#include <vector>

#include "fw/lists/lists.hpp"
#include "tests/fuzz/memory_file.hpp"

namespace {

template <class Span>
void expect_order(const std::vector<Span>& spans) {
  const auto wrong = [](const Span& a, const Span& b) { return b.first <= a.last; };
  if (std::ranges::adjacent_find(spans, wrong) != spans.end()) __builtin_trap();
  if (!std::ranges::all_of(spans, [](const Span& s) { return s.first <= s.last; }))
    __builtin_trap();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const MemoryFile file({data, size});
  const auto list = fw::read_list(file.path(), fw::special_space());
  if (!list) return 0;
  expect_order(list->set.v4);
  expect_order(list->set.v6);
  if (list->bad.size() > list->bad_count || list->left_out.size() > list->left_count)
    __builtin_trap();
  return 0;
}
