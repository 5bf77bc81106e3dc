// The SQL of the state database.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/store/database.hpp"

#include <algorithm>
#include <array>
#include <optional>

#include <fmt/format.h>
#include <sqlite3.h>

namespace fw {
namespace {

constexpr const char* kVersion1 = R"sql(
CREATE TABLE meta(
  id INTEGER PRIMARY KEY CHECK (id = 1),
  generation INTEGER NOT NULL,
  blocks INTEGER NOT NULL
) STRICT;
-- Another store has another beginning, so the kernel's blocks are never taken for those of this one.
INSERT INTO meta VALUES (1, CAST(strftime('%s', 'now') AS INTEGER), 0);
CREATE TABLE blocks(
  family INTEGER NOT NULL CHECK (family IN (4, 6)),
  first BLOB NOT NULL CHECK (length(first) = 16),
  last BLOB NOT NULL CHECK (length(last) = 16),
  until_ms INTEGER,
  reason TEXT NOT NULL,
  origin TEXT NOT NULL,
  since_ms INTEGER NOT NULL,
  PRIMARY KEY (family, first, last)
) STRICT, WITHOUT ROWID;
CREATE INDEX blocks_by_end ON blocks(until_ms) WHERE until_ms IS NOT NULL;
CREATE INDEX networks ON blocks(family, first) WHERE first <> last;
CREATE TABLE regions(
  family INTEGER NOT NULL,
  first BLOB NOT NULL,
  last BLOB NOT NULL,
  PRIMARY KEY (family, first)
) STRICT, WITHOUT ROWID;
)sql";

// A range has a row for each origin that blocks it.
constexpr const char* kVersion2 = R"sql(
ALTER TABLE blocks RENAME TO blocks_1;
DROP INDEX blocks_by_end;
DROP INDEX networks;
CREATE TABLE blocks(
  family INTEGER NOT NULL CHECK (family IN (4, 6)),
  first BLOB NOT NULL CHECK (length(first) = 16),
  last BLOB NOT NULL CHECK (length(last) = 16),
  until_ms INTEGER,
  reason TEXT NOT NULL,
  origin TEXT NOT NULL,
  since_ms INTEGER NOT NULL,
  PRIMARY KEY (family, first, last, origin)
) STRICT, WITHOUT ROWID;
INSERT INTO blocks SELECT * FROM blocks_1 ORDER BY family, first, last;
DROP TABLE blocks_1;
CREATE INDEX blocks_by_end ON blocks(until_ms) WHERE until_ms IS NOT NULL;
CREATE INDEX networks ON blocks(family, first) WHERE first <> last;
)sql";

constexpr std::array kStateVersions{kVersion1, kVersion2};

constexpr const char* kBlockColumns = "family, first, last, until_ms, reason, origin, since_ms";

/// An address as it sorts: 16 bytes, most significant first.
void bind_address(SQLite::Statement& statement, int index, U128 bits) {
  std::array<unsigned char, 16> bytes;
  for (auto byte = bytes.rbegin(); byte != bytes.rend(); ++byte, bits >>= 8)
    *byte = static_cast<unsigned char>(bits & 0xff);
  statement.bind(index, bytes.data(), static_cast<int>(bytes.size()));
}

int family_number(Family family) { return family == Family::ipv4 ? 4 : 6; }

/// Binds parameters 1 to 3.
void bind_range(SQLite::Statement& statement, const IpRange& range) {
  statement.bind(1, family_number(range.family));
  bind_address(statement, 2, range.first);
  bind_address(statement, 3, range.last);
}

U128 address_of(const SQLite::Column& column) {
  const auto* bytes = static_cast<const unsigned char*>(column.getBlob());
  if (column.getBytes() != 16)
    throw SQLite::Exception("an address is not 16 bytes long", SQLITE_CORRUPT);
  U128 bits = 0;
  for (int i = 0; i < 16; ++i) bits = bits << 8 | bytes[i];
  return bits;
}

/// Columns 0 to 2.
IpRange range_of(SQLite::Statement& row) {
  const IpRange range{row.getColumn(0).getInt() == 4 ? Family::ipv4 : Family::ipv6,
                      address_of(row.getColumn(1)), address_of(row.getColumn(2))};
  if (range.first > range.last || range.last > address_max(range.family))
    throw SQLite::Exception("a range is reversed", SQLITE_CORRUPT);
  return range;
}

WallTime time_of(const SQLite::Column& column) {
  return WallTime(std::chrono::milliseconds(column.getInt64()));
}

Block block_of(SQLite::Statement& row) {
  Block block;
  block.range = range_of(row);
  if (const auto until = row.getColumn(3); !until.isNull()) block.until = time_of(until);
  block.reason = row.getColumn(4).getString();
  block.origin = row.getColumn(5).getString();
  block.since = time_of(row.getColumn(6));
  return block;
}

std::vector<Block> read_windows(SQLite::Database& db, const std::string& sql,
                                const std::vector<IpRange>& windows) {
  std::vector<Block> blocks;
  if (windows.empty()) return blocks;
  SQLite::Statement select(db, sql);
  for (const IpRange& window : windows) {
    bind_range(select, window);
    while (select.executeStep()) blocks.push_back(block_of(select));
    select.reset();
  }
  return blocks;
}

void write_row(SQLite::Statement& replace, const Block& block) {
  bind_range(replace, block.range);
  if (block.until) {
    replace.bind(4, ms_of(*block.until));
  } else {
    replace.bind(4);
  }
  replace.bindNoCopy(5, block.reason);
  replace.bindNoCopy(6, block.origin);
  replace.bind(7, ms_of(block.since));
  replace.exec();
  replace.reset();
}

void erase(SQLite::Statement& erase_range, const IpRange& range) {
  bind_range(erase_range, range);
  erase_range.exec();
  erase_range.reset();
}

void erase(SQLite::Statement& erase_row, const Block& block) {
  erase_row.bindNoCopy(4, block.origin);
  erase(erase_row, block.range);
}

}  // namespace

const DatabaseForm kStateForm{.file = "state.db",
                              .name = "the state database",
                              .versions = kStateVersions,
                              .application_id = 0x6366'7764,  // "cfwd"
                              .synchronous = "FULL",          // a commit is on disk when it returns
                              .log_pages_max = 128,           // read in less than a millisecond
                              .busy_timeout_ms = 10'000,
                              .afresh = "then block again"};

Meta read_meta(SQLite::Database& db) {
  SQLite::Statement select(db, "SELECT generation, blocks FROM meta");
  if (!select.executeStep()) throw SQLite::Exception("the row of meta is missing", SQLITE_CORRUPT);
  return {static_cast<std::uint64_t>(select.getColumn(0).getInt64()),
          static_cast<std::uint64_t>(select.getColumn(1).getInt64())};
}

void write_meta(SQLite::Database& db, const Meta& meta) {
  SQLite::Statement update(db, "UPDATE meta SET generation = ?, blocks = ?");
  update.bind(1, static_cast<std::int64_t>(meta.generation));
  update.bind(2, static_cast<std::int64_t>(meta.blocks));
  update.exec();
}

std::vector<Block> read_active(SQLite::Database& db, WallTime now, std::size_t expected) {
  SQLite::Statement select(db, fmt::format("SELECT {} FROM blocks WHERE until_ms IS NULL OR "
                                           "until_ms > ? ORDER BY family, first, last, origin",
                                           kBlockColumns));
  select.bind(1, ms_of(now));
  std::vector<Block> blocks;
  blocks.reserve(expected);
  while (select.executeStep()) blocks.push_back(block_of(select));
  return blocks;
}

std::map<std::string, std::uint64_t> count_origins(SQLite::Database& db, WallTime now) {
  SQLite::Statement select(db,
                           "SELECT origin, count(*) FROM blocks WHERE until_ms IS NULL OR "
                           "until_ms > ? GROUP BY origin");
  select.bind(1, ms_of(now));
  std::map<std::string, std::uint64_t> counts;
  while (select.executeStep()) {
    counts[select.getColumn(0).getString()] =
        static_cast<std::uint64_t>(select.getColumn(1).getInt64());
  }
  return counts;
}

std::vector<IpRange> read_ended(SQLite::Database& db, WallTime now) {
  SQLite::Statement select(db, "SELECT family, first, last FROM blocks WHERE until_ms <= ?");
  select.bind(1, ms_of(now));
  std::vector<IpRange> ranges;
  while (select.executeStep()) ranges.push_back(range_of(select));
  return ranges;
}

std::vector<Block> read_singles(SQLite::Database& db, const std::vector<IpRange>& windows) {
  return read_windows(db,
                      fmt::format("SELECT {} FROM blocks WHERE family = ? AND first BETWEEN ? AND "
                                  "? AND first = last ORDER BY first, origin",
                                  kBlockColumns),
                      windows);
}

std::vector<Block> read_networks(SQLite::Database& db, const std::vector<IpRange>& windows) {
  return read_windows(db,
                      fmt::format("SELECT {} FROM blocks INDEXED BY networks WHERE family = ? AND "
                                  "first BETWEEN ? AND ? AND first <> last ORDER BY first, last, "
                                  "origin",
                                  kBlockColumns),
                      windows);
}

std::vector<IpRange> read_regions(SQLite::Database& db, const std::vector<IpRange>& windows) {
  std::vector<IpRange> regions;
  if (windows.empty()) return regions;
  SQLite::Statement select(
      db,
      "SELECT family, first, last FROM regions WHERE family = ? AND first <= ? "
      "ORDER BY first DESC");
  for (const IpRange& window : windows) {
    const U128 from = window.first == 0 ? 0 : window.first - 1;
    const U128 to = window.last == ~U128{0} ? window.last : window.last + 1;
    select.bind(1, family_number(window.family));
    bind_address(select, 2, to);
    while (select.executeStep()) {
      const IpRange region = range_of(select);
      if (region.last < from) break;
      regions.push_back(region);
    }
    select.reset();
  }
  std::sort(regions.begin(), regions.end());
  regions.erase(std::unique(regions.begin(), regions.end()), regions.end());
  return regions;
}

void replace_rows(SQLite::Database& db, const std::vector<Block>& before,
                  const std::vector<Block>& after) {
  SQLite::Statement remove(
      db, "DELETE FROM blocks WHERE family = ? AND first = ? AND last = ? AND origin = ?");
  SQLite::Statement replace(
      db, fmt::format("INSERT OR REPLACE INTO blocks ({}) VALUES (?, ?, ?, ?, ?, ?, ?)",
                      kBlockColumns));
  auto old = before.begin();
  for (const Block& block : after) {
    for (; old != before.end() && row_before(*old, block); ++old) erase(remove, *old);
    const bool same = old != before.end() && same_row(*old, block);
    if (!same || *old != block) write_row(replace, block);
    if (same) ++old;
  }
  for (; old != before.end(); ++old) erase(remove, *old);
}

void replace_regions(SQLite::Database& db, const std::vector<IpRange>& before,
                     const std::vector<IpRange>& after) {
  SQLite::Statement remove(db, "DELETE FROM regions WHERE family = ? AND first = ? AND last = ?");
  SQLite::Statement insert(db, "INSERT INTO regions (family, first, last) VALUES (?, ?, ?)");
  for (const IpRange& region : before) {
    if (!std::binary_search(after.begin(), after.end(), region)) erase(remove, region);
  }
  for (const IpRange& region : after) {
    if (std::binary_search(before.begin(), before.end(), region)) continue;
    bind_range(insert, region);
    insert.exec();
    insert.reset();
  }
}

}  // namespace fw
