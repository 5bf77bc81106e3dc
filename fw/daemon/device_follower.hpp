// Devices and bridges as they come and go: reports when the rules no longer fit them.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>

#include "chains/netlink/bridges.hpp"
#include "chains/netlink/devices.hpp"
#include "fw/base/result.hpp"

namespace fw {

class DeviceFollower {
 public:
  /// `changed` is called in the loop when the devices with an early drop, or the bridges, are not
  /// those that the rules hold; `lost` once, when devices can be followed no more.
  DeviceFollower(boost::asio::io_context& io, chains::DeviceWatch watch,
                 std::function<void()> changed, std::function<void(const Error&)> lost);
  ~DeviceFollower();

  void begin();

  /// What the rules hold from now on. True if the devices, or the bridges, are others than before;
  /// false the first time.
  bool hold_devices(std::vector<chains::Device> devices);
  bool hold_bridges(std::vector<chains::Bridge> bridges);
  /// Names of the devices that the rules hold.
  std::vector<std::string> names() const;

 private:
  void listen();
  void settled();
  void look_after(std::chrono::milliseconds pause);
  void look();

  chains::DeviceWatch watch_;
  std::function<void()> changed_;
  std::function<void(const Error&)> lost_;
  std::optional<std::vector<chains::Device>> devices_;  ///< that have an early drop
  std::optional<std::vector<chains::Bridge>> bridges_;
  boost::asio::posix::stream_descriptor fd_;
  boost::asio::steady_timer settle_timer_;
  boost::asio::steady_timer look_timer_;
  bool unsettled_ = false;
  bool look_due_ = false;
  int looks_left_ = 0;
  std::chrono::milliseconds look_pause_;
};

}  // namespace fw
