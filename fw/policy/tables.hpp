// The tables of a policy, from TOML to a Policy. This header needs no TOML.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <expected>
#include <span>
#include <string>
#include <string_view>

#include "fw/policy/parse.hpp"
#include "fw/policy/table.hpp"

namespace fw {

/// What the tables of a text say and what is wrong with them, check() included; or the one problem
/// for which the text has no tables. `file` is only used to name places.
std::expected<Parsed, Problem> read_tables(std::string_view text, const std::string& file,
                                           Contributions contributions,
                                           std::span<const Table> tables);

}  // namespace fw
