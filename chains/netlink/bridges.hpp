// The bridges of this network namespace and the devices at their ports, read from the kernel.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <vector>

#include "chains/bridges.hpp"

namespace chains {

/// Sorted by name, at most kBridgesMax with kBridgePortsMax ports in all. What cannot be asked
/// is left out.
std::vector<Bridge> read_bridges();

}  // namespace chains
