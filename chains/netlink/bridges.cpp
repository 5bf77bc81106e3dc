// The bridges of this network namespace and the devices at their ports, read from the kernel.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "chains/netlink/bridges.hpp"

#include <algorithm>
#include <cstring>
#include <functional>
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

/// A device, as far as it tells of bridges.
struct Link {
  std::uint32_t index = 0;
  std::string name;
  std::string kind;
  std::uint32_t bridge = 0;         ///< that it is a port of
  std::uint32_t peer = 0;           ///< the other end of a pair
  std::optional<int> peer_netns{};  ///< of another network namespace
  Mac mac{};
  bool is_up = false;
};

std::uint32_t number(const nlattr* a) {
  return mnl_attr_get_payload_len(a) == sizeof(std::uint32_t) ? mnl_attr_get_u32(a) : 0;
}

Link read_link(const nlmsghdr* message) {
  Link out;
  const auto* link = static_cast<const ifinfomsg*>(mnl_nlmsg_get_payload(message));
  out.index = static_cast<std::uint32_t>(link->ifi_index);
  out.is_up = (link->ifi_flags & IFF_UP) != 0;
  for_each_attribute(message, sizeof(ifinfomsg), [&out](const nlattr* a) {
    const auto type = mnl_attr_get_type(a);
    if (type == IFLA_IFNAME) out.name = mnl_attr_get_str(a);
    if (type == IFLA_MASTER) out.bridge = number(a);
    if (type == IFLA_LINK) out.peer = number(a);
    if (type == IFLA_LINK_NETNSID) out.peer_netns = static_cast<int>(number(a));
    if (type == IFLA_ADDRESS && mnl_attr_get_payload_len(a) == out.mac.size()) {
      std::memcpy(out.mac.data(), mnl_attr_get_payload(a), out.mac.size());
    }
    if (type != IFLA_LINKINFO) return;
    for_each_nested(a, [&out](const nlattr* inner) {
      if (mnl_attr_get_type(inner) == IFLA_INFO_KIND) out.kind = mnl_attr_get_str(inner);
    });
  });
  return out;
}

struct Address {
  std::uint32_t index = 0;
  fw::Ip ip;
};

std::optional<Address> read_address(const nlmsghdr* message) {
  const auto* head = static_cast<const ifaddrmsg*>(mnl_nlmsg_get_payload(message));
  const bool v4 = head->ifa_family == AF_INET;
  if ((!v4 && head->ifa_family != AF_INET6) || (head->ifa_flags & IFA_F_DADFAILED) != 0) return {};
  std::optional<Address> out;
  for_each_attribute(message, sizeof(ifaddrmsg), [&](const nlattr* a) {
    // Of a pair IFA_ADDRESS is the far end's; IPv6 has IFA_LOCAL only then.
    const auto type = mnl_attr_get_type(a);
    if (type != IFA_LOCAL && (type != IFA_ADDRESS || out)) return;
    if (mnl_attr_get_payload_len(a) != (v4 ? 4 : 16)) return;
    out = Address{head->ifa_index, fw::ip_from_bytes(v4 ? fw::Family::ipv4 : fw::Family::ipv6,
                                                     mnl_attr_get_payload(a))};
  });
  return out;
}

class Routing {
 public:
  Routing() : socket_(mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC)), buffer_(kFeedBytes) {
    const int one = 1;
    if (!socket_ || mnl_socket_bind(socket_.get(), 0, MNL_SOCKET_AUTOPID) < 0 ||
        mnl_socket_setsockopt(socket_.get(), NETLINK_GET_STRICT_CHK, const_cast<int*>(&one),
                              sizeof one) < 0) {
      socket_.reset();
    }
  }

  /// All links, or one; of this network namespace, or of another.
  std::vector<Link> links(std::uint32_t index = 0, std::optional<int> netns = {}) {
    std::vector<Link> out;
    ifinfomsg head{};
    head.ifi_index = static_cast<int>(index);
    ask(RTM_GETLINK, index == 0 ? NLM_F_DUMP : 0, head, netns, IFLA_TARGET_NETNSID,
        [&out](const nlmsghdr* m) {
          if (m->nlmsg_type == RTM_NEWLINK) out.push_back(read_link(m));
        });
    return out;
  }

  std::vector<Address> addresses(std::uint32_t index = 0, std::optional<int> netns = {}) {
    std::vector<Address> out;
    ifaddrmsg head{};
    head.ifa_index = index;
    ask(RTM_GETADDR, NLM_F_DUMP, head, netns, IFA_TARGET_NETNSID, [&](const nlmsghdr* m) {
      if (m->nlmsg_type != RTM_NEWADDR) return;
      const auto address = read_address(m);
      if (address && (index == 0 || address->index == index)) out.push_back(*address);
    });
    return out;
  }

 private:
  template <class Head>
  void ask(std::uint16_t type, int flags, const Head& head, std::optional<int> netns,
           std::uint16_t netns_attribute, const std::function<void(const nlmsghdr*)>& on) {
    if (!socket_) return;
    alignas(nlmsghdr) char request[256];
    nlmsghdr* header = mnl_nlmsg_put_header(request);
    header->nlmsg_type = type;
    header->nlmsg_flags = static_cast<std::uint16_t>(NLM_F_REQUEST | NLM_F_ACK | flags);
    header->nlmsg_seq = ++sequence_;
    *static_cast<Head*>(mnl_nlmsg_put_extra_header(header, sizeof head)) = head;
    if (netns) mnl_attr_put_u32(header, netns_attribute, static_cast<std::uint32_t>(*netns));
    if (mnl_socket_sendto(socket_.get(), header, header->nlmsg_len) < 0) return;
    for (;;) {
      const ssize_t got = mnl_socket_recvfrom(socket_.get(), buffer_.data(), buffer_.size());
      if (got <= 0) return;
      for (const nlmsghdr* const m : Messages(buffer_.data(), got)) {
        if (m->nlmsg_seq != sequence_) continue;
        if (m->nlmsg_type == NLMSG_DONE || m->nlmsg_type == NLMSG_ERROR) return;
        on(m);
      }
    }
  }

  SocketHandle socket_;
  std::vector<char> buffer_;
  std::uint32_t sequence_ = 0;
};

/// What a port says of a bridge: the outer end of a container's pair says nothing more.
Bridge::Others others_of(const Link& port) {
  if (port.kind == "veth" && port.peer_netns) return Bridge::Others::none;
  return port.kind == "tun" ? Bridge::Others::guests : Bridge::Others::uplink;
}

/// Asks the container's end, which may be gone, in the making, or a bridge's port itself.
BridgePort read_port(Routing& routing, const Link& port) {
  BridgePort out{port.index, {}, {}};
  if (others_of(port) != Bridge::Others::none) return out;
  const auto ends = routing.links(port.peer, port.peer_netns);
  if (ends.size() != 1 || ends.front().bridge != 0 || !ends.front().is_up) return out;
  bool routable = false;
  for (const Address& address : routing.addresses(port.peer, port.peer_netns)) {
    constexpr fw::IpRange kLinkLocal{fw::Family::ipv6, fw::U128{0xfe80} << 112,
                                     (fw::U128{0xfec0} << 112) - 1};
    const fw::Ip ip = address.ip;
    routable = routable || !kLinkLocal.contains({ip.family, ip.bits, ip.bits});
    if (out.addresses.size() < fw::kPortAddressesMax) out.addresses.push_back(ip);
  }
  if (!routable) return {port.index, {}, {}};
  out.mac = ends.front().mac;
  std::ranges::sort(out.addresses);
  return out;
}

}  // namespace

std::vector<Bridge> read_bridges() {
  Routing routing;
  const std::vector<Link> links = routing.links();
  std::map<std::uint32_t, Bridge> by_index;
  for (const Link& link : links) {
    if (link.kind != "bridge" || by_index.size() == fw::kBridgesMax) continue;
    by_index[link.index] = {link.name, link.index, Bridge::Others::none, {}, {}};
  }
  if (by_index.empty()) return {};
  for (const Address& address : routing.addresses()) {
    const auto bridge = by_index.find(address.index);
    if (bridge == by_index.end()) continue;
    if (bridge->second.addresses.size() < fw::kPortAddressesMax) {
      bridge->second.addresses.push_back(address.ip);
    }
  }
  std::size_t asked = 0;
  for (const Link& link : links) {
    const auto bridge = by_index.find(link.bridge);
    if (link.bridge == 0 || bridge == by_index.end()) continue;
    Bridge& at = bridge->second;
    at.others = std::min(at.others, others_of(link));
    if (others_of(link) == Bridge::Others::uplink || asked == fw::kBridgePortsMax) continue;
    ++asked;
    at.ports.push_back(read_port(routing, link));
  }
  std::vector<Bridge> out;
  for (auto& [index, bridge] : by_index) {
    std::ranges::sort(bridge.addresses);
    std::ranges::sort(bridge.ports, {}, &BridgePort::index);
    out.push_back(std::move(bridge));
  }
  std::ranges::sort(out, {}, &Bridge::name);
  return out;
}

}  // namespace chains
