// Takes the firewall out of the kernel.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <vector>

#include "chains/netlink/kernel.hpp"

namespace fw {

/// Removes our tables with everything in them; says which there were.
Result<std::vector<chains::Table>> remove_tables(chains::Kernel& kernel);

}  // namespace fw
