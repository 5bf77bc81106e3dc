// The network devices of this namespace.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "chains/compile.hpp"
#include "chains/netlink/feed_socket.hpp"
#include "fw/base/address.hpp"
#include "fw/base/result.hpp"

struct nlmsghdr;

namespace chains {

/// Devices by which the outside comes in: not loopback, no bridge and no port of one, nothing
/// that only passes on what others received. Sorted.
std::vector<Device> outside_devices();

/// The device that packets to an address leave by, and most likely those from it come in by;
/// nothing when there is no route.
std::optional<Device> device_towards(fw::Ip ip);

/// The same, as they come and go.
class DeviceWatch {
 public:
  static fw::Result<DeviceWatch> open();

  int fd() const { return fd_.fd(); }
  /// Takes in what was reported since the last time; does not wait.
  fw::Result<void> drain();
  std::vector<Device> devices() const;

 private:
  DeviceWatch() = default;
  void begin();
  void take(const nlmsghdr* message);

  fw::File fd_;
  std::map<std::uint32_t, std::string> devices_;  // by index
};

}  // namespace chains
