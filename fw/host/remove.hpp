// Takes the firewall out of the kernel.
#pragma once

#include "chains/netlink/kernel.hpp"

namespace fw {

/// Removes our tables with everything in them; says whether there was one.
Result<bool> remove_tables(chains::Kernel& kernel);

}  // namespace fw
