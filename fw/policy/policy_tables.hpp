// The tables of the policy itself, each declared in a file of its own.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <vector>

#include "fw/policy/contribution.hpp"
#include "fw/policy/table.hpp"

namespace fw {

Table ports_table();
Table open_table();
Table guests_table();
Table trusted_table();
Table apps_table();
Table limit_table();
Table list_table();
Table app_table();
Table addon_table();
Table offender_table();
Table activity_table();
Table metrics_table();
Table advanced_table();

/// All of them, in the order of docs/policy.md, and those of plugins.
std::vector<Table> policy_tables(Contributions contributions);

}  // namespace fw
