// Takes the firewall out of the kernel.
#pragma once

#include "chains/netlink/kernel.hpp"

namespace fw {

/// Removes our table with everything in it; says whether there was one.
Result<bool> remove_table(chains::Kernel& kernel);

}  // namespace fw
