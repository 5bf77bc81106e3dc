// Times as text: RFC 3339 in UTC, with milliseconds.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/wire/rfc3339.hpp"

#include <charconv>
#include <chrono>

#include <fmt/format.h>

namespace fw::wire {
namespace {

using namespace std::chrono;

/// Reads a text from its front.
class Reader {
 public:
  explicit Reader(std::string_view text) : text_(text) {}

  /// Exactly so many digits.
  std::optional<int> number(std::size_t digits) {
    if (text_.size() < digits) return {};
    int value = 0;
    for (const char c : text_.substr(0, digits)) {
      if (c < '0' || c > '9') return {};
      value = 10 * value + (c - '0');
    }
    text_.remove_prefix(digits);
    return value;
  }
  bool take(char upper, char other = 0) {
    if (text_.empty() || (text_.front() != upper && text_.front() != other)) return false;
    text_.remove_prefix(1);
    return true;
  }
  /// Milliseconds of ".123456", whose further digits are cut off; 0 without a fraction.
  std::optional<milliseconds> fraction() {
    if (!take('.')) return milliseconds{0};
    int value = 0;
    std::size_t digits = 0;
    for (; digits < text_.size() && text_[digits] >= '0' && text_[digits] <= '9'; ++digits) {
      if (digits < 3) value = 10 * value + (text_[digits] - '0');
    }
    if (digits == 0) return {};
    for (std::size_t i = digits; i < 3; ++i) value *= 10;
    text_.remove_prefix(digits);
    return milliseconds{value};
  }
  std::optional<minutes> offset() {
    if (take('Z', 'z')) return minutes{0};
    const bool west = !text_.empty() && text_.front() == '-';
    if (!west && (text_.empty() || text_.front() != '+')) return {};
    text_.remove_prefix(1);
    const auto h = number(2);
    if (!h || *h > 23 || !take(':')) return {};
    const auto m = number(2);
    if (!m || *m > 59) return {};
    const minutes all = hours{*h} + minutes{*m};
    return west ? -all : all;
  }
  bool at_end() const { return text_.empty(); }

 private:
  std::string_view text_;
};

}  // namespace

std::string rfc3339(WallTime time) {
  const auto day = floor<days>(time);
  const year_month_day date{day};
  const hh_mm_ss clock{time - day};
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", static_cast<int>(date.year()),
                     static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                     clock.hours().count(), clock.minutes().count(), clock.seconds().count(),
                     clock.subseconds().count());
}

std::optional<WallTime> parse_rfc3339(std::string_view text) {
  Reader in(text);
  const auto y = in.number(4);
  if (!y || !in.take('-')) return {};
  const auto m = in.number(2);
  if (!m || !in.take('-')) return {};
  const auto d = in.number(2);
  if (!d || !in.take('T', 't')) return {};
  const auto hour = in.number(2);
  if (!hour || *hour > 23 || !in.take(':')) return {};
  const auto minute = in.number(2);
  if (!minute || *minute > 59 || !in.take(':')) return {};
  const auto second = in.number(2);
  if (!second || *second > 60) return {};  // 60: a leap second
  const auto fraction = in.fraction();
  const auto offset = fraction ? in.offset() : std::nullopt;
  if (!offset || !in.at_end()) return {};
  const year_month_day date{year{*y}, month{static_cast<unsigned>(*m)},
                            day{static_cast<unsigned>(*d)}};
  if (!date.ok()) return {};
  return sys_days{date} + hours{*hour} + minutes{*minute} + seconds{*second} + *fraction - *offset;
}

}  // namespace fw::wire
