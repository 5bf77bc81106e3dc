// What the host is like.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/host/host_facts.hpp"

#include <algorithm>
#include <array>
#include <ctime>
#include <fstream>

#include <fmt/format.h>

#include "chains/netlink/devices.hpp"
#include "fw/base/endpoint.hpp"
#include "fw/base/limits.hpp"
#include "fw/host/own_addresses.hpp"
#include "fw/host/tcp_sockets.hpp"

namespace fw {
namespace {

/// Data still flows: not only established, one end may have said that it ends.
bool is_open(TcpState state) {
  constexpr std::array kOpen{TcpState::established, TcpState::fin_wait1, TcpState::fin_wait2,
                             TcpState::close_wait,  TcpState::last_ack,  TcpState::closing};
  return std::ranges::find(kOpen, state) != kOpen.end();
}

void read_connections(Family family, std::vector<chains::OpenConnection>& out) {
  read_tcp_sockets(family, [&out](const TcpSocket& socket) {
    const chains::OpenConnection& ends = socket.ends;
    if (is_open(socket.state) && !is_loopback(ends.local)) out.push_back(ends);
    return out.size() < kOpenConnectionsMax;
  });
}

/// Sockets of a protocol that /proc/net/sockstat or sockstat6 counts; 1 if unknown.
/// Reading the sockets themselves walks a hash table of all namespaces: milliseconds.
bool has_sockets(const char* path, const std::string& protocol) {
  std::ifstream file(path);
  std::string word;
  while (file >> word) {
    std::size_t count = 0;
    if (word == protocol && file >> word >> count) return count != 0;
  }
  return true;
}

}  // namespace

std::vector<chains::Device> early_drop_devices(std::vector<chains::Device> devices) {
  if (devices.size() > kDevicesMax) devices.resize(kDevicesMax);
  return devices;
}

std::chrono::milliseconds kernel_tick() {
  timespec resolution{};
  clock_getres(CLOCK_MONOTONIC_COARSE, &resolution);
  const std::chrono::nanoseconds tick{resolution.tv_nsec};
  return std::max(std::chrono::ceil<std::chrono::milliseconds>(tick), std::chrono::milliseconds{1});
}

std::vector<chains::OpenConnection> open_connections() {
  std::vector<chains::OpenConnection> out;
  if (has_sockets("/proc/self/net/sockstat", "TCP:")) read_connections(Family::ipv4, out);
  if (has_sockets("/proc/self/net/sockstat6", "TCP6:")) read_connections(Family::ipv6, out);
  return out;
}

std::function<bool(Ip)> except_local(std::function<bool(Ip)> among) {
  if (!among) return [](Ip) { return false; };
  return [among = std::move(among), own = own_addresses()](Ip ip) {
    return among(ip) && std::ranges::find(own, ip, &OwnAddress::ip) == own.end();
  };
}

WallTime wall_clock() {
  return std::chrono::time_point_cast<std::chrono::milliseconds>(std::chrono::system_clock::now());
}

std::int64_t wall_seconds() {
  return std::chrono::floor<std::chrono::seconds>(wall_clock()).time_since_epoch().count();
}

namespace {

std::chrono::milliseconds timers_clock() {
  timespec time{};
  (void)clock_gettime(CLOCK_MONOTONIC, &time);
  return std::chrono::duration_cast<std::chrono::milliseconds>(
      std::chrono::seconds{time.tv_sec} + std::chrono::nanoseconds{time.tv_nsec});
}

}  // namespace

Clocks read_clocks() {
  constexpr std::chrono::milliseconds kMoment{5};
  constexpr int kTries = 100;
  Clocks clocks{};
  auto before = timers_clock();
  for (int attempt = 0; attempt < kTries; ++attempt) {
    clocks.now = wall_clock();
    const auto after = timers_clock();
    clocks.began = clocks.now - after;
    if (after - before <= kMoment) break;
    before = after;
  }
  return clocks;
}

bool clock_was_set(WallTime began_then, WallTime began_now) {
  return std::chrono::abs(began_now - began_then) >= kClockStepMin;
}

namespace {

constexpr const char* kBridgeSwitches[] = {"bridge-nf-call-iptables", "bridge-nf-call-ip6tables"};
std::string bridge_path(const char* name) { return std::string("/proc/sys/net/bridge/") + name; }

Result<bool> is_switched_on(const char* name) {
  std::ifstream in(bridge_path(name));
  char now = '0';
  if (in >> now) return now == '1';
  return fail(ErrorCode::unsupported,
              "apps on one bridge are not isolated: the kernel module br_netfilter is not "
              "loaded (modprobe br_netfilter, and name it in /etc/modules-load.d/)");
}

}  // namespace

Result<bool> filter_bridged_packets() {
  bool changed = false;
  for (const char* name : kBridgeSwitches) {
    const auto on = is_switched_on(name);
    if (!on) return on;
    if (*on) continue;
    std::ofstream out(bridge_path(name));
    if (!(out << "1\n" << std::flush)) {
      return fail(ErrorCode::permission, "apps on one bridge are not isolated: cannot set " +
                                             bridge_path(name) + " to 1 (sysctl net.bridge." +
                                             name + "=1)");
    }
    changed = true;
  }
  return changed;
}

Result<void> bridged_packets_are_filtered() {
  for (const char* name : kBridgeSwitches) {
    const auto on = is_switched_on(name);
    if (!on) return std::unexpected(on.error());
    if (*on) continue;
    return fail(ErrorCode::unsupported,
                fmt::format("apps on one bridge are not isolated: net.bridge.{} is 0; set it: "
                            "sysctl net.bridge.{}=1",
                            name, name));
  }
  return {};
}

}  // namespace fw
