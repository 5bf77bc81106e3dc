// The TCP and UDP sockets of this network namespace, as /proc/net lists them.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstdint>
#include <functional>

#include "chains/netlink/conntrack.hpp"

namespace fw {

/// The numbers of include/net/tcp_states.h.
enum class TcpState : std::uint8_t {
  established = 1,
  fin_wait1 = 4,
  fin_wait2 = 5,
  close_wait = 8,
  last_ack = 9,
  listen = 10,
  closing = 11,
};

struct TcpSocket {
  chains::OpenConnection ends;  ///< IPv4-mapped addresses are IPv4
  TcpState state{};             ///< others than those above occur
  std::uint64_t inode = 0;      ///< 0: no process has it any more
};

/// Hands over the sockets of a family, those that listen first, until `visit` says false. An IPv6
/// socket may carry IPv4. The kernel walks a hash table of all namespaces for it: up to
/// milliseconds on a large machine.
void read_tcp_sockets(Family family, const std::function<bool(const TcpSocket&)>& visit);

/// The same of UDP, where the state says nothing: what is connected to nobody has the remote port
/// 0.
void read_udp_sockets(Family family, const std::function<bool(const TcpSocket&)>& visit);

}  // namespace fw
