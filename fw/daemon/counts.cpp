// Collects all counts.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/daemon/counts.hpp"

namespace fw {

Result<Counts> count(chains::Kernel& kernel, Store& store, const Policy& policy,
                     const TrafficStats& sight, const DaemonCounts& daemon, WallTime now) {
  const auto observed = kernel.read();
  if (!observed) return std::unexpected(observed.error());
  auto origins = store.origins(now);
  if (!origins) return std::unexpected(origins.error());
  Counts out;
  out.time = now;
  out.present = observed->table() != nullptr;
  for (const Limit& limit : policy.limits) {
    auto counted = count_limit(kernel, *observed, limit);
    if (!counted) return std::unexpected(counted.error());
    out.limits.push_back(std::move(*counted));
  }
  out.dropped = count_dropped(*observed);
  out.unlabelled = count_unlabelled(*observed);
  out.connections = sight.connections();
  out.open = sight.open();
  out.apps = sight.apps();
  out.blocks = std::move(*origins);
  out.daemon = daemon;
  return out;
}

}  // namespace fw
