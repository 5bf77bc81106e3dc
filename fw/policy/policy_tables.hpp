// The tables of the policy itself, each declared in a file of its own.
#pragma once

#include <span>

#include "fw/policy/table.hpp"

namespace fw {

Table ports_table();
Table mail_table();
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

/// All of them, in the order of docs/policy.md.
std::span<const Table> policy_tables();

}  // namespace fw
