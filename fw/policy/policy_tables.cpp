// The one list of the policy's tables.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/policy/policy_tables.hpp"

#include <utility>

namespace fw {

std::vector<Table> policy_tables(Contributions contributions) {
  std::vector<Table> tables{ports_table(),   open_table(),     guests_table(),   trusted_table(),
                            apps_table(),    limit_table(),    list_table(),     app_table(),
                            addon_table(),   offender_table(), activity_table(), metrics_table(),
                            advanced_table()};
  for (const Contribution& contribution : contributions) {
    if (contribution.tables == nullptr) continue;
    for (Table& table : contribution.tables()) tables.push_back(std::move(table));
  }
  return tables;
}

}  // namespace fw
