// Takes the firewall out of the kernel.
#include "fw/host/remove.hpp"

#include <cerrno>

#include "chains/netlink/encode.hpp"
#include "fw/base/limits.hpp"

namespace fw {

Result<bool> remove_table(chains::Kernel& kernel) {
  for (int attempt = 1;; ++attempt) {
    const auto generation = kernel.generation();
    if (!generation) return std::unexpected(generation.error());
    chains::Batch batch(*generation);
    chains::encode_remove_table(batch);
    const auto done = kernel.commit(batch);
    if (done) return true;
    if (done.error().sys_errno == ENOENT) return false;
    const bool busy = done.error().code == ErrorCode::kernel_busy;
    if (!busy || attempt == kApplyTries) return std::unexpected(done.error());
  }
}

}  // namespace fw
