// The block store: durable transactions around the arithmetic of change.hpp.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/store/store.hpp"

#include <algorithm>
#include <iterator>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "fw/base/limits.hpp"
#include "fw/store/change.hpp"
#include "fw/store/database.hpp"

namespace fw {

struct Store::Impl {
  std::string path;
  SQLite::Database db;
};

namespace {

template <class Work>
auto guarded(const std::string& path, Work work) {
  return fw::guarded(kStateForm, path, std::move(work));
}

/// The ranges that a change names.
struct Named {
  std::vector<IpRange> singles;   ///< blocks of one address in these can change
  std::vector<IpRange> networks;  ///< blocks of more addresses that these reach can change
};

/// The rows that a change can touch, and the regions that they come from.
struct Affected {
  std::vector<Block> rows;  ///< ascending
  std::vector<IpRange> regions;
};

Affected gather(SQLite::Database& db, const Named& named) {
  Affected affected;
  affected.rows = read_singles(db, merged(named.singles));
  affected.regions = read_regions(db, merged(named.networks));
  std::vector<Block> networks = read_networks(db, affected.regions);
  const auto middle = std::ssize(affected.rows);
  affected.rows.insert(affected.rows.end(), std::move_iterator(networks.begin()),
                       std::move_iterator(networks.end()));
  std::inplace_merge(affected.rows.begin(), affected.rows.begin() + middle, affected.rows.end(),
                     row_before);
  return affected;
}

std::vector<IpRange> regions_of(const std::vector<Block>& rows) {
  std::vector<IpRange> ranges;
  for (const Block& row : rows) {
    if (!row.range.single()) ranges.push_back(row.range);
  }
  return merged(std::move(ranges));
}

/// One transaction: `make` says what becomes of the rows that the change can touch.
template <class Make>
Result<BlockChange> change(SQLite::Database& db, Named named, WallTime now, Make make) {
  SQLite::Transaction transaction(db, SQLite::TransactionBehavior::IMMEDIATE);
  for (const IpRange& ended : read_ended(db, now))
    (ended.single() ? named.singles : named.networks).push_back(ended);
  const Affected affected = gather(db, named);
  std::vector<Block> active;
  for (const Block& row : affected.rows) {
    if (!row.until || *row.until > now) active.push_back(row);
  }
  RowChange rows = make(std::move(active));
  Meta meta = read_meta(db);
  rows.told.generation = meta.generation;
  if (rows.after == rows.before) return std::move(rows.told);

  meta.generation += 1;
  meta.blocks = meta.blocks - affected.rows.size() + rows.after.size();
  if (meta.blocks > kBlocksMax) {
    return fail(ErrorCode::usage,
                fmt::format("{} blocks are too many, at most {} fit: block networks instead of "
                            "single addresses, or use a list",
                            meta.blocks, kBlocksMax));
  }
  replace_rows(db, affected.rows, rows.after);
  replace_regions(db, affected.regions, regions_of(rows.after));
  write_meta(db, meta);
  rows.told.delta = compare(blocked_at(rows.before, now), blocked_at(rows.after, now));
  rows.told.generation = meta.generation;
  transaction.commit();
  return std::move(rows.told);
}

}  // namespace

Result<Store> Store::open(const std::string& state_dir) {
  const std::string path = path_in(state_dir, kStateForm);
  return guarded(path, [&]() -> Result<Store> {
    if (auto made = make_database(state_dir, kStateForm); !made) {
      return std::unexpected(made.error());
    }
    return Store(std::make_unique<Impl>(path, open_database(path, kStateForm)));
  });
}

Store::Store(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Store::Store(Store&&) noexcept = default;
Store& Store::operator=(Store&&) noexcept = default;
Store::~Store() = default;

Result<Store::Snapshot> Store::blocks(WallTime now) {
  return guarded(impl_->path, [&]() -> Result<Snapshot> {
    const SQLite::Transaction transaction(impl_->db);  // both from one state
    const Meta meta = read_meta(impl_->db);
    return Snapshot{read_active(impl_->db, now, std::min<std::size_t>(meta.blocks, kBlocksMax)),
                    meta.generation};
  });
}

Result<std::map<std::string, std::uint64_t>> Store::origins(WallTime now) {
  return guarded(impl_->path, [&]() -> Result<std::map<std::string, std::uint64_t>> {
    return count_origins(impl_->db, now);
  });
}

Result<std::uint64_t> Store::generation() {
  return guarded(impl_->path,
                 [&]() -> Result<std::uint64_t> { return read_meta(impl_->db).generation; });
}

Result<BlockChange> Store::block(const std::vector<Block>& add, WallTime now) {
  return guarded(impl_->path, [&] {
    Named named;
    for (const Block& block : add)
      (block.range.single() ? named.singles : named.networks).push_back(block.range);
    return change(impl_->db, std::move(named), now,
                  [&](std::vector<Block> rows) { return add_blocks(std::move(rows), add, now); });
  });
}

Result<BlockChange> Store::unblock(const std::vector<IpRange>& ranges, WallTime now,
                                   const std::string& origin) {
  return guarded(impl_->path, [&] {
    return change(impl_->db, {ranges, ranges}, now, [&](std::vector<Block> rows) {
      return remove_blocks(std::move(rows), ranges, origin);
    });
  });
}

}  // namespace fw
