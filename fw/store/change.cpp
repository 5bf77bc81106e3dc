// Blocking and unblocking as arithmetic on sorted rows.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/store/change.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

namespace fw {
namespace {

/// What one more block of the same range and origin makes of a row; true when the row lasts longer
/// already.
bool extend(Block& row, const Block& add) {
  if (ends_before(add.until, row.until)) return true;
  if (!add.reason.empty()) row.reason = add.reason;
  row.until = add.until;
  return false;
}

/// Rows of the ranges that were asked for, of other origins, which last longer than what was asked.
std::vector<Block> longer_of_others(const std::vector<Block>& rows,
                                    const std::vector<const Block*>& wanted) {
  std::vector<Block> longer;
  auto row = rows.begin();
  const Block* last = nullptr;
  for (const Block* block : wanted) {
    if (last != nullptr && last->range == block->range) continue;  // once for each range
    last = block;
    while (row != rows.end() && row->range < block->range) ++row;
    for (auto same = row; same != rows.end() && same->range == block->range; ++same) {
      if (same->origin != block->origin && ends_before(block->until, same->until)) {
        longer.push_back(*same);
      }
    }
  }
  return longer;
}

bool overlaps_any(const IpRange& range, const std::vector<IpRange>& merged_ranges) {
  const auto near = std::lower_bound(
      merged_ranges.begin(), merged_ranges.end(), range, [](const IpRange& a, const IpRange& b) {
        return std::pair(a.family, a.last) < std::pair(b.family, b.first);
      });
  return near != merged_ranges.end() && near->overlaps(range);
}

}  // namespace

RowChange add_blocks(std::vector<Block> rows, const std::vector<Block>& add, WallTime now) {
  RowChange change;
  std::vector<const Block*> wanted;
  for (const Block& block : add) {
    const bool ended = block.until && *block.until <= now;
    if (!ended) wanted.push_back(&block);
  }
  std::stable_sort(wanted.begin(), wanted.end(),
                   [](const Block* a, const Block* b) { return row_before(*a, *b); });
  change.told.longer_by_others = longer_of_others(rows, wanted);
  std::vector<Block>& after = change.after;
  after.reserve(rows.size() + wanted.size());
  auto row = rows.begin();
  for (const Block* block : wanted) {
    while (row != rows.end() && !row_before(*block, *row)) after.push_back(*row++);
    if (after.empty() || !same_row(after.back(), *block)) {
      after.push_back(*block);
    } else if (extend(after.back(), *block)) {
      change.told.kept_longer.push_back(after.back());
    }
  }
  after.insert(after.end(), row, rows.end());
  change.before = std::move(rows);
  return change;
}

RowChange remove_blocks(std::vector<Block> rows, const std::vector<IpRange>& ranges,
                        const std::string& origin) {
  RowChange change;
  std::vector<bool> gone(rows.size());
  for (const IpRange& range : ranges) {
    bool found = false;
    auto row =
        std::lower_bound(rows.begin(), rows.end(), range, [](const Block& a, const IpRange& b) {
          return std::pair(a.range.family, a.range.first) < std::pair(b.family, b.first);
        });
    for (; row != rows.end() && row->range.overlaps(range); ++row) {
      if (!range.contains(row->range)) continue;
      if (!origin.empty() && row->origin != origin) continue;
      gone[static_cast<std::size_t>(row - rows.begin())] = true;
      found = true;
    }
    if (!found) change.told.not_found.push_back(range);
  }
  const std::vector<IpRange> asked = merged(ranges);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (gone[i]) {
      change.told.removed.push_back(rows[i]);
      continue;
    }
    change.after.push_back(rows[i]);
    if (overlaps_any(rows[i].range, asked)) change.told.still_covers.push_back(rows[i]);
  }
  change.before = std::move(rows);
  return change;
}

}  // namespace fw
