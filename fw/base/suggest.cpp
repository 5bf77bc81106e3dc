// Words in messages.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/base/suggest.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include <fmt/format.h>

namespace fw {
namespace {

constexpr std::size_t kGuessedMax = 64;  // bytes: a longer word is nobody's slip of a known one

struct CodePoint {
  std::uint32_t value = 0;
  std::size_t length = 0;  // bytes; 0: not UTF-8
};

CodePoint decode(std::string_view text) {
  const auto byte = [&text](std::size_t i) { return static_cast<std::uint8_t>(text[i]); };
  const std::uint8_t lead = byte(0);
  if (lead < 0x80) return {lead, 1};
  const std::size_t length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  if (lead < 0xc2 || lead > 0xf4 || text.size() < length) return {};
  std::uint32_t value = lead & (0x7fu >> length);
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return {};
    value = value << 6 | (byte(i) & 0x3fu);
  }
  constexpr std::array<std::uint32_t, 5> kLeast{0, 0, 0x80, 0x800, 0x10000};
  const bool surrogate = value >= 0xd800 && value <= 0xdfff;
  if (value < kLeast.at(length) || value > 0x10ffff || surrogate) return {};
  return {value, length};
}

// Characters that would act on the terminal or hide in the text.
bool unsafe(std::uint32_t c) {
  return c < 0x20 || (c >= 0x7f && c <= 0x9f) || c == 0xad || c == 0x61c ||
         (c >= 0x200b && c <= 0x200f) || (c >= 0x2028 && c <= 0x202e) ||
         (c >= 0x2060 && c <= 0x206f) || c == 0xfeff || (c >= 0xfff9 && c <= 0xfffb) ||
         (c >= 0xe0000 && c <= 0xe007f);
}

enum class Quotes { plain, escaped };

std::string escape(std::string_view text, Quotes quotes, std::size_t shown_max) {
  std::string out;
  for (std::size_t shown = 0; !text.empty(); ++shown) {
    if (shown == shown_max) return out + "...";
    const CodePoint c = decode(text);
    if (c.length == 0) {
      out += fmt::format("\\x{:02x}", static_cast<std::uint8_t>(text[0]));
    } else if (c.value == '\n') {
      out += "\\n";
    } else if (c.value == '\t') {
      out += "\\t";
    } else if (c.value == '\r') {
      out += "\\r";
    } else if (unsafe(c.value)) {
      out += fmt::format("\\u{:04x}", c.value);
    } else {
      if (quotes == Quotes::escaped && (c.value == '"' || c.value == '\\')) out += '\\';
      out += text.substr(0, c.length);
    }
    text.remove_prefix(std::max<std::size_t>(c.length, 1));
  }
  return out;
}

std::string folded(std::string_view word) {
  std::string out(word);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    if (c == '-') c = '_';
  }
  return out;
}

// Letters to insert, delete, replace, or swap with their neighbour.
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> before(b.size() + 1), last(b.size() + 1), now(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) last[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    now[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t differs = a[i - 1] == b[j - 1] ? 0 : 1;
      now[j] = std::min({last[j] + 1, now[j - 1] + 1, last[j - 1] + differs});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        now[j] = std::min(now[j], before[j - 2] + 1);
    }
    before.swap(last);
    last.swap(now);
  }
  return last[b.size()];
}

}  // namespace

std::string printable(std::string_view text, std::size_t shown_max) {
  return escape(text, Quotes::plain, shown_max);
}

std::string quote(std::string_view text) { return '"' + escape(text, Quotes::escaped, 64) + '"'; }

std::string_view nearest(std::string_view word, std::span<const std::string_view> known) {
  if (word.empty() || word.size() > kGuessedMax) return {};
  const std::string wrong = folded(word);
  std::string_view best;
  std::size_t best_distance = kGuessedMax;
  for (const std::string_view candidate : known) {
    const std::string right = folded(candidate);
    const std::size_t length = std::max(wrong.size(), right.size());
    const std::size_t slips_max = length <= 2 ? 0 : length <= 5 ? 1 : length <= 8 ? 2 : 3;
    std::size_t slips = distance(wrong, right);
    // What is left off at the end is forgotten, not mistyped.
    if (wrong.size() >= 3 && right.starts_with(wrong)) slips = std::min<std::size_t>(slips, 1);
    if (slips <= slips_max && slips < best_distance) {
      best = candidate;
      best_distance = slips;
    }
  }
  return best;
}

}  // namespace fw
