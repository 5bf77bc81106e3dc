// Sets of addresses against an oracle that looks at each address by itself.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/lists/address_set.hpp"

#include <algorithm>
#include <bitset>
#include <random>
#include <vector>

#include <gtest/gtest.h>

namespace fw {
namespace {

// The oracle sees 256 addresses at the bottom of each family and 256 at its top, where sums wrap.
constexpr std::size_t kWindow = 256;
using Members = std::bitset<4 * kWindow>;

U128 address_at(Family family, std::size_t i) {
  return i < kWindow ? U128{i} : address_max(family) - (2 * kWindow - 1 - i);
}

template <class U>
void add_members(const std::vector<Span<U>>& spans, Family family, std::size_t offset,
                 Members& members) {
  for (std::size_t i = 0; i < 2 * kWindow; ++i) {
    const U128 address = address_at(family, i);
    for (const auto& span : spans)
      if (span.first <= address && address <= span.last) members.set(offset + i);
  }
}

Members members_of(const AddressSet& set) {
  Members members;
  add_members(set.v4, Family::ipv4, 0, members);
  add_members(set.v6, Family::ipv6, 2 * kWindow, members);
  return members;
}

template <class U>
bool normal(const std::vector<Span<U>>& spans) {
  for (std::size_t i = 0; i < spans.size(); ++i) {
    if (spans[i].first > spans[i].last) return false;
    if (i > 0 && (spans[i].first <= spans[i - 1].last || spans[i].first - 1 == spans[i - 1].last))
      return false;
  }
  return true;
}

bool normal(const AddressSet& set) { return normal(set.v4) && normal(set.v6); }

template <class U>
Span<U> random_span(std::mt19937& random, Family family) {
  const std::size_t begin = random() % (2 * kWindow);
  const std::size_t length = random() % 4 == 0 ? random() % 60 : random() % 3;
  std::size_t end = std::min(begin + length, 2 * kWindow - 1);
  if (begin < kWindow) end = std::min(end, kWindow - 1);  // the oracle does not see the middle
  return {static_cast<U>(address_at(family, begin)), static_cast<U>(address_at(family, end))};
}

AddressSet random_set(std::mt19937& random) {
  AddressSet set;
  for (std::size_t n = random() % 40; n > 0; --n)
    set.v4.push_back(random_span<std::uint32_t>(random, Family::ipv4));
  for (std::size_t n = random() % 40; n > 0; --n)
    set.v6.push_back(random_span<U128>(random, Family::ipv6));
  return set;
}

AddressSet set4(std::vector<Span4> spans) { return {std::move(spans), {}}; }

TEST(AddressSet, MergesOverlappingDuplicateAndAdjacentSpans) {
  AddressSet set = set4({{30, 40}, {10, 12}, {10, 10}, {13, 15}, {20, 20}, {35, 50}, {20, 20}});
  normalize(set);
  EXPECT_EQ(set, set4({{10, 15}, {20, 20}, {30, 50}}));
}

TEST(AddressSet, KeepsTheEndsOfTheAddressSpace) {
  AddressSet set{{{0xffffffff, 0xffffffff}, {0, 0}, {1, 0xfffffffe}},
                 {{~U128{0}, ~U128{0}}, {0, 0}, {~U128{0} - 1, ~U128{0} - 1}}};
  normalize(set);
  EXPECT_EQ(set, (AddressSet{{{0, 0xffffffff}}, {{0, 0}, {~U128{0} - 1, ~U128{0}}}}));
}

TEST(AddressSet, AlgebraIsThatOfTheAddresses) {
  std::mt19937 random(20240501);
  for (int round = 0; round < 500; ++round) {
    AddressSet a = random_set(random);
    AddressSet b = random_set(random);
    const Members in_a = members_of(a);
    const Members in_b = members_of(b);
    normalize(a);
    normalize(b);
    const AddressSet sum = unite(a, b);
    const AddressSet rest = subtract(a, b);
    ASSERT_TRUE(normal(a) && normal(b) && normal(sum) && normal(rest));
    ASSERT_EQ(members_of(a), in_a);
    ASSERT_EQ(members_of(sum), in_a | in_b);
    ASSERT_EQ(members_of(rest), in_a & ~in_b);
    ASSERT_EQ(disjoint(a, b), (in_a & in_b).none());
    ASSERT_TRUE(disjoint(rest, b));

    const auto span = random_span<std::uint32_t>(random, Family::ipv4);
    const auto only = members_of(set4({span}));
    ASSERT_EQ(contains(a, {Family::ipv4, span.first, span.last}), (only & ~in_a).none());
  }
}

TEST(AddressSet, SortsManySpansLikeTheStandardSort) {
  std::mt19937 random(7);
  for (const std::size_t count : {2047u, 2048u, 60'000u}) {
    std::vector<Span4> spans;
    for (std::size_t i = 0; i < count; ++i) {
      const auto first = static_cast<std::uint32_t>(random());
      spans.push_back({first, first | static_cast<std::uint32_t>(random() % 65536)});
    }
    AddressSet set = set4(spans);
    normalize(set);
    ASSERT_TRUE(normal(set));

    std::sort(spans.begin(), spans.end(), [](const Span4& a, const Span4& b) {
      return std::pair(a.first, a.last) < std::pair(b.first, b.last);
    });
    std::vector<Span4> merged;
    for (const Span4& span : spans) {
      if (!merged.empty() && span.first <= std::uint64_t{merged.back().last} + 1) {
        merged.back().last = std::max(merged.back().last, span.last);
      } else {
        merged.push_back(span);
      }
    }
    ASSERT_EQ(set.v4, merged);
  }
}

TEST(AddressSet, DeltaLeadsFromBeforeToAfter) {
  std::mt19937 random(99);
  for (int round = 0; round < 200; ++round) {
    AddressSet before = random_set(random);
    AddressSet after = random() % 8 == 0 ? before : random_set(random);
    normalize(before);
    normalize(after);
    const SpanDelta delta = compare_spans(before, after);
    ASSERT_EQ(unite(subtract(before, delta.removed), delta.added), after);
    for (const Span4& span : delta.removed.v4)
      ASSERT_EQ(std::count(after.v4.begin(), after.v4.end(), span), 0);
    for (const Span4& span : delta.added.v4)
      ASSERT_EQ(std::count(before.v4.begin(), before.v4.end(), span), 0);
  }
}

TEST(AddressSet, DeltaIsOfSpansNotOfAddresses) {
  const SpanDelta delta = compare_spans(set4({{1, 9}, {20, 20}}), set4({{1, 8}, {20, 20}}));
  EXPECT_EQ(delta.removed, set4({{1, 9}}));
  EXPECT_EQ(delta.added, set4({{1, 8}}));
}

TEST(Digest, IsZeroForTheEmptySetOnly) {
  EXPECT_TRUE(digest({}).zero());
  EXPECT_FALSE(digest(set4({{0, 0}})).zero());
}

TEST(Digest, KeepsFamiliesApart) {
  const AddressSet six{{}, {{U128{5} << 32 | 4, U128{7} << 32 | 6}}};
  const AddressSet four = set4({{4, 5}, {0, 0}, {6, 7}, {0, 0}});  // the same 32 bytes
  EXPECT_NE(digest(six), digest(four));
}

TEST(Digest, IsTheSameInEveryRelease) {
  // Names of files that an earlier release wrote.
  EXPECT_EQ(to_string(digest({{{0x01020304, 0x01020304}, {0x0a000000, 0x0affffff}},
                              {{U128{0x20010db8} << 96, (U128{0x20010db8} << 96) + 0xffff}}})),
            "6a40796ce06fc34cafc01be7a3ebe15d");
}

TEST(Digest, TextRoundTrips) {
  const Digest some{0x0123456789abcdef, 42};
  EXPECT_EQ(to_string(some), "0123456789abcdef000000000000002a");
  EXPECT_EQ(parse_digest(to_string(some)).value(), some);
  for (const char* wrong :
       {"", "0123", "0123456789abcdef000000000000002g", "-123456789abcdef000000000000002a",
        "0123456789abcdef000000000000002a0"}) {
    EXPECT_FALSE(parse_digest(wrong)) << wrong;
  }
}

}  // namespace
}  // namespace fw
