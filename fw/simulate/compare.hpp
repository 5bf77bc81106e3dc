// What another policy would have done with the same packets.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <string>
#include <vector>

#include "fw/simulate/firewall.hpp"

namespace simulate {

struct LimitChange {
  std::string limit;
  const Tally* before = nullptr;  ///< null: only the other policy has it
  const Tally* after = nullptr;
};

/// A client that only one of two policies would have refused anything.
struct ClientChange {
  std::string limit;
  std::string client;
  std::uint64_t before = 0;  ///< refusals
  std::uint64_t after = 0;
};

/// A port that is closed in only one of two policies, and that a client tried.
struct PortChange {
  fw::Protocol protocol = fw::Protocol::tcp;
  std::uint16_t port = 0;
  std::uint64_t before = 0;  ///< first packets dropped
  std::uint64_t after = 0;
};

struct Comparison {
  std::vector<LimitChange> limits;    ///< in the first policy's order, then the other's
  std::vector<ClientChange> clients;  ///< most refusals first
  std::vector<PortChange> ports;      ///< most packets first
  Drops before, after;
};

/// The firewalls, which took the same packets, outlive the comparison.
Comparison compare(const Firewall& before, const Firewall& after);

/// "203.0.113.9", "2001:db8::/64", "app wiki".
std::string to_string(const Client& client, const fw::Limit& limit, const fw::Policy& policy);

}  // namespace simulate
