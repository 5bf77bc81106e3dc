// Durations and rates as people write them.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/base/rate.hpp"

#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "fw/base/limits.hpp"

namespace fw {
namespace {

using std::string;
using std::chrono::seconds;

TEST(Duration, ReadsANumberAndAUnit) {
  for (const auto& [written, length, printed] : std::vector<std::tuple<string, long, string>>{
           {"1s", 1, "1s"},
           {"10s", 10, "10s"},
           {"90s", 90, "90s"},
           {"60s", 60, "1m"},
           {"10m", 600, "10m"},
           {"1h", 3600, "1h"},
           {"24h", 86'400, "1d"},
           {"7d", 604'800, "1w"},
           {"8d", 691'200, "8d"},
           {"2w", 1'209'600, "2w"},
           {"007s", 7, "7s"},
           {"36500d", 3'153'600'000, "36500d"},
       }) {
    const auto duration = parse_duration(written);
    ASSERT_TRUE(duration) << written << ": " << duration.error().what;
    EXPECT_EQ(duration->count(), length) << written;
    EXPECT_EQ(to_string(*duration), printed);
    EXPECT_EQ(parse_duration(printed), *duration);
  }
  EXPECT_EQ(to_string(seconds{0}), "0s");
}

TEST(Duration, SaysWhatIsWrongAndWhatToWrite) {
  for (const auto& [written, said] : std::vector<std::pair<string, string>>{
           {"", "duration \"\": a time must be a whole number and a unit, e.g. \"10s\""},
           {"s", "a time must be a whole number and a unit"},
           {"-5s", "a time must be a whole number and a unit"},
           {"+5s", "a time must be a whole number and a unit"},
           {" 5s", "a time must be a whole number and a unit"},
           {"10", "a unit is missing after \"10\" (use s, m, h, d or w)"},
           {"5x", "duration \"5x\": unknown unit 'x' (use s, m, h, d or w)"},
           {"500ms", "unknown unit 'ms'"},
           {"5S", "unknown unit 'S'"},
           {"5 s", "unknown unit ' s'"},
           {"1h30m", "unknown unit 'h30m'"},
           {"5s ", "unknown unit 's '"},
           {string("5s\0", 3), "unknown unit 's\\u0000'"},
           {"1.5h", "a time must not have a fraction; use a smaller unit"},
           {"0s", "a time must be at least 1s"},
           {"0w", "a time must be at least 1s"},
           {"36501d", "a time here must be at most 36500d"},
           {"99999999999999999999999s", "a time here must be at most 36500d"},
           {"18446744073709551615w", "a time here must be at most 36500d"},
       }) {
    const auto duration = parse_duration(written);
    ASSERT_FALSE(duration) << written;
    EXPECT_NE(duration.error().what.find(said), string::npos) << duration.error().what;
  }
}

TEST(Rate, ReadsACountAndATime) {
  for (const auto& [written, count, period, printed] :
       std::vector<std::tuple<string, unsigned, long, string>>{
           {"5/10s", 5, 10, "5/10s"},
           {"5000/s", 5000, 1, "5000/s"},
           {"5000/1s", 5000, 1, "5000/s"},
           {"20/10m", 20, 600, "20/10m"},
           {"1/m", 1, 60, "1/m"},
           {"60/60s", 60, 60, "60/m"},
           {"3/90s", 3, 90, "3/90s"},
           {"100/h", 100, 3600, "100/h"},
           {"100/d", 100, 86'400, "100/d"},
           {"1/10s", 1, 10, "1/10s"},
           {"1000000/1d", 1'000'000, 86'400, "1000000/d"},
       }) {
    const auto rate = parse_rate(written);
    ASSERT_TRUE(rate) << written << ": " << rate.error().what;
    EXPECT_EQ(*rate, (Rate{count, seconds{period}})) << written;
    EXPECT_EQ(to_string(*rate), printed);
    EXPECT_EQ(parse_rate(printed), *rate);
  }
}

TEST(Rate, SaysWhatIsWrongAndWhatToWrite) {
  const string form = "write count/time, e.g. \"5/10s\" or \"50/s\"";
  for (const auto& [written, said] : std::vector<std::pair<string, string>>{
           {"5/10x", "rate \"5/10x\": unknown unit 'x' (use s, m, h or d)"},
           {"5/sec", "rate \"5/sec\": unknown unit 'sec' (use s, m, h or d)"},
           {"5/10", "a unit is missing after \"10\" (use s, m, h or d)"},
           {"", form},
           {"5", form},
           {"/s", form},
           {"-5/s", form},
           {"5 / 10s", form},
           {"five/s", form},
           {"1.5/s", form},
           {"5/", "a time must be a whole number and a unit"},
           {"5//s", "unknown unit '/s'"},
           {"5/0s", "a time must be at least 1s"},
           {"0/s", "the count must be at least 1"},
           {"1000001/s", "the count must be at most 1000000"},
           {"99999999999999999999999/s", "the count must be at most 1000000"},
           {"5/25h", "a time here must be at most 1d"},
           {"5/2d", "a time here must be at most 1d"},
           {"5/1w", "a time here must be at most 1d"},
           {"5/w", "a time here must be at most 1d"},
           {"5/86401s", "a time here must be at most 1d"},
           {"5/0.5s", "a time must not have a fraction"},
           {"5/\x1b[0m", "unknown unit '\\u001b[0m'"},
       }) {
    const auto rate = parse_rate(written);
    ASSERT_FALSE(rate) << written;
    EXPECT_NE(rate.error().what.find(said), string::npos) << rate.error().what;
  }
  EXPECT_LT(parse_rate(string(100'000, '9')).error().what.size(), 300u);
}

}  // namespace
}  // namespace fw
