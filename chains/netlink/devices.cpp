// The network devices of this namespace, asked of the kernel (/sys may show another namespace's).
#include "chains/netlink/devices.hpp"

#include <algorithm>
#include <string>
#include <string_view>

#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/socket.h>

#include "chains/netlink/attributes.hpp"
#include "chains/netlink/handles.hpp"

namespace chains {
namespace {

void add_device(const nlmsghdr* message, std::vector<Device>& devices) {
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
  if (inner || name.empty()) return;
  devices.push_back({std::move(name), static_cast<std::uint32_t>(link->ifi_index)});
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
  std::vector<char> buffer(64 * 1024);
  for (bool done = false; !done;) {
    const ssize_t got = mnl_socket_recvfrom(socket.get(), buffer.data(), buffer.size());
    if (got <= 0) break;
    int left = static_cast<int>(got);
    for (auto* m = reinterpret_cast<const nlmsghdr*>(buffer.data()); mnl_nlmsg_ok(m, left);
         m = mnl_nlmsg_next(m, &left)) {
      done = done || m->nlmsg_type == NLMSG_DONE || m->nlmsg_type == NLMSG_ERROR;
      if (m->nlmsg_type == RTM_NEWLINK) add_device(m, devices);
    }
  }
  std::sort(devices.begin(), devices.end());
  return devices;
}

}  // namespace chains
