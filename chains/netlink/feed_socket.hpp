// Sockets on which the kernel sends events.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstddef>
#include <cstdint>

#include <sys/socket.h>

#include "fw/base/file.hpp"
#include "fw/base/result.hpp"

namespace chains {

template <class T>
bool set_option(int fd, int level, int name, const T& value) {
  return setsockopt(fd, level, name, &value, sizeof value) == 0;
}

/// Of a netlink protocol, non-blocking, in the network namespace of the calling thread; hears the
/// groups of the mask. `what`: the protocol's name, for the error.
fw::Result<fw::File> netlink_socket(int protocol, std::uint32_t groups, const char* what);
/// Of NETLINK_NETFILTER, whose groups are joined one by one.
fw::Result<fw::File> netfilter_socket();

/// Gives a socket's queue so many bytes, whatever net.core.rmem_max says, and lets what does not
/// fit be counted instead of being an error. False without CAP_NET_ADMIN; errno says so.
bool make_queue(int fd, std::size_t bytes);

/// Room for what one recv() takes of the queue.
inline constexpr std::size_t kFeedBytes = 64 * 1024;

/// How many messages found no room since the socket was opened, modulo 2^32.
std::uint32_t dropped(int fd);

}  // namespace chains
