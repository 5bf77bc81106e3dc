// How two texts differ, as `diff -u` says it.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/base/text_diff.hpp"

#include <random>
#include <regex>
#include <sstream>

#include <gtest/gtest.h>

#include "fw/base/limits.hpp"

namespace fw {
namespace {

std::string diff_text(const std::string& before, const std::string& after) {
  std::string out;
  for (const std::string& line : unified_diff({"f", &before, &after})) out += line + "\n";
  return out;
}

std::string numbers(int from, int to) {
  std::string out;
  for (int i = from; i <= to; ++i) out += std::to_string(i) + "\n";
  return out;
}

/// What `patch` would make of a text whose lines all end.
std::string patched(const std::string& before, const std::vector<std::string>& diff) {
  std::vector<std::string> lines;
  std::istringstream in(before);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  std::string out;
  std::size_t at = 0;
  static const std::regex head("@@ -(\\d+)(,(\\d+))? \\+(\\d+)(,(\\d+))? @@");
  for (std::size_t i = 2; i < diff.size(); ++i) {
    std::smatch found;
    if (std::regex_match(diff[i], found, head)) {
      const std::size_t first = std::stoul(found[1]);
      const bool none = found[3].matched && found[3] == "0";
      while (at < (none ? first : first - 1)) out += lines.at(at++) + "\n";
      continue;
    }
    const std::string line = diff[i].substr(1);
    if (diff[i][0] != '+') {
      EXPECT_EQ(line, lines.at(at));
      ++at;
    }
    if (diff[i][0] != '-') out += line + "\n";
  }
  while (at < lines.size()) out += lines.at(at++) + "\n";
  return out;
}

TEST(TextDiff, EqualTextsHaveNone) {
  EXPECT_EQ(diff_text("a\nb\n", "a\nb\n"), "");
  EXPECT_EQ(diff_text("", ""), "");
}

TEST(TextDiff, AChangeHasThreeLinesAround) {
  std::string after = numbers(1, 10);
  after.replace(after.find("5\n"), 2, "five\n");
  EXPECT_EQ(diff_text(numbers(1, 10), after),
            "--- f\n+++ f\n@@ -2,7 +2,7 @@\n 2\n 3\n 4\n-5\n+five\n 6\n 7\n 8\n");
}

TEST(TextDiff, ChangesFarApartAreHunksAndNearOnesAreOne) {
  const std::string before = numbers(1, 30);
  const auto without = [&](const std::string& first, const std::string& second) {
    std::string after = before;
    for (const std::string& line : {first, second})
      after.erase(after.find("\n" + line + "\n") + 1, line.size() + 1);
    return diff_text(before, after);
  };
  EXPECT_EQ(without("10", "17").find("@@ -7,14 +7,12 @@"), std::string("--- f\n+++ f\n").size());
  EXPECT_NE(without("10", "18").find("@@ -7,7 +7,6 @@"), std::string::npos);
  EXPECT_NE(without("10", "18").find("@@ -15,7 +14,6 @@"), std::string::npos);
}

TEST(TextDiff, AFileThatIsNewOrGone) {
  const std::string text = "a\n";
  EXPECT_EQ(unified_diff({"f", nullptr, &text}),
            (std::vector<std::string>{"--- /dev/null", "+++ f", "@@ -0,0 +1 @@", "+a"}));
  EXPECT_EQ(unified_diff({"f", &text, nullptr}),
            (std::vector<std::string>{"--- f", "+++ /dev/null", "@@ -1 +0,0 @@", "-a"}));
  const std::string empty;
  EXPECT_EQ(unified_diff({"f", nullptr, &empty}).size(), 2u) << "it is there";
}

TEST(TextDiff, ALastLineWithoutAnEnd) {
  EXPECT_EQ(diff_text("a\n", "a"),
            "--- f\n+++ f\n@@ -1 +1 @@\n-a\n+a\n\\ No newline at end of file\n");
}

TEST(TextDiff, IsWhatPatchTakes) {
  std::mt19937 random(7);
  for (int round = 0; round < 500; ++round) {
    const auto text = [&random] {
      std::string out;
      for (auto lines = random() % 40; lines > 0; --lines)
        out += std::string(1, static_cast<char>('a' + random() % 4)) + "\n";
      return out;
    };
    const std::string before = text();
    const std::string after = text();
    EXPECT_EQ(patched(before, unified_diff({"f", &before, &after})), after) << before;
  }
}

TEST(TextDiff, WhatIsTooLongToCompareIsReplaced) {
  const int lines = 3000;
  static_assert(std::size_t{3000} * 3000 > kTextDiffCellsMax);
  const std::string before = "same\n" + numbers(1, lines) + "same\n";
  std::string after = "same\n";
  for (int i = lines; i >= 1; --i) after += std::to_string(i) + "\n";
  after += "same\n";
  const auto diff = unified_diff({"f", &before, &after});
  EXPECT_EQ(diff.size(), 2u + 1 + 2 * lines + 2);
  EXPECT_EQ(patched(before, diff), after);
}

}  // namespace
}  // namespace fw
