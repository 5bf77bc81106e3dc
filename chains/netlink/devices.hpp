// The network devices of this namespace.
#pragma once

#include <vector>

#include "chains/compile.hpp"

namespace chains {

/// Devices by which the outside comes in: not loopback, no bridge and no port of one, nothing
/// that only passes on what others received. Sorted.
std::vector<Device> outside_devices();

}  // namespace chains
