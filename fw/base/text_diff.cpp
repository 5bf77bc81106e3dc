// How two texts differ.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/base/text_diff.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

#include <fmt/format.h>

#include "fw/base/limits.hpp"

namespace fw {
namespace {

constexpr std::size_t kContext = 3;
constexpr std::string_view kNoEnd = "\\ No newline at end of file";

using TextLines = std::vector<std::string>;

/// A last line without an end is another one than the same line with it: it ends in '\n' here.
TextLines lines_of_text(const std::string* text) {
  TextLines lines;
  if (text == nullptr) return lines;
  for (std::size_t at = 0; at < text->size();) {
    const std::size_t end = text->find('\n', at);
    if (end == text->npos) {
      lines.push_back(text->substr(at).append("\n"));
      break;
    }
    lines.push_back(text->substr(at, end - at));
    at = end + 1;
  }
  return lines;
}

/// A line of both texts (' '), of the first ('-') or of the second ('+').
struct Edit {
  char sign;
  const std::string* line;
};

/// By longest common subsequence; where that is too much, all of the first and then all of the
/// second.
void compare_lines(std::span<const std::string> a, std::span<const std::string> b,
                   std::vector<Edit>& to) {
  const std::size_t wide = b.size() + 1;
  const bool large = a.size() + 1 > kTextDiffCellsMax / wide;
  std::vector<std::uint32_t> common(large ? 0 : (a.size() + 1) * wide);
  if (!large) {
    for (std::size_t i = a.size(); i-- > 0;) {
      for (std::size_t j = b.size(); j-- > 0;) {
        common[i * wide + j] = a[i] == b[j]
                                   ? common[(i + 1) * wide + j + 1] + 1
                                   : std::max(common[(i + 1) * wide + j], common[i * wide + j + 1]);
      }
    }
  }
  std::size_t i = 0;
  std::size_t j = 0;
  while (i < a.size() || j < b.size()) {
    if (!large && i < a.size() && j < b.size() && a[i] == b[j]) {
      to.push_back({' ', &a[i++]});
      ++j;
    } else if (j == b.size() || (i < a.size() && (large || common[(i + 1) * wide + j] >=
                                                               common[i * wide + j + 1]))) {
      to.push_back({'-', &a[i++]});
    } else {
      to.push_back({'+', &b[j++]});
    }
  }
}

std::vector<Edit> edits_between(const TextLines& before, const TextLines& after) {
  const std::span<const std::string> a(before);
  const std::span<const std::string> b(after);
  const std::size_t shorter = std::min(a.size(), b.size());
  std::size_t head = 0;
  while (head < shorter && a[head] == b[head]) ++head;
  std::size_t tail = 0;
  while (tail < shorter - head && a[a.size() - 1 - tail] == b[b.size() - 1 - tail]) ++tail;

  std::vector<Edit> edits;
  for (std::size_t i = 0; i < head; ++i) edits.push_back({' ', &a[i]});
  compare_lines(a.subspan(head, a.size() - head - tail), b.subspan(head, b.size() - head - tail),
                edits);
  for (std::size_t i = a.size() - tail; i < a.size(); ++i) edits.push_back({' ', &a[i]});
  return edits;
}

/// "3,7": the first line and how many; a range of none begins after that line.
std::string range_text(std::size_t before, std::size_t count) {
  if (count == 1) return fmt::format("{}", before + 1);
  return fmt::format("{},{}", count == 0 ? before : before + 1, count);
}

void add_line(std::vector<std::string>& out, const Edit& edit) {
  const bool ends = !edit.line->ends_with('\n');
  out.push_back(edit.sign + (ends ? *edit.line : edit.line->substr(0, edit.line->size() - 1)));
  if (!ends) out.emplace_back(kNoEnd);
}

/// Where the hunk that begins at a changed line ends: behind the context of its last change.
std::size_t end_of_hunk(const std::vector<Edit>& edits, std::size_t first) {
  std::size_t last = first;
  for (std::size_t i = first; i < edits.size() && i - last <= 2 * kContext + 1; ++i) {
    if (edits[i].sign != ' ') last = i;
  }
  return std::min(edits.size(), last + kContext + 1);
}

}  // namespace

std::vector<std::string> unified_diff(const TextChange& change) {
  const TextLines before = lines_of_text(change.before);
  const TextLines after = lines_of_text(change.after);
  const bool same_file = (change.before == nullptr) == (change.after == nullptr);
  if (before == after && same_file) return {};
  const std::vector<Edit> edits = edits_between(before, after);
  std::vector<std::string> out{"--- " + (change.before != nullptr ? change.path : "/dev/null"),
                               "+++ " + (change.after != nullptr ? change.path : "/dev/null")};
  std::size_t a = 0;  // lines of either text before the edit at hand
  std::size_t b = 0;
  for (std::size_t at = 0; at < edits.size();) {
    const auto changed = std::find_if(edits.begin() + static_cast<std::ptrdiff_t>(at), edits.end(),
                                      [](const Edit& each) { return each.sign != ' '; });
    if (changed == edits.end()) break;
    const auto first = static_cast<std::size_t>(changed - edits.begin());
    const std::size_t begin = std::max(at, first - std::min(first, kContext));
    a += begin - at;
    b += begin - at;
    const std::size_t end = end_of_hunk(edits, first);
    const std::size_t head = out.size();
    out.emplace_back();
    std::size_t of_a = 0;
    std::size_t of_b = 0;
    for (std::size_t i = begin; i < end; ++i) {
      add_line(out, edits[i]);
      of_a += edits[i].sign != '+';
      of_b += edits[i].sign != '-';
    }
    out[head] = fmt::format("@@ -{} +{} @@", range_text(a, of_a), range_text(b, of_b));
    a += of_a;
    b += of_b;
    at = end;
  }
  return out;
}

}  // namespace fw
