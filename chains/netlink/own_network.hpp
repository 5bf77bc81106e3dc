// The host's place in its networks: its addresses, its links, its routers.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <string>
#include <vector>

#include "fw/base/address.hpp"
#include "fw/base/result.hpp"

namespace chains {

/// An address and the device that has it, or that leads to it.
struct PlacedAddress {
  fw::Ip ip;
  std::string device;

  bool operator==(const PlacedAddress&) const = default;
  auto operator<=>(const PlacedAddress&) const = default;
};

/// Addresses that are reached without a router.
struct Link {
  fw::IpRange network;
  std::string device;
  bool containers = false;  ///< a bridge all of whose ports are veth devices

  bool operator==(const Link&) const = default;
  auto operator<=>(const Link&) const = default;
};

/// All sorted, without repetition.
struct OwnNetwork {
  std::vector<PlacedAddress> addresses;  ///< of all devices, loopback included
  std::vector<Link> links;               ///< by addresses and by routes without a gateway
  std::vector<PlacedAddress> routers;    ///< gateways of every table, router advertisements' too

  bool operator==(const OwnNetwork&) const = default;
};

/// As it is at this moment, of this network namespace. Of more than kRoutesRead routes the rest is
/// not seen; default routes come first.
fw::Result<OwnNetwork> read_own_network();

}  // namespace chains
