// Durations and rates as people write them.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <chrono>
#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include "fw/base/result.hpp"

namespace fw {

/// `count` events in every `period`; count >= 1, period >= 1 s (whole seconds).
struct Rate {
  std::uint64_t count = 0;
  std::chrono::seconds period{0};

  bool operator==(const Rate&) const = default;
};

/// "90s", "10m", "1h", "7d", "2w" (a number and one unit of s m h d w; no sign, no fraction).
Result<std::chrono::seconds> parse_duration(std::string_view text);

/// "5/10s", "5000/s", "20/10m": count, slash, duration; a bare unit means one of it.
Result<Rate> parse_rate(std::string_view text);

/// "10s", "1h", "90s": the largest unit that is exact.
std::string to_string(std::chrono::seconds duration);
/// "5/10s", "5000/s": the form that the policy file takes.
std::string to_string(const Rate& rate);

}  // namespace fw
