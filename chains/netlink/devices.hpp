// The network devices of this namespace.
#pragma once

#include <string>
#include <vector>

namespace chains {

/// Devices by which the outside comes in: not loopback, no bridge and no port of one. Sorted.
std::vector<std::string> outside_devices();

}  // namespace chains
