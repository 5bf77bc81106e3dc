// Durations and rates, to and from text.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/base/rate.hpp"

#include <array>
#include <charconv>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "fw/base/digit.hpp"
#include "fw/base/limits.hpp"
#include "fw/base/suggest.hpp"

namespace fw {
namespace {

struct TimeUnit {
  char letter;
  std::chrono::seconds length;
};
constexpr std::array<TimeUnit, 5> kTimeUnits{{{'w', std::chrono::weeks{1}},
                                              {'d', std::chrono::days{1}},
                                              {'h', std::chrono::hours{1}},
                                              {'m', std::chrono::minutes{1}},
                                              {'s', std::chrono::seconds{1}}}};

// What is wrong with a number or a duration; the caller says in what.
template <class T>
using Part = std::expected<T, std::string>;

/// Takes the digits off the front of the text. A number too large for 64 bits becomes the largest,
/// which no bound admits.
std::uint64_t take_number(std::string_view& text) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return error == std::errc::result_out_of_range ? UINT64_MAX : number;
}

/// A number (`bare`, when none is written) and a unit; at most `longest`.
Part<std::chrono::seconds> take_duration(std::string_view text, std::optional<std::uint64_t> bare,
                                         std::chrono::seconds longest) {
  const bool weeks = longest >= std::chrono::weeks{1};
  const char* const units = weeks ? "s, m, h, d or w" : "s, m, h or d";
  const std::string_view written = text;
  std::uint64_t number = 0;
  if (!text.empty() && is_digit(text[0])) {
    number = take_number(text);
    if (text.empty()) {
      return std::unexpected(
          fmt::format("a unit is missing after {} (use {})", quote(written), units));
    }
  } else if (!text.empty() && bare) {
    number = *bare;
  } else {
    return std::unexpected(std::string("a time must be a whole number and a unit, e.g. \"10s\""));
  }
  if (text[0] == '.' || text[0] == ',') {
    return std::unexpected(std::string(
        "a time must not have a fraction; use a smaller unit, e.g. \"90m\" for 1.5 hours"));
  }
  for (const TimeUnit& unit : kTimeUnits) {
    if (text.size() != 1 || text[0] != unit.letter || (unit.letter == 'w' && !weeks)) continue;
    if (number == 0) return std::unexpected(std::string("a time must be at least 1s"));
    if (number > static_cast<std::uint64_t>(longest / unit.length))
      return std::unexpected(fmt::format("a time here must be at most {}", to_string(longest)));
    return unit.length * static_cast<std::int64_t>(number);
  }
  if (text == "w")
    return std::unexpected(fmt::format("a time here must be at most {}", to_string(longest)));
  return std::unexpected(fmt::format("unknown unit '{}' (use {})", printable(text), units));
}

std::unexpected<Error> refuse(const char* kind, std::string_view text, const std::string& why) {
  return fail(ErrorCode::usage, fmt::format("{} {}: {}", kind, quote(text), why));
}

}  // namespace

Result<std::chrono::seconds> parse_duration(std::string_view text) {
  auto duration = take_duration(text, std::nullopt, kDurationMax);
  if (!duration) return refuse("duration", text, duration.error());
  return *duration;
}

Result<Rate> parse_rate(std::string_view text) {
  constexpr const char* kForm = "write count/time, e.g. \"5/10s\" or \"50/s\"";
  std::string_view rest = text;
  if (rest.empty() || !is_digit(rest[0])) return refuse("rate", text, kForm);
  const std::uint64_t count = take_number(rest);
  if (rest.empty() || rest[0] != '/') return refuse("rate", text, kForm);
  rest.remove_prefix(1);
  if (count == 0)
    return refuse("rate", text,
                  "the count must be at least 1; to close a port, leave it out of [ports]");
  if (count > kRateCountMax)
    return refuse("rate", text, fmt::format("the count must be at most {}", kRateCountMax));
  auto period = take_duration(rest, 1, kRatePeriodMax);
  if (!period) return refuse("rate", text, period.error());
  return Rate{count, *period};
}

std::string to_string(std::chrono::seconds duration) {
  for (const TimeUnit& unit : kTimeUnits) {
    if (duration.count() != 0 && duration % unit.length == std::chrono::seconds{0})
      return fmt::format("{}{}", duration / unit.length, unit.letter);
  }
  return "0s";
}

std::string to_string(const Rate& rate) {
  std::string period = to_string(rate.period);
  if (period.size() == 2 && period[0] == '1') period.erase(0, 1);
  return fmt::format("{}/{}", rate.count, period);
}

}  // namespace fw
