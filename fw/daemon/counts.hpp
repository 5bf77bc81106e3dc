// Collects all counts.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "chains/netlink/kernel.hpp"
#include "fw/daemon/traffic_stats.hpp"
#include "fw/host/counts.hpp"
#include "fw/policy/policy.hpp"
#include "fw/store/store.hpp"

namespace fw {

/// Asks the kernel and the store; the rest is given. Without sources: how many are wanted differs.
Result<Counts> count(chains::Kernel& kernel, Store& store, const Policy& policy,
                     const TrafficStats& sight, const DaemonCounts& daemon, WallTime now);

}  // namespace fw
