// Messages for an unknown table or key.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "fw/policy/table.hpp"

namespace fw {

/// Of a key in a table: what was meant, or where it belongs, or which keys there are.
std::string unknown_key(std::string_view key, const Table& table, std::span<const Table> tables);

/// The same of a key at the top, which may be that of a table.
std::string unknown_table(std::string_view key, bool is_table, std::span<const Table> tables);

}  // namespace fw
