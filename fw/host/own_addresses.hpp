// The addresses of this host's own devices.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <string>
#include <vector>

#include "fw/base/address.hpp"

namespace fw {

struct OwnAddress {
  std::string device;
  Ip ip;
  bool link_local = false;  ///< of IPv6
};

/// In the network namespace of this process; none when the kernel does not tell.
std::vector<OwnAddress> own_addresses();

}  // namespace fw
