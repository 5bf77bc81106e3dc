// Policies: whatever somebody writes, its problems have words, and what has none can be compiled.
// SPDX-License-Identifier: GPL-2.0-or-later
#include <cstdint>
#include <string_view>

#include "chains/compile.hpp"
#include "chains/rule_text.hpp"
#include "fw/effective/policy.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const fw::Parsed parsed = fw::parse_policy(text, "/etc/cloudron-fw/policy.toml");
  for (const fw::Problem& problem : parsed.problems) fw::to_string(problem);
  if (!parsed.ok()) return 0;
  chains::read_rules(parsed.policy.rules);
  chains::compile(parsed.policy, {});
  return 0;
}
