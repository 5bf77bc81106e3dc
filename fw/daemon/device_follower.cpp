// Devices and bridges as they come and go.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/daemon/device_follower.hpp"

#include <algorithm>
#include <utility>

#include "fw/host/host_facts.hpp"

namespace fw {
namespace {

using namespace std::chrono_literals;
using boost::system::error_code;
using Clock = std::chrono::steady_clock;

constexpr auto kBridgesSettle = 10ms;   // once a device is another; more where a look is dear
constexpr auto kDevicesSettle = 300ms;  // the same, for those of the outside
constexpr auto kLookAgain = 1s;         // and then so often
constexpr int kLooks = 5;               // more

}  // namespace

DeviceFollower::DeviceFollower(boost::asio::io_context& io, chains::DeviceWatch watch,
                               std::function<void()> changed,
                               std::function<void(const Error&)> lost)
    : watch_(std::move(watch)),
      changed_(std::move(changed)),
      lost_(std::move(lost)),
      fd_(io),
      settle_timer_(io),
      look_timer_(io),
      look_pause_(kBridgesSettle) {}

DeviceFollower::~DeviceFollower() {
  if (fd_.is_open()) fd_.release();  // it is the watch's
}

void DeviceFollower::begin() {
  fd_.assign(watch_.fd());
  listen();
}

/// A container that starts makes a device, which is the outside's until it is put into a bridge.
/// What a container has at its own end is there before its device is reported to be up, and its
/// first process comes after that: so its port is tied at once, and outside devices once they have
/// settled.
void DeviceFollower::listen() {
  fd_.async_wait(boost::asio::posix::stream_descriptor::wait_read, [this](const error_code& error) {
    if (error) return;
    if (const auto drained = watch_.drain(); !drained) return lost_(drained.error());
    looks_left_ = kLooks;
    look_after(look_pause_);
    if (!std::exchange(unsettled_, true)) {
      settle_timer_.expires_after(kDevicesSettle);
      settle_timer_.async_wait([this](const error_code& cancelled) {
        if (!cancelled) settled();
      });
    }
    listen();
  });
}

void DeviceFollower::settled() {
  unsettled_ = false;
  if (early_drop_devices(watch_.devices()) != devices_) changed_();
  look_after(0ms);
}

/// One that is due earlier stays.
void DeviceFollower::look_after(std::chrono::milliseconds pause) {
  const auto due = Clock::now() + pause;
  if (look_due_ && look_timer_.expiry() <= due) return;
  look_due_ = true;
  look_timer_.expires_at(due);
  look_timer_.async_wait([this](const error_code& cancelled) {
    if (!cancelled) look();
  });
}

/// Bridges are looked at some times more: of what is done inside of a container nobody tells.
void DeviceFollower::look() {
  look_due_ = false;
  const auto begin = Clock::now();
  if (chains::read_bridges() != bridges_) changed_();
  const auto took = std::chrono::round<std::chrono::milliseconds>(Clock::now() - begin);
  look_pause_ = std::max<std::chrono::milliseconds>(kBridgesSettle, 10 * took);
  if (looks_left_ == 0) return;
  --looks_left_;
  look_after(kLookAgain);
}

bool DeviceFollower::hold_devices(std::vector<chains::Device> devices) {
  const bool others = devices_ && *devices_ != devices;
  devices_ = std::move(devices);
  return others;
}

bool DeviceFollower::hold_bridges(std::vector<chains::Bridge> bridges) {
  const bool others = bridges_ && *bridges_ != bridges;
  bridges_ = std::move(bridges);
  return others;
}

std::vector<std::string> DeviceFollower::names() const {
  std::vector<std::string> out;
  if (!devices_) return out;
  for (const chains::Device& device : *devices_) out.push_back(device.name);
  return out;
}

}  // namespace fw
