// What the host is like.
#include "fw/host/surroundings.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <ctime>
#include <fstream>
#include <string_view>

#include <ifaddrs.h>
#include <netinet/in.h>

#include "chains/netlink/devices.hpp"
#include "fw/base/limits.hpp"

namespace fw {
namespace {

using namespace std::string_view_literals;

/// States of /proc/net/tcp in which data still flows: ESTABLISHED, FIN_WAIT1, FIN_WAIT2,
/// CLOSE_WAIT, LAST_ACK, CLOSING (include/net/tcp_states.h).
constexpr std::array kOpenStates{"01"sv, "04"sv, "05"sv, "08"sv, "09"sv, "0B"sv};

/// "0100007F:0016": words of the address in host order, then the port.
bool parse_endpoint(std::string_view text, Ip& ip, std::uint16_t& port) {
  const auto colon = text.find(':');
  if (colon != 8 && colon != 32) return false;
  std::array<std::uint32_t, 4> words{};
  for (std::size_t i = 0; i < colon / 8; ++i) {
    const auto word = text.substr(i * 8, 8);
    if (std::from_chars(word.data(), word.data() + 8, words[i], 16).ec != std::errc{}) return false;
  }
  ip = ip_from_bytes(colon == 8 ? Family::ipv4 : Family::ipv6, words.data());
  constexpr U128 kMapped = U128{0xffff} << 32;
  if (ip.family == Family::ipv6 && ip.bits >> 32 == kMapped >> 32) {
    ip = {Family::ipv4, ip.bits & 0xffffffff};
  }
  const auto digits = text.substr(colon + 1);
  return std::from_chars(digits.data(), digits.data() + digits.size(), port, 16).ec == std::errc{};
}

bool is_loopback(Ip ip) { return ip.family == Family::ipv4 ? ip.bits >> 24 == 127 : ip.bits == 1; }

void read_connections(const char* path, std::vector<chains::OpenConnection>& out) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);  // the heading
  std::string index;
  std::string local;
  std::string remote;
  std::string state;
  while (out.size() < kOpenConnectionsMax && file >> index >> local >> remote >> state) {
    std::getline(file, line);
    if (std::find(kOpenStates.begin(), kOpenStates.end(), state) == kOpenStates.end()) continue;
    chains::OpenConnection c;
    if (!parse_endpoint(local, c.local, c.local_port) ||
        !parse_endpoint(remote, c.remote, c.remote_port) || is_loopback(c.local)) {
      continue;
    }
    out.push_back(c);
  }
}

/// Sockets of a protocol that /proc/net/sockstat or sockstat6 counts; 1 when it cannot be told.
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

std::vector<chains::Device> early_drop_devices() {
  std::vector<chains::Device> devices = chains::outside_devices();
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
  if (has_sockets("/proc/self/net/sockstat", "TCP:")) read_connections("/proc/self/net/tcp", out);
  if (has_sockets("/proc/self/net/sockstat6", "TCP6:")) {
    read_connections("/proc/self/net/tcp6", out);
  }
  return out;
}

namespace {

std::vector<Ip> local_addresses() {
  std::vector<Ip> out;
  ifaddrs* all = nullptr;
  if (getifaddrs(&all) != 0) return out;
  for (const ifaddrs* one = all; one != nullptr; one = one->ifa_next) {
    if (one->ifa_addr == nullptr) continue;
    if (one->ifa_addr->sa_family == AF_INET) {
      const auto* const in = reinterpret_cast<const sockaddr_in*>(one->ifa_addr);
      out.push_back(ip_from_bytes(Family::ipv4, &in->sin_addr));
    }
    if (one->ifa_addr->sa_family == AF_INET6) {
      const auto* const in = reinterpret_cast<const sockaddr_in6*>(one->ifa_addr);
      out.push_back(ip_from_bytes(Family::ipv6, &in->sin6_addr));
    }
  }
  freeifaddrs(all);
  return out;
}

}  // namespace

std::function<bool(Ip)> except_local(std::function<bool(Ip)> among) {
  if (!among) return [](Ip) { return false; };
  return [among = std::move(among), own = local_addresses()](Ip ip) {
    return among(ip) && std::find(own.begin(), own.end(), ip) == own.end();
  };
}

WallTime wall_clock() {
  return std::chrono::time_point_cast<std::chrono::milliseconds>(std::chrono::system_clock::now());
}

Result<bool> filter_bridged_packets() {
  bool changed = false;
  for (const char* name : {"bridge-nf-call-iptables", "bridge-nf-call-ip6tables"}) {
    const std::string path = std::string("/proc/sys/net/bridge/") + name;
    std::ifstream in(path);
    char now = '0';
    if (!(in >> now)) {
      return fail(ErrorCode::unsupported,
                  "apps on one bridge are not kept apart: the kernel module br_netfilter is not "
                  "loaded (modprobe br_netfilter, and name it in /etc/modules-load.d/)");
    }
    if (now == '1') continue;
    std::ofstream out(path);
    if (!(out << "1\n" << std::flush)) {
      return fail(ErrorCode::permission, "apps on one bridge are not kept apart: cannot set " +
                                             path + " to 1 (sysctl net.bridge." + name + "=1)");
    }
    changed = true;
  }
  return changed;
}

}  // namespace fw
