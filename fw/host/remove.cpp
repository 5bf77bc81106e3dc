// Takes the firewall out of the kernel.
#include "fw/host/remove.hpp"

#include <cerrno>

#include "chains/netlink/encode.hpp"
#include "fw/base/limits.hpp"

namespace fw {

Result<bool> remove_tables(chains::Kernel& kernel) {
  for (int attempt = 1;; ++attempt) {
    const auto generation = kernel.generation();
    if (!generation) return std::unexpected(generation.error());
    chains::Batch batch(*generation);
    bool any = false;
    for (const chains::Table table : {chains::Table::inet, chains::Table::bridge}) {
      const auto there = kernel.has(table);
      if (!there) return there;
      if (*there) chains::encode_remove_table(table, batch);
      any = any || *there;
    }
    if (!any) return false;
    const auto done = kernel.commit(batch);
    if (done) return true;
    const bool busy = done.error().code == ErrorCode::kernel_busy;
    if (!busy || attempt == kApplyTries) return std::unexpected(done.error());
  }
}

}  // namespace fw
