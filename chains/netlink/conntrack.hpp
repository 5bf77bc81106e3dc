// The connection tracking table: the mark bit that says "admitted".
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

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

/// Marks every flow that has seen packets both ways as admitted, and enters the host's open
/// connections that the kernel did not track before: what exists when the firewall is first made
/// goes on undisturbed, but for flows with an end for which `blocked` holds. Returns how many flows
/// carry the mark now.
fw::Result<std::size_t> admit_existing_flows(std::uint32_t mark,
                                             const std::vector<OpenConnection>& connections,
                                             const std::function<bool(fw::Ip)>& blocked);

/// Only enters connections that are not tracked.
fw::Result<void> enter_connections(std::uint32_t mark,
                                   const std::vector<OpenConnection>& connections);

/// Takes the mark off flows with an end for which `blocked` holds, so that their next packet meets
/// the block, and forgets them: nothing is left of them in the table but flows without a handshake
/// to the blocked, which end within two minutes. Returns how many admitted ones were open.
fw::Result<std::size_t> expel_flows(std::uint32_t mark, const std::function<bool(fw::Ip)>& blocked);

}  // namespace chains
