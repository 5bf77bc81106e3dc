// Sockets on which the kernel sends events.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "chains/netlink/feed_socket.hpp"

#include <array>
#include <cerrno>
#include <string>

#include <linux/netlink.h>
#include <linux/sock_diag.h>

namespace chains {

fw::Result<fw::File> netlink_socket(int protocol, std::uint32_t groups, const char* what) {
  fw::File file(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol));
  // Without a port of its own a socket counts as the kernel's, whose broadcasts it never hears.
  sockaddr_nl any{};
  any.nl_family = AF_NETLINK;
  any.nl_groups = groups;
  if (!file || bind(file.fd(), reinterpret_cast<const sockaddr*>(&any), sizeof any) != 0) {
    return fw::fail_errno(fw::ErrorCode::unsupported,
                          std::string("cannot open a ") + what + " netlink socket", errno);
  }
  return file;
}

fw::Result<fw::File> netfilter_socket() {
  return netlink_socket(NETLINK_NETFILTER, 0, "netfilter");
}

bool make_queue(int fd, std::size_t bytes) {
  // An overflow must not make the kernel drop all that comes until the queue is empty: the count of
  // drops says as much, and exactly.
  set_option(fd, SOL_NETLINK, NETLINK_NO_ENOBUFS, int{1});
  return set_option(fd, SOL_SOCKET, SO_RCVBUFFORCE, static_cast<int>(bytes));
}

std::uint32_t dropped(int fd) {
  std::array<std::uint32_t, SK_MEMINFO_VARS> info{};
  socklen_t length = sizeof info;
  getsockopt(fd, SOL_SOCKET, SO_MEMINFO, info.data(), &length);
  return info[SK_MEMINFO_DROPS];
}

}  // namespace chains
