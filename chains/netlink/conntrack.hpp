// The connection tracking table: flows older than the rules, and flows of blocked sources.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "chains/admission.hpp"
#include "fw/base/address.hpp"
#include "fw/base/result.hpp"

namespace chains {

/// A TCP connection that a socket of this host has open.
struct OpenConnection {
  fw::Ip local;
  std::uint16_t local_port = 0;
  fw::Ip remote;
  std::uint16_t remote_port = 0;

  bool operator==(const OpenConnection&) const = default;
};

/// Flows to be adopted: the kernel's ids of their entries.
struct OlderFlows {
  std::vector<std::uint32_t> ids;
  std::size_t left_out = 0;  ///< beyond fw::kAdoptedMax
};

/// Flows that have seen packets both ways and are not known to the rules, but for those with an end
/// for which `blocked` holds: what exists when the firewall is first made goes on undisturbed.
fw::Result<OlderFlows> older_flows(Admission admission, const std::function<bool(fw::Ip)>& blocked);

/// Enters the host's open connections that are not tracked, as admitted.
fw::Result<void> enter_connections(Admission admission,
                                   const std::vector<OpenConnection>& connections);

/// Takes the admission off flows with an end for which `blocked` holds, so that their next packet
/// meets the block, and forgets them: nothing is left of them in the table but flows without a
/// handshake to the blocked, which end within two minutes. Returns how many admitted ones were
/// open.
fw::Result<std::size_t> expel_flows(Admission admission,
                                    const std::function<bool(fw::Ip)>& blocked);

}  // namespace chains
