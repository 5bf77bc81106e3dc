// Sorting, merging, comparing and naming large sets of addresses.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/lists/address_set.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <iterator>
#include <utility>

#define XXH_INLINE_ALL
#include <fmt/format.h>
#include <xxhash.h>

namespace fw {
namespace {

// A digest is taken over the spans as they lie in memory, and the files of set_file.hpp are these
// bytes: first and last of each span, little endian, nothing between.
static_assert(std::endian::native == std::endian::little);
static_assert(sizeof(Span4) == 8 && sizeof(Span6) == 32);

// Below this, clearing the histograms costs more than std::sort.
constexpr std::size_t kRadixSortMin = 2048;

/// Radix sort by first address, least significant digits first, with one spare buffer.
void radix_sort(std::vector<Span4>& spans) {
  constexpr unsigned kDigitBits = 11;
  constexpr unsigned kDigits = 3;
  constexpr std::uint32_t kDigitMask = (1u << kDigitBits) - 1;
  const auto digit = [](const Span4& span, unsigned i) {
    return span.first >> (i * kDigitBits) & kDigitMask;
  };
  std::array<std::array<std::size_t, kDigitMask + 1>, kDigits> next{};
  for (const Span4& span : spans) {
    for (unsigned i = 0; i < kDigits; ++i) ++next[i][digit(span, i)];
  }
  std::vector<Span4> spare(spans.size());
  for (unsigned i = 0; i < kDigits; ++i) {
    std::size_t begin = 0;
    for (std::size_t& n : next[i]) begin += std::exchange(n, begin);
    for (const Span4& span : spans) spare[next[i][digit(span, i)]++] = span;
    spans.swap(spare);
  }
}

template <class U>
void sort_spans(std::vector<Span<U>>& spans) {
  const auto by_first = [](const Span<U>& a, const Span<U>& b) { return a.first < b.first; };
  if (std::is_sorted(spans.begin(), spans.end(), by_first)) return;
  if constexpr (sizeof(U) == 4) {
    if (spans.size() >= kRadixSortMin) return radix_sort(spans);
  }
  std::sort(spans.begin(), spans.end(), by_first);
}

/// Merges what overlaps or touches, in spans sorted by first address.
template <class U>
void coalesce(std::vector<Span<U>>& spans) {
  if (spans.empty()) return;
  auto out = spans.begin();
  for (auto in = std::next(out); in != spans.end(); ++in) {
    if (in->first <= out->last || in->first - 1 == out->last) {
      out->last = std::max(out->last, in->last);
    } else {
      *++out = *in;
    }
  }
  spans.erase(std::next(out), spans.end());
  if (spans.size() < spans.capacity() / 2) spans.shrink_to_fit();
}

template <class U>
std::vector<Span<U>> unite(const std::vector<Span<U>>& a, const std::vector<Span<U>>& b) {
  if (a.empty()) return b;
  if (b.empty()) return a;
  std::vector<Span<U>> out;
  out.reserve(a.size() + b.size());
  std::merge(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(out),
             [](const Span<U>& x, const Span<U>& y) { return x.first < y.first; });
  coalesce(out);
  return out;
}

template <class U>
std::vector<Span<U>> subtract(const std::vector<Span<U>>& from, const std::vector<Span<U>>& what) {
  std::vector<Span<U>> out;
  out.reserve(from.size() + what.size());
  auto cut = what.begin();
  for (Span<U> rest : from) {
    while (cut != what.end() && cut->last < rest.first) ++cut;
    bool left = true;
    // A cut that reaches beyond this span stays current: it can reach the next span too.
    while (cut != what.end() && cut->first <= rest.last) {
      if (cut->first > rest.first) out.push_back({rest.first, cut->first - 1});
      left = cut->last < rest.last;
      if (!left) break;
      rest.first = cut->last + 1;
      ++cut;
    }
    if (left) out.push_back(rest);
  }
  return out;
}

/// The span that holds all of `wanted`; null: none.
template <class U>
const Span<U>* span_with(const std::vector<Span<U>>& spans, const Span<U>& wanted) {
  const auto after =
      std::upper_bound(spans.begin(), spans.end(), wanted.first,
                       [](const U& first, const Span<U>& span) { return first < span.first; });
  if (after == spans.begin() || std::prev(after)->last < wanted.last) return nullptr;
  return &*std::prev(after);
}

/// Looks each span of the smaller set up in the larger one.
template <class U>
bool disjoint(const std::vector<Span<U>>& a, const std::vector<Span<U>>& b) {
  if (a.size() > b.size()) return disjoint(b, a);
  auto at = b.begin();
  for (const Span<U>& span : a) {
    at = std::lower_bound(at, b.end(), span.first,
                          [](const Span<U>& x, const U& first) { return x.last < first; });
    if (at == b.end()) return true;
    if (at->first <= span.last) return false;
  }
  return true;
}

template <class U>
void compare_spans(const std::vector<Span<U>>& before, const std::vector<Span<U>>& after,
                   std::vector<Span<U>>& removed, std::vector<Span<U>>& added) {
  auto b = before.begin();
  auto a = after.begin();
  while (b != before.end() && a != after.end()) {
    if (*b == *a) {
      ++b;
      ++a;
    } else if (b->first < a->first || (b->first == a->first && b->last < a->last)) {
      removed.push_back(*b++);
    } else {
      added.push_back(*a++);
    }
  }
  removed.insert(removed.end(), b, before.end());
  added.insert(added.end(), a, after.end());
}

}  // namespace

void append(AddressSet& set, const IpRange& range) {
  if (range.family == Family::ipv6) {
    set.v6.push_back({range.first, range.last});
  } else {
    set.v4.push_back(
        {static_cast<std::uint32_t>(range.first), static_cast<std::uint32_t>(range.last)});
  }
}

void normalize(AddressSet& set) {
  sort_spans(set.v4);
  coalesce(set.v4);
  sort_spans(set.v6);
  coalesce(set.v6);
}

AddressSet unite(const AddressSet& a, const AddressSet& b) {
  return {unite(a.v4, b.v4), unite(a.v6, b.v6)};
}

AddressSet subtract(const AddressSet& a, const AddressSet& b) {
  return {subtract(a.v4, b.v4), subtract(a.v6, b.v6)};
}

static std::optional<IpRange> span_with(const AddressSet& set, const IpRange& range) {
  const auto as_range = [&range](const auto* span) -> std::optional<IpRange> {
    if (span == nullptr) return {};
    return IpRange{range.family, span->first, span->last};
  };
  if (range.family == Family::ipv6)
    return as_range(span_with(set.v6, Span6{range.first, range.last}));
  return as_range(span_with(set.v4, Span4{static_cast<std::uint32_t>(range.first),
                                          static_cast<std::uint32_t>(range.last)}));
}

std::optional<IpRange> span_with(const AddressSet& set, Ip ip) {
  return span_with(set, IpRange{ip.family, ip.bits, ip.bits});
}

bool contains(const AddressSet& set, const IpRange& range) {
  return span_with(set, range).has_value();
}

bool disjoint(const AddressSet& a, const AddressSet& b) {
  return disjoint(a.v4, b.v4) && disjoint(a.v6, b.v6);
}

bool disjoint(const AddressSet& set, const IpRange& range) {
  AddressSet one;
  append(one, range);
  return disjoint(set, one);
}

SpanDelta compare_spans(const AddressSet& before, const AddressSet& after) {
  SpanDelta delta;
  compare_spans(before.v4, after.v4, delta.removed.v4, delta.added.v4);
  compare_spans(before.v6, after.v6, delta.removed.v6, delta.added.v6);
  return delta;
}

Digest digest(const AddressSet& set) {
  if (set.empty()) return {};
  // The counts in front keep the families apart: 32 bytes can be four spans of one or one of the
  // other.
  const std::array<std::uint64_t, 2> counts{set.v4.size(), set.v6.size()};
  XXH3_state_t state;
  XXH3_128bits_reset(&state);
  XXH3_128bits_update(&state, counts.data(), sizeof counts);
  XXH3_128bits_update(&state, set.v4.data(), set.v4.size() * sizeof(Span4));
  XXH3_128bits_update(&state, set.v6.data(), set.v6.size() * sizeof(Span6));
  const XXH128_hash_t hash = XXH3_128bits_digest(&state);
  return {hash.high64, hash.low64};
}

Digest digest_bytes(const std::vector<std::span<const std::byte>>& parts) {
  XXH3_state_t state;
  XXH3_128bits_reset(&state);
  for (const auto& part : parts) XXH3_128bits_update(&state, part.data(), part.size());
  const XXH128_hash_t hash = XXH3_128bits_digest(&state);
  return {hash.high64, hash.low64};
}

std::string to_string(const Digest& digest) {
  return fmt::format("{:016x}{:016x}", digest.high, digest.low);
}

Result<Digest> parse_digest(std::string_view text) {
  Digest digest;
  const auto half = [](std::string_view digits, std::uint64_t& number) {
    const char* end = digits.data() + digits.size();
    const auto [stop, error] = std::from_chars(digits.data(), end, number, 16);
    return error == std::errc{} && stop == end;
  };
  if (text.size() != 32 || !half(text.substr(0, 16), digest.high) ||
      !half(text.substr(16), digest.low)) {
    return fail(ErrorCode::usage, "a digest must be 32 hexadecimal digits");
  }
  return digest;
}

}  // namespace fw
