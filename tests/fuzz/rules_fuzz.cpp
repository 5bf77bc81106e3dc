// Files of rules.d: whatever they hold, reading ends, and what is read has a text.
// SPDX-License-Identifier: GPL-2.0-or-later
#include <cstdint>
#include <string>
#include <string_view>

#include "chains/rule_text.hpp"
#include "chains/text.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const fw::RuleFile file{"rules.d/own.nft", {reinterpret_cast<const char*>(data), size}};
  const chains::RulesOfFiles read = chains::read_rules({file});
  for (const fw::Problem& problem : read.problems) fw::to_string(problem);
  chains::write_nft(read.rules, {}, [](std::string_view) {});
  return 0;
}
