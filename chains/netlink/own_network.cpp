// The host's place in its networks, read from the kernel.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "chains/netlink/own_network.hpp"

#include <algorithm>
#include <cerrno>
#include <map>
#include <optional>
#include <string_view>
#include <utility>

#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/socket.h>

#include "chains/netlink/attributes.hpp"
#include "chains/netlink/feed_socket.hpp"
#include "chains/netlink/handles.hpp"
#include "fw/base/limits.hpp"

namespace chains {
namespace {

using fw::ErrorCode;
using fw::Family;
using fw::Ip;
using fw::IpRange;
using fw::Result;

constexpr int kDumpTries = 5;  // when something changes while the kernel tells it

std::optional<Family> family_of(unsigned char family) {
  if (family == AF_INET) return Family::ipv4;
  if (family == AF_INET6) return Family::ipv6;
  return {};
}

Ip address_of(Family family, const nlattr* attribute) {
  const auto size = static_cast<std::size_t>(fw::address_bits(family) / 8);
  if (mnl_attr_get_payload_len(attribute) < size) return {family, 0};
  return fw::ip_from_bytes(family, mnl_attr_get_payload(attribute));
}

IpRange network_of(Ip ip, int length) {
  const int bits = fw::address_bits(ip.family);
  const fw::U128 hosts = length >= bits ? fw::U128{0} : fw::address_max(ip.family) >> length;
  return {ip.family, ip.bits & ~hosts, ip.bits | hosts};
}

/// Hands every message of a dump to `on`, which may end it with false. False: the kernel changed
/// what it was telling.
template <class Header, class On>
Result<bool> dump(std::uint16_t type, const On& on) {
  const SocketHandle socket(mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC));
  const auto failed = [] {
    return fw::fail_errno(ErrorCode::kernel_refused, "cannot read the host's addresses and routes",
                          errno);
  };
  if (!socket || mnl_socket_bind(socket.get(), 0, MNL_SOCKET_AUTOPID) < 0) return failed();
  alignas(nlmsghdr) char request[256];
  nlmsghdr* header = mnl_nlmsg_put_header(request);
  header->nlmsg_type = type;
  header->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
  mnl_nlmsg_put_extra_header(header, sizeof(Header));
  if (mnl_socket_sendto(socket.get(), header, header->nlmsg_len) < 0) return failed();
  std::vector<char> buffer(kFeedBytes);
  for (bool whole = true;;) {
    const ssize_t got = mnl_socket_recvfrom(socket.get(), buffer.data(), buffer.size());
    if (got <= 0) return failed();
    for (const nlmsghdr* const m : Messages(buffer.data(), got)) {
      whole = whole && (m->nlmsg_flags & NLM_F_DUMP_INTR) == 0;
      if (m->nlmsg_type == NLMSG_DONE) return whole;
      if (m->nlmsg_type == NLMSG_ERROR) return failed();
      if (mnl_nlmsg_get_payload_len(m) < sizeof(Header)) continue;
      if (!on(m, *static_cast<const Header*>(mnl_nlmsg_get_payload(m)))) return true;
    }
  }
}

struct Device {
  std::string name;
  std::uint32_t master = 0;
  bool many = false;  ///< more than one can be at the other end, and is distinguished by ARP or ND
  bool loopback = false;
  bool bridge = false;
  bool veth = false;
};

/// What the kernel tells, on its way to a value.
class Reading {
 public:
  bool take(const nlmsghdr* message, const ifinfomsg& link) {
    Device& device = devices_[static_cast<std::uint32_t>(link.ifi_index)];
    device.loopback = (link.ifi_flags & IFF_LOOPBACK) != 0;
    device.many = (link.ifi_flags & (IFF_LOOPBACK | IFF_POINTOPOINT | IFF_NOARP)) == 0;
    for_each_attribute(message, sizeof link, [&device](const nlattr* a) {
      const auto type = mnl_attr_get_type(a);
      if (type == IFLA_IFNAME) device.name = mnl_attr_get_str(a);
      if (type == IFLA_MASTER) device.master = mnl_attr_get_u32(a);
      if (type != IFLA_LINKINFO) return;
      for_each_nested(a, [&device](const nlattr* kind) {
        if (mnl_attr_get_type(kind) != IFLA_INFO_KIND) return;
        const std::string_view text = mnl_attr_get_str(kind);
        device.bridge = text == "bridge";
        device.veth = text == "veth";
      });
    });
    return true;
  }

  bool take(const nlmsghdr* message, const ifaddrmsg& head) {
    const auto family = family_of(head.ifa_family);
    if (!family) return true;
    std::optional<Ip> own, on_link;
    for_each_attribute(message, sizeof head, [&](const nlattr* a) {
      if (mnl_attr_get_type(a) == IFA_LOCAL) own = address_of(*family, a);
      if (mnl_attr_get_type(a) == IFA_ADDRESS) on_link = address_of(*family, a);
    });
    if (!own) own = on_link;
    if (!own) return true;
    if (!on_link) on_link = own;  // a peer's, else the own one again
    out_.addresses.push_back({*own, devices_[head.ifa_index].name});
    add_link(head.ifa_index, *on_link, head.ifa_prefixlen);
    return true;
  }

  bool take(const nlmsghdr* message, const rtmsg& route) {
    const auto family = family_of(route.rtm_family);
    if (!family || route.rtm_type != RTN_UNICAST) return ++routes_ < fw::kRoutesRead;
    Ip to{*family, 0};
    std::uint32_t device = 0;
    std::vector<Ip> gateways;
    const auto next_hop = [&](const nlattr* a) {
      if (mnl_attr_get_type(a) == RTA_GATEWAY) gateways.push_back(address_of(*family, a));
      if (mnl_attr_get_type(a) == RTA_VIA) add_via(a, gateways);
    };
    for_each_attribute(message, sizeof route, [&](const nlattr* a) {
      next_hop(a);
      const auto type = mnl_attr_get_type(a);
      if (type == RTA_DST) to = address_of(*family, a);
      if (type == RTA_OIF) device = mnl_attr_get_u32(a);
      if (type != RTA_MULTIPATH) return;
      const auto* hop = static_cast<const rtnexthop*>(mnl_attr_get_payload(a));
      int left = mnl_attr_get_payload_len(a);
      for (; left >= static_cast<int>(sizeof *hop) && RTNH_OK(hop, left);
           left -= static_cast<int>(NLMSG_ALIGN(hop->rtnh_len)), hop = RTNH_NEXT(hop)) {
        device = static_cast<std::uint32_t>(hop->rtnh_ifindex);
        const auto* const end = reinterpret_cast<const char*>(hop) + hop->rtnh_len;
        const auto* at = reinterpret_cast<const nlattr*>(RTNH_DATA(hop));
        for (; mnl_attr_ok(at, static_cast<int>(end - reinterpret_cast<const char*>(at)));
             at = mnl_attr_next(at)) {
          next_hop(at);
        }
      }
    });
    for (const Ip gateway : gateways) out_.routers.push_back({gateway, devices_[device].name});
    if (gateways.empty() && devices_[device].many) add_link(device, to, route.rtm_dst_len);
    return ++routes_ < fw::kRoutesRead;
  }

  OwnNetwork finish() && {
    const auto sort = [](auto& all) {
      std::ranges::sort(all);
      all.erase(std::ranges::unique(all).begin(), all.end());
    };
    sort(out_.addresses);
    sort(out_.links);
    sort(out_.routers);
    return std::move(out_);
  }

 private:
  /// RTA_VIA: a family, then an address of it.
  static void add_via(const nlattr* attribute, std::vector<Ip>& gateways) {
    if (mnl_attr_get_payload_len(attribute) < 2) return;
    const auto* const via = static_cast<const rtvia*>(mnl_attr_get_payload(attribute));
    const auto family = family_of(static_cast<unsigned char>(via->rtvia_family));
    if (!family) return;
    if (mnl_attr_get_payload_len(attribute) < 2u + fw::address_bits(*family) / 8) return;
    gateways.push_back(fw::ip_from_bytes(*family, via->rtvia_addr));
  }

  void add_link(std::uint32_t index, Ip ip, int length) {
    const Device& device = devices_[index];
    if (device.loopback || length == 0 || length >= fw::address_bits(ip.family)) return;
    out_.links.push_back({network_of(ip, length), device.name, has_containers(index)});
  }

  bool has_containers(std::uint32_t index) const {
    if (!devices_.at(index).bridge) return false;
    bool any = false;
    for (const auto& [port, device] : devices_) {
      if (device.master != index) continue;
      if (!device.veth) return false;
      any = true;
    }
    return any;
  }

  std::map<std::uint32_t, Device> devices_;
  std::size_t routes_ = 0;
  OwnNetwork out_;
};

}  // namespace

Result<OwnNetwork> read_own_network() {
  for (int attempt = 1;; ++attempt) {
    Reading reading;
    const auto take = [&reading](const nlmsghdr* message, const auto& head) {
      return reading.take(message, head);
    };
    const auto links = dump<ifinfomsg>(RTM_GETLINK, take);
    if (!links) return std::unexpected(links.error());
    const auto addresses = dump<ifaddrmsg>(RTM_GETADDR, take);
    if (!addresses) return std::unexpected(addresses.error());
    const auto routes = dump<rtmsg>(RTM_GETROUTE, take);
    if (!routes) return std::unexpected(routes.error());
    if ((*links && *addresses && *routes) || attempt == kDumpTries) {
      return std::move(reading).finish();
    }
  }
}

}  // namespace chains
