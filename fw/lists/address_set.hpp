// Large sets of addresses: sorted, disjoint spans, cheap to merge, subtract and compare.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "fw/base/address.hpp"

namespace fw {

template <class U>
struct Span {
  U first{};
  U last{};

  bool operator==(const Span&) const = default;
};
using Span4 = Span<std::uint32_t>;
using Span6 = Span<U128>;

/// Spans in ascending order, disjoint and not adjacent: so equal sets have equal vectors.
struct AddressSet {
  std::vector<Span4> v4;
  std::vector<Span6> v6;

  bool empty() const { return v4.empty() && v6.empty(); }
  bool operator==(const AddressSet&) const = default;
};

/// Sorts and merges in place: overlapping, duplicate and adjacent spans become one.
void append(AddressSet& set, const IpRange& range);  ///< to be normalized afterwards
void normalize(AddressSet& set);
AddressSet unite(const AddressSet& a, const AddressSet& b);
AddressSet subtract(const AddressSet& a, const AddressSet& b);
bool contains(const AddressSet& set, const IpRange& range);
std::optional<IpRange> span_with(const AddressSet& set, Ip ip);  ///< the one that holds it
bool disjoint(const AddressSet& a, const AddressSet& b);
bool disjoint(const AddressSet& set, const IpRange& range);

/// Spans that only one side has, compared span by span (not address by address): what a kernel set
/// that holds `before` must lose and gain to hold `after`.
struct SpanDelta {
  AddressSet removed;
  AddressSet added;
};
SpanDelta compare_spans(const AddressSet& before, const AddressSet& after);

/// 128-bit digest of a normalized set's content (XXH3); zero for the empty set.
struct Digest {
  std::uint64_t high = 0;
  std::uint64_t low = 0;

  bool zero() const { return high == 0 && low == 0; }
  bool operator==(const Digest&) const = default;
  auto operator<=>(const Digest&) const = default;
};
Digest digest(const AddressSet& set);
Digest digest_bytes(const std::vector<std::span<const std::byte>>& parts);
std::string to_string(const Digest& digest);  ///< 32 hexadecimal digits
Result<Digest> parse_digest(std::string_view text);

}  // namespace fw
