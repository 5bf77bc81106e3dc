// Descriptions of a table's keys, and what a draft is unsure of.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/policy/table.hpp"

#include <fmt/format.h>

namespace fw {
namespace {

/// 1000000 as "1,000,000".
std::string grouped(std::uint64_t number) {
  std::string text = std::to_string(number);
  for (std::size_t at = text.size(); at > 3;) text.insert(at -= 3, 1, ',');
  return text;
}

}  // namespace

std::string at_most(std::string_view type, std::uint64_t most) {
  return fmt::format("{}, at most {}", type, grouped(most));
}

std::string from_to(std::int64_t least, std::int64_t most) {
  return fmt::format("{} to {}", grouped(static_cast<std::uint64_t>(least)),
                     grouped(static_cast<std::uint64_t>(most)));
}

std::string Table::header() const {
  return repeats() ? fmt::format("[[{}]]", name) : fmt::format("[{}]", name);
}

void Draft::doubt(Doubt what) {
  if (what == Doubt::ports) ports_doubtful = true;
  if (what == Doubt::networks) networks_doubtful = true;
}

}  // namespace fw
