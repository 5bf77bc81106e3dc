// Where the host's default routes lead.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/host/uplink.hpp"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <sstream>

#include <arpa/inet.h>
#include <fmt/format.h>

#include "fw/base/file.hpp"
#include "fw/host/own_addresses.hpp"

namespace fw {
namespace {

constexpr std::uint32_t kRouteReject = 0x0200;  // RTF_REJECT: it leads nowhere

template <class T>
bool from_hex(std::string_view text, T& value) {
  const auto [end, error] = std::from_chars(text.begin(), text.end(), value, 16);
  return error == std::errc{} && end == text.end();
}

void add_route4(std::istringstream words, Uplink& out) {
  std::string device, destination, gateway, flags, count, use, metric, mask;
  if (!(words >> device >> destination >> gateway >> flags >> count >> use >> metric >> mask)) {
    return;
  }
  std::uint32_t to = 0, by = 0, is = 0, length = 0;
  if (!from_hex(destination, to) || !from_hex(gateway, by) || !from_hex(flags, is) ||
      !from_hex(mask, length) || to != 0 || length != 0 || (is & kRouteReject) != 0) {
    return;
  }
  out.devices.push_back(device);
  // As it lies in memory: the kernel prints a word of network order.
  if (by != 0) out.gateways.push_back(ip_from_bytes(Family::ipv4, &by));
}

void add_route6(std::istringstream words, Uplink& out) {
  std::string to, to_length, from, from_length, next, metric, count, use, flags, device;
  if (!(words >> to >> to_length >> from >> from_length >> next >> metric >> count >> use >>
        flags >> device)) {
    return;
  }
  std::uint32_t is = 0;
  if (to_length != "00" || next.size() != 32 || !from_hex(flags, is) || (is & kRouteReject) != 0 ||
      device == "lo") {
    return;
  }
  std::uint8_t bytes[16];
  for (std::size_t i = 0; i < sizeof bytes; ++i) {
    if (!from_hex(std::string_view(next).substr(2 * i, 2), bytes[i])) return;
  }
  out.devices.push_back(device);
  const Ip gateway = ip_from_bytes(Family::ipv6, bytes);
  if (gateway.bits != 0) out.gateways.push_back(gateway);
}

template <class Add>
void each_line(std::string_view text, const Add& add) {
  while (!text.empty()) {
    const auto end = std::min(text.find('\n'), text.size());
    add(std::istringstream(std::string(text.substr(0, end))));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
}

}  // namespace

Uplink parse_default_routes(std::string_view ipv4, std::string_view ipv6) {
  Uplink out;
  each_line(ipv4, [&out](std::istringstream line) { add_route4(std::move(line), out); });
  each_line(ipv6, [&out](std::istringstream line) { add_route6(std::move(line), out); });
  std::ranges::sort(out.devices);
  out.devices.erase(std::unique(out.devices.begin(), out.devices.end()), out.devices.end());
  return out;
}

Uplink read_uplink() {
  Uplink out = parse_default_routes(read_kernel_file("/proc/self/net/route"),
                                    read_kernel_file("/proc/self/net/ipv6_route"));
  for (const OwnAddress& own : own_addresses()) {
    if (std::ranges::binary_search(out.devices, own.device) && !own.link_local) {
      out.addresses.push_back(own.ip);
    }
  }
  return out;
}

std::vector<Ip> nameservers_of(std::string_view resolv_conf) {
  std::vector<Ip> out;
  each_line(resolv_conf, [&out](std::istringstream line) {
    std::string word, address;
    if (!(line >> word >> address) || word != "nameserver") return;
    const auto ip = parse_ip(address.substr(0, address.find('%')));
    if (ip) out.push_back(*ip);
  });
  return out;
}

SparedSpace spared_here() {
  SparedSpace out = special_space();
  const SparedIndex special(special_space());
  const auto add = [&](const std::vector<Ip>& ips, const char* why) {
    for (const Ip ip : ips) {
      const IpRange range{ip.family, ip.bits, ip.bits};
      if (special.touched(range) == nullptr) out.push_back({range, why});
    }
  };
  std::vector<Ip> own;
  for (const OwnAddress& one : own_addresses()) own.push_back(one.ip);
  add(own, "this host's own address");
  add(read_uplink().gateways, "this host's router");
  // With systemd-resolved the first names the stub only.
  add(nameservers_of(read_kernel_file("/etc/resolv.conf")), "this host's resolver");
  add(nameservers_of(read_kernel_file("/run/systemd/resolve/resolv.conf")), "this host's resolver");
  return out;
}

std::vector<Problem> uplinks_among_apps(const Policy& policy, const Uplink& uplink) {
  std::vector<Problem> out;
  for (const auto& network : policy.app_networks) {
    if (network.where.line == 0) continue;  // of the built-in default, or discovered
    const auto held = [&network](Ip ip) {
      return network.value.contains({ip.family, ip.bits, ip.bits});
    };
    const auto gateway = std::ranges::find_if(uplink.gateways, held);
    const auto own = std::ranges::find_if(uplink.addresses, held);
    if (gateway == uplink.gateways.end() && own == uplink.addresses.end()) continue;
    const bool router = gateway != uplink.gateways.end();
    out.push_back(
        {Severity::error,
         fmt::format(
             "{} is not a network of apps: it holds {} {}, so every host in that network would "
             "count as an app; name only networks of container bridges (containers of "
             "macvlan and ipvlan networks are neighbours in the LAN, not apps)",
             to_string(network.value), router ? "this host's router" : "this host's own address",
             to_string(router ? *gateway : *own)),
         network.where});
  }
  return out;
}

}  // namespace fw
