// Takes the firewall out of the kernel.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/host/remove.hpp"

#include <optional>
#include <utility>

#include "chains/netlink/encode.hpp"

namespace fw {

Result<std::vector<chains::Table>> remove_tables(chains::Kernel& kernel) {
  std::vector<chains::Table> removed;
  const auto attempt = [&]() -> Result<std::optional<chains::Attempt>> {
    const auto generation = kernel.generation();
    if (!generation) return std::unexpected(generation.error());
    chains::Batch batch(*generation);
    removed.clear();
    for (const chains::Table table : {chains::Table::inet, chains::Table::bridge}) {
      const auto there = kernel.has(table);
      if (!there) return std::unexpected(there.error());
      if (!*there) continue;
      chains::encode_remove_table(table, batch);
      removed.push_back(table);
    }
    if (removed.empty()) return std::nullopt;
    return chains::Attempt{std::move(batch)};
  };
  if (const auto done = chains::commit_with_retry(kernel, attempt); !done)
    return std::unexpected(done.error());
  return removed;
}

}  // namespace fw
