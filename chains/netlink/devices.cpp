// The network devices of this namespace, read from the kernel (/sys may show another's).
// SPDX-License-Identifier: GPL-2.0-or-later
#include "chains/netlink/devices.hpp"

#include <algorithm>
#include <cerrno>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/socket.h>

#include "chains/netlink/attributes.hpp"
#include "chains/netlink/handles.hpp"

namespace chains {
namespace {

using fw::ErrorCode;
using fw::Result;

/// The device of a message about a link; nothing when the outside does not come in by it.
std::optional<Device> outside_device(const nlmsghdr* message) {
  const auto* link = static_cast<const ifinfomsg*>(mnl_nlmsg_get_payload(message));
  std::string name;
  bool inner = (link->ifi_flags & IFF_LOOPBACK) != 0;
  for_each_attribute(message, sizeof(ifinfomsg), [&](const nlattr* a) {
    const auto type = mnl_attr_get_type(a);
    if (type == IFLA_IFNAME) name = mnl_attr_get_str(a);
    if (type == IFLA_MASTER) inner = true;
    if (type != IFLA_LINKINFO) return;
    for_each_nested(a, [&inner](const nlattr* kind) {
      if (mnl_attr_get_type(kind) != IFLA_INFO_KIND) return;
      const std::string_view text = mnl_attr_get_str(kind);
      inner = inner || text == "bridge" || text == "dummy" || text == "ifb";
    });
  });
  if (inner || name.empty()) return std::nullopt;
  return Device{std::move(name), static_cast<std::uint32_t>(link->ifi_index)};
}

}  // namespace

std::vector<Device> outside_devices() {
  std::vector<Device> devices;
  const SocketHandle socket(mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC));
  if (!socket || mnl_socket_bind(socket.get(), 0, MNL_SOCKET_AUTOPID) < 0) return devices;
  alignas(nlmsghdr) char request[256];
  nlmsghdr* header = mnl_nlmsg_put_header(request);
  header->nlmsg_type = RTM_GETLINK;
  header->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
  auto* link = static_cast<ifinfomsg*>(mnl_nlmsg_put_extra_header(header, sizeof(ifinfomsg)));
  link->ifi_family = AF_UNSPEC;
  if (mnl_socket_sendto(socket.get(), header, header->nlmsg_len) < 0) return devices;
  std::vector<char> buffer(kFeedBytes);
  for (bool done = false; !done;) {
    const ssize_t got = mnl_socket_recvfrom(socket.get(), buffer.data(), buffer.size());
    if (got <= 0) break;
    for (const nlmsghdr* const m : Messages(buffer.data(), got)) {
      done = done || m->nlmsg_type == NLMSG_DONE || m->nlmsg_type == NLMSG_ERROR;
      if (m->nlmsg_type != RTM_NEWLINK) continue;
      if (auto device = outside_device(m)) devices.push_back(std::move(*device));
    }
  }
  std::sort(devices.begin(), devices.end());
  return devices;
}

std::optional<Device> device_towards(fw::Ip ip) {
  const SocketHandle socket(mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC));
  if (!socket || mnl_socket_bind(socket.get(), 0, MNL_SOCKET_AUTOPID) < 0) return {};
  alignas(nlmsghdr) char request[256];
  nlmsghdr* header = mnl_nlmsg_put_header(request);
  header->nlmsg_type = RTM_GETROUTE;
  header->nlmsg_flags = NLM_F_REQUEST;
  auto* route = static_cast<rtmsg*>(mnl_nlmsg_put_extra_header(header, sizeof(rtmsg)));
  route->rtm_family = ip.family == fw::Family::ipv4 ? AF_INET : AF_INET6;
  route->rtm_dst_len = static_cast<unsigned char>(fw::address_bits(ip.family));
  const auto bytes = fw::to_bytes(ip);
  mnl_attr_put(header, RTA_DST, bytes.size(), bytes.data());
  if (mnl_socket_sendto(socket.get(), header, header->nlmsg_len) < 0) return {};
  std::vector<char> buffer(kFeedBytes);
  const ssize_t got = mnl_socket_recvfrom(socket.get(), buffer.data(), buffer.size());
  const auto* answer = reinterpret_cast<const nlmsghdr*>(buffer.data());
  if (got <= 0 || !message_fits(answer, static_cast<int>(got)) ||
      answer->nlmsg_type != RTM_NEWROUTE) {
    return {};
  }
  Device device;
  for_each_attribute(answer, sizeof(rtmsg), [&device](const nlattr* a) {
    if (mnl_attr_get_type(a) == RTA_OIF) device.index = mnl_attr_get_u32(a);
  });
  char name[IF_NAMESIZE];
  if (device.index == 0 || if_indextoname(device.index, name) == nullptr) return {};
  device.name = name;
  return device;
}

Result<DeviceWatch> DeviceWatch::open() {
  auto socket = netlink_socket(NETLINK_ROUTE, RTMGRP_LINK, "routing");
  if (!socket) return std::unexpected(socket.error());
  DeviceWatch watch;
  watch.fd_ = std::move(*socket);
  watch.begin();
  return watch;
}

/// Behind the subscription: what changes in the meantime is reported after it, perhaps twice.
void DeviceWatch::begin() {
  devices_.clear();
  for (Device& device : outside_devices()) devices_[device.index] = std::move(device.name);
}

Result<void> DeviceWatch::drain() {
  alignas(nlmsghdr) char buffer[16 * 1024];
  for (;;) {
    const ssize_t got = ::recv(fd_.fd(), buffer, sizeof buffer, 0);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno == EAGAIN) return {};
    if (got < 0 && errno == ENOBUFS) {
      begin();
      continue;
    }
    if (got < 0) {
      return fw::fail_errno(ErrorCode::kernel_refused, "cannot watch network devices", errno);
    }
    for (const nlmsghdr* const m : Messages(buffer, got)) {
      take(m);
    }
  }
}

void DeviceWatch::take(const nlmsghdr* message) {
  const bool about_link = message->nlmsg_type == RTM_NEWLINK || message->nlmsg_type == RTM_DELLINK;
  if (!about_link || mnl_nlmsg_get_payload_len(message) < sizeof(ifinfomsg)) return;
  const auto* link = static_cast<const ifinfomsg*>(mnl_nlmsg_get_payload(message));
  if (link->ifi_family != AF_UNSPEC) return;  // a bridge tells of its ports: they stay devices
  auto device = message->nlmsg_type == RTM_NEWLINK ? outside_device(message) : std::nullopt;
  const auto index = static_cast<std::uint32_t>(link->ifi_index);
  if (device) {
    devices_[index] = std::move(device->name);
  } else {
    devices_.erase(index);
  }
}

std::vector<Device> DeviceWatch::devices() const {
  std::vector<Device> out;
  for (const auto& [index, name] : devices_) out.push_back({name, index});
  std::sort(out.begin(), out.end());
  return out;
}

}  // namespace chains
