// The one list of the policy's tables.
#include "fw/policy/policy_tables.hpp"

#include <array>

namespace fw {

std::span<const Table> policy_tables() {
  static const std::array tables{
      ports_table(),    mail_table(),     open_table(),    guests_table(),  trusted_table(),
      apps_table(),     limit_table(),    list_table(),    app_table(),     addon_table(),
      offender_table(), activity_table(), metrics_table(), advanced_table()};
  return tables;
}

}  // namespace fw
