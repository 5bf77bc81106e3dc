// The tables of the state database. Functions here throw SQLite::Exception; store.cpp turns that
// into errors.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include <SQLiteCpp/SQLiteCpp.h>

#include "fw/store/blocks.hpp"
#include "fw/store/file.hpp"

namespace fw {

extern const DatabaseForm kStateForm;

struct Meta {
  std::uint64_t generation = 0;
  std::uint64_t blocks = 0;  ///< the number of rows
};
Meta read_meta(SQLite::Database& db);
void write_meta(SQLite::Database& db, const Meta& meta);

/// All blocks that have not ended, by row_before.
std::vector<Block> read_active(SQLite::Database& db, WallTime now, std::size_t expected);

/// How many active blocks there are of each origin.
std::map<std::string, std::uint64_t> count_origins(SQLite::Database& db, WallTime now);

/// The ranges of the blocks that have ended.
std::vector<IpRange> read_ended(SQLite::Database& db, WallTime now);

/// Blocks of one address that lie in the windows.
std::vector<Block> read_singles(SQLite::Database& db, const std::vector<IpRange>& windows);

/// Blocks of more than one address whose first address lies in the windows.
std::vector<Block> read_networks(SQLite::Database& db, const std::vector<IpRange>& windows);

/// The table of regions: the blocked networks as disjoint ranges that do not touch each other. What
/// overlaps or touches a network, directly or through others, is in its region and nowhere else;
/// so everything that a change can affect is found without looking at the rest of the table.
std::vector<IpRange> read_regions(SQLite::Database& db, const std::vector<IpRange>& windows);

/// Makes the table hold `after` where it held `before`; both by row_before.
void replace_rows(SQLite::Database& db, const std::vector<Block>& before,
                  const std::vector<Block>& after);
void replace_regions(SQLite::Database& db, const std::vector<IpRange>& before,
                     const std::vector<IpRange>& after);

}  // namespace fw
