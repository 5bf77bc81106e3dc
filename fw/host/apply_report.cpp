// What an apply found and did.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/host/apply_report.hpp"

#include "chains/rule_text.hpp"

namespace fw {

std::size_t count_by_hand(const chains::Ruleset* table) {
  std::size_t count = 0;
  if (table == nullptr) return count;
  for (const char* name : chains::kAdminChains) {
    const chains::Chain* chain = chains::find(table->chains, name);
    if (chain != nullptr) count += chain->rules.size();
  }
  return count;
}

}  // namespace fw
