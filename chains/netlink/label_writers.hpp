// Rules of other programs that write our bits of connection labels.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <optional>
#include <string>

#include <linux/netlink.h>

#include "chains/expr.hpp"

namespace chains {

/// Where the rule of that message stands ("table ip filter, chain INPUT"), if it is not of our
/// table and sets one of the bits, or bits that it takes from somewhere.
std::optional<std::string> label_writer(const nlmsghdr* message, const Bytes& bits);

}  // namespace chains
