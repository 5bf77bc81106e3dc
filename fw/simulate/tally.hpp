// What a simulation found out about one limit.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <vector>

#include <boost/unordered/unordered_flat_map.hpp>

#include "fw/policy/policy.hpp"
#include "fw/simulate/rules.hpp"
#include "fw/simulate/series.hpp"

namespace simulate {

/// Nanoseconds since 1970.
using Nanoseconds = std::int64_t;

/// What a limit did with one client.
struct ClientTally {
  Client client;
  std::uint64_t connections = 0;  ///< handshakes, and first packets of UDP: what a limit counts
  std::uint64_t refused = 0;      ///< attempts
  Nanoseconds first = 0;          ///< refusal
  Nanoseconds last = 0;
  Nanoseconds longest = 0;  ///< time in which every attempt was refused
  Nanoseconds streak = 0;   ///< begin of the one that lasts; 0: none does
};

struct LimitBin {
  std::uint64_t admitted = 0;
  std::uint64_t refused = 0;
  std::uint64_t busiest = 0;  ///< connections of one client within the limit's period, at most

  LimitBin& operator+=(const LimitBin& o) {
    admitted += o.admitted;
    refused += o.refused;
    busiest = busiest > o.busiest ? busiest : o.busiest;
    return *this;
  }
};

/// The smallest limits that would have refused no client.
struct Smallest {
  std::uint64_t count = 0;       ///< of the rate, the burst being the same; 0: nobody came
  std::uint64_t burst = 0;       ///< at the policy's rate; 0 for a window
  bool exact = true;             ///< false: at least so much, for not all connections could be kept
  std::uint64_t concurrent = 0;  ///< where the policy bounds them; else 0
  bool concurrent_exact = true;  ///< false: at least so many
};

struct LimitTotals {
  std::uint64_t connections = 0;
  std::uint64_t admitted = 0;
  std::uint64_t refused = 0;             ///< attempts: SYNs, handshakes, first packets of UDP
  std::uint64_t refused_concurrent = 0;  ///< of the attempts: for too many at once
  std::uint64_t refused_shaken = 0;  ///< connections: of those the client completed the handshake
  std::uint64_t overflowed = 0;      ///< admitted from the shared bucket
  std::uint64_t uncounted = 0;       ///< trusted, allowed by a list
  std::uint64_t clients = 0;
  std::uint64_t clients_refused = 0;
};

class Tally {
 public:
  /// Clients and connections that all tallies of a simulation may remember.
  static constexpr std::size_t kClientsMax = std::size_t{1} << 20;
  static constexpr std::size_t kConnectionsMax = std::size_t{1} << 23;
  struct Room {
    std::size_t clients = kClientsMax;
    std::size_t connections = kConnectionsMax;
  };

  /// `begin`: of the time that plots show.
  Tally(const fw::Limit& limit, Nanoseconds begin, Room& room);

  /// A client, whose key is a hash that is its own, as the next three know it.
  using Who = std::uint32_t;
  Who who(const Client& client, std::uint64_t key);

  /// A SYN of the client whose key that is. A window looks at it, with those within it already, and
  /// spends nothing.
  void asked(std::uint64_t key, Nanoseconds time);
  /// One more makes so many at once, of one client; `exact`: at least.
  void at_once(std::uint64_t connections, bool exact);
  /// The clock went back: what comes is so far behind what came that every budget is full again.
  void restarted(Nanoseconds time);

  /// The client made a connection, admitted or not. Times may go back by a little.
  void connected(Who who, Nanoseconds time);
  void admitted(Who who, Nanoseconds time);
  void refused(Who who, Nanoseconds time);
  LimitTotals totals;

  /// Those who were refused, most refusals first.
  std::vector<ClientTally> refused_clients() const;
  /// Clients that came when there was no room to remember them.
  std::uint64_t unknown() const { return unknown_; }
  Smallest smallest() const;
  const Series<LimitBin>& series() const { return series_; }

  const fw::Limit& limit() const { return *limit_; }
  Nanoseconds begin() const { return begin_; }

 private:
  static constexpr Who kNobody = ~Who{0};  ///< there was no room to remember it
  struct Connection {
    Nanoseconds time;
    Who client;
  };

  /// What the connections are kept by: it never goes back. Those that are a period old by then are
  /// no longer within the window.
  Nanoseconds advance(Nanoseconds time);
  std::vector<std::vector<Nanoseconds>> by_client() const;

  const fw::Limit* limit_;
  Nanoseconds within_for_;  ///< how long a connection is within a window
  Room* room_;
  Nanoseconds begin_;
  boost::unordered_flat_map<std::uint64_t, Who> index_;
  std::deque<ClientTally> clients_;
  std::deque<Connection> connections_;
  std::size_t oldest_ = 0;             ///< of the connections within a period
  std::vector<std::uint32_t> within_;  ///< how many those are, of each client
  std::uint64_t within_most_ = 0;      ///< of one client, at most
  std::uint64_t asked_most_ = 0;       ///< besides the one that a SYN asked for
  std::uint64_t at_once_most_ = 0;
  bool at_once_exact_ = true;
  Nanoseconds latest_ = 0;
  Nanoseconds shift_ = 0;  ///< between a capture's time and that of the connections
  Series<LimitBin> series_;
  std::uint64_t unknown_ = 0;
  bool forgot_ = false;
};

}  // namespace simulate
