// Messages for an unknown table or key: the nearest one, or where the key belongs.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/policy/vocabulary.hpp"

#include <algorithm>
#include <vector>

#include <fmt/format.h>

#include "fw/base/suggest.hpp"

namespace fw {
namespace {

/// The header of the only table that has the key; "" when none has it, or several have.
std::string home_of(std::string_view key, std::span<const Table> tables) {
  std::string home;
  for (const Table& table : tables) {
    if (std::ranges::find(table.keys, key, &KeyForm::name) == table.keys.end()) continue;
    if (!home.empty()) return {};
    home = table.header();
  }
  return home;
}

}  // namespace

std::string unknown_key(std::string_view key, const Table& table, std::span<const Table> tables) {
  std::vector<std::string_view> known;
  for (const KeyForm& each : table.keys) known.push_back(each.name);
  const std::string home = home_of(key, tables);
  const std::string_view guess = nearest(key, known);
  std::string remedy;
  if (!guess.empty())
    remedy = fmt::format("did you mean {}?", quote(guess));
  else if (!home.empty())
    remedy = fmt::format("it belongs in {}", home);
  else
    remedy = fmt::format("known are {}", fmt::join(known, ", "));
  return fmt::format("unknown key {} in {}; {}", quote(key), table.header(), remedy);
}

std::string unknown_table(std::string_view key, bool is_table, std::span<const Table> tables) {
  std::vector<std::string_view> names;
  std::string headers;
  for (const Table& table : tables) {
    names.push_back(table.name);
    headers += (headers.empty() ? "" : ", ") + table.header();
  }
  const auto guess = std::ranges::find(tables, nearest(key, names), &Table::name);
  std::string remedy = "known are " + headers;
  if (guess != tables.end())
    remedy = fmt::format("did you mean {}?", guess->header());
  else if (const auto home = home_of(key, tables); !home.empty() && !is_table)
    remedy = fmt::format("it belongs in {}", home);
  return fmt::format("unknown {} {}; {}", is_table ? "table" : "key", quote(key), remedy);
}

}  // namespace fw
