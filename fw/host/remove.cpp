// Takes the firewall out of the kernel.
#include "fw/host/remove.hpp"

#include <cerrno>

#include "chains/netlink/encode.hpp"
#include "fw/base/limits.hpp"

namespace fw {

Result<std::vector<chains::Table>> remove_tables(chains::Kernel& kernel) {
  for (int attempt = 1;; ++attempt) {
    const auto generation = kernel.generation();
    if (!generation) return std::unexpected(generation.error());
    chains::Batch batch(*generation);
    std::vector<chains::Table> removed;
    for (const chains::Table table : {chains::Table::inet, chains::Table::bridge}) {
      const auto there = kernel.has(table);
      if (!there) return std::unexpected(there.error());
      if (!*there) continue;
      chains::encode_remove_table(table, batch);
      removed.push_back(table);
    }
    if (removed.empty()) return removed;
    const auto done = kernel.commit(batch);
    if (done) return removed;
    const bool busy = done.error().code == ErrorCode::kernel_busy;
    if (!busy || attempt == kApplyTries) return std::unexpected(done.error());
  }
}

}  // namespace fw
