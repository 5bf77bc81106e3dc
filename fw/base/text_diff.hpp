// How two texts differ, as a unified diff.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace fw {

/// A file before and after; an absent text is a file that is not there.
struct TextChange {
  std::string path;
  const std::string* before = nullptr;
  const std::string* after = nullptr;
};

/// The lines of `diff -u`, without line ends: two heads, and hunks with three lines of context.
/// None when the texts are equal. Texts whose changed parts have more than kTextDiffCellsMax pairs
/// of lines are shown as replaced there. Lines are as they are: whoever prints them makes them
/// safe.
std::vector<std::string> unified_diff(const TextChange& change);

}  // namespace fw
