// What the kernel reports about a tracked flow, and how to request it.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstdint>

#include <linux/netlink.h>

#include "chains/expr.hpp"
#include "fw/base/address.hpp"
#include "fw/base/result.hpp"

namespace chains {

/// An entry of the connection tracking table. Ports are zero where the protocol has none.
struct Flow {
  fw::Ip source;  ///< who began
  fw::Ip destination;
  fw::Ip reply_source;  ///< who answers: not `destination` when that was translated
  std::uint16_t source_port = 0;
  std::uint16_t destination_port = 0;
  std::uint8_t protocol = 0;  ///< IANA number
  bool ending = false;        ///< a TCP connection that at least one side has closed
  std::uint32_t id = 0;       ///< the kernel's own, made with its secret; not unique for ever
  std::uint32_t status = 0;   ///< IPS_... of nf_conntrack_common.h
  Bytes label;                ///< empty: no bit of it is set, or it has none

  bool answered() const;
  bool assured() const;  ///< a TCP handshake was completed

  bool operator==(const Flow&) const = default;
};

/// From a message of the conntrack subsystem. What the message does not say stays as above.
Flow read_flow(const nlmsghdr* message);

/// Begins a message of the conntrack subsystem at `at`; `type` is an IPCTNL_MSG_CT_...
nlmsghdr* put_conntrack_header(char* at, std::uint16_t type, int flags, int family,
                               std::uint32_t sequence);

/// Why the table cannot be read, and what to do.
std::unexpected<fw::Error> conntrack_refused(int code);

}  // namespace chains
