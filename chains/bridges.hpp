// The bridges of the host, and the containers at their ports.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <string>
#include <vector>

#include "fw/base/address.hpp"
#include "fw/policy/policy.hpp"

namespace chains {

using Mac = std::array<std::uint8_t, 6>;

/// A port that connects a device of this host to a bridge: the host's device and, of a container,
/// what its own end has by the kernel's word. A container cannot change that without CAP_NET_ADMIN.
struct BridgePort {
  std::uint32_t index = 0;        ///< of the host's device
  Mac mac{};                      ///< of the container's end
  std::vector<fw::Ip> addresses;  ///< of the container's end; none: not known. Sorted

  bool operator==(const BridgePort&) const = default;
};

struct Bridge {
  /// What else than containers is at its ports, the first of these that fits.
  enum class Others : std::uint8_t {
    uplink,  ///< a device by which a network comes in
    guests,  ///< virtual machines
    none,
  };

  std::string name;
  std::uint32_t index = 0;
  Others others = Others::none;
  std::vector<fw::Ip> addresses;  ///< of the host on it; sorted
  std::vector<BridgePort> ports;  ///< sorted by index; without those that are an uplink

  bool operator==(const Bridge&) const = default;
};

/// Has the host an address of that network on it?
bool has_address_in(const Bridge& bridge, const fw::IpRange& network);

/// Do apps sit on it? It has no uplink, and the host has an address of an app network there, or
/// Docker made it and its containers are apps.
bool is_of_apps(const Bridge& bridge, const fw::Policy& policy);

/// Is it a bridge of containers that the outside must not reach by their own addresses? It is of
/// apps, or of a container engine, or has containers at its ports and nothing else; it has no
/// uplink, is none of those that hold guests, and the policy does not name it as routed.
bool is_of_containers(const Bridge& bridge, const fw::Policy& policy);

}  // namespace chains
