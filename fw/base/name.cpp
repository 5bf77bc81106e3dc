// Names of limits, lists, apps and addons.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/base/name.hpp"

#include <algorithm>

#include "fw/base/digit.hpp"
#include "fw/base/limits.hpp"

namespace fw {
namespace {

bool name_character(char c) {
  return (c >= 'a' && c <= 'z') || is_digit(c) || c == '-' || c == '_';
}

bool letter(char c) { return c >= 'a' && c <= 'z'; }

}  // namespace

// A letter first: nft takes no other first character in a name.
bool valid_name(std::string_view name) {
  return !name.empty() && name.size() <= kNameLengthMax && letter(name[0]) &&
         std::ranges::all_of(name, name_character);
}

std::string mended_name(std::string_view name) {
  std::string mended;
  for (char c : name) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    const bool good = name_character(c);
    const bool first = mended.empty();
    if (good && (!first || letter(c))) mended += c;
    if (!good && !first && mended.back() != '-') mended += '-';
    if (mended.size() == kNameLengthMax) break;
  }
  while (!mended.empty() && mended.back() == '-') mended.pop_back();
  return mended;
}

}  // namespace fw
