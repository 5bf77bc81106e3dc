// What a change makes of the rows of the block table, as values.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <vector>

#include "fw/store/store.hpp"

namespace fw {

/// Rows before and after a change, by row_before. `before` is every row that the change can
/// touch and every row that shares a piece with one of those; ended rows are in neither.
struct RowChange {
  std::vector<Block> before;
  std::vector<Block> after;
  BlockChange told;  ///< all but the delta and the generation, which are yet to be filled
};
RowChange add_blocks(std::vector<Block> rows, const std::vector<Block>& add, WallTime now);
RowChange remove_blocks(std::vector<Block> rows, const std::vector<IpRange>& ranges,
                        const std::string& origin);

}  // namespace fw
