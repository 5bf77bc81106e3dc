// A policy's firewall, over the packets of a capture.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "fw/capture/packet.hpp"
#include "fw/simulate/budgets.hpp"
#include "fw/simulate/flows.hpp"
#include "fw/simulate/rules.hpp"
#include "fw/simulate/tally.hpp"
#include "limiter/top.hpp"

namespace simulate {

/// First packets that went to a port.
struct PortTally {
  fw::Protocol protocol = fw::Protocol::tcp;
  std::uint16_t port = 0;
  std::uint64_t packets = 0;
  Nanoseconds first = 0;
  Nanoseconds last = 0;
};

/// First packets that would have been dropped, whatever they wanted.
struct Drops {
  std::uint64_t blocked = 0;   ///< by the admin
  std::uint64_t listed = 0;    ///< by a list
  std::uint64_t closed = 0;    ///< to closed ports of the host
  std::uint64_t isolated = 0;  ///< from app to app
  std::uint64_t syn_data = 0;  ///< SYNs with data to limited ports
  std::uint64_t pings = 0;     ///< echo requests beyond their limit
  std::uint64_t others = 0;    ///< to the host, of protocols that are never open
};

/// What was judged, and what was not.
struct Seen {
  std::uint64_t packets = 0;
  std::uint64_t judged = 0;       ///< first packets
  std::uint64_t of_host = 0;      ///< flows that the host began
  std::uint64_t unknown_tcp = 0;  ///< TCP packets of no flow that began in the capture, both ways
  std::uint64_t foreign = 0;      ///< packets between others, or to many
  std::uint64_t incomplete = 0;   ///< packets without ports: later fragments, cut off ones
  std::uint64_t icmp = 0;         ///< packets of ICMP that are no echo requests
  std::uint64_t clock_back = 0;   ///< times that the clock went back by more than kClockBack
  std::uint64_t forgotten = 0;    ///< flows for which there was no room
};
/// All that is known is forgotten when the clock of a capture goes back by more.
inline constexpr Nanoseconds kClockBack = 10'000'000'000;

struct Options {
  std::size_t flows_max = std::size_t{1} << 24;
  /// The capture has no packets of the host: then a client's ACK alone completes a handshake.
  bool one_way = false;
};

class Firewall {
 public:
  static fw::Result<Firewall> make(Rules rules, const Options& options);

  /// In order of time.
  void take(std::span<const capture::Packet> packets);

  const Rules& rules() const { return rules_; }
  const std::vector<Tally>& tallies() const { return tallies_; }  ///< by the policy's limits
  const Drops& drops() const { return drops_; }
  Seen seen() const;
  /// What was dropped at closed ports of the host, most packets first.
  std::vector<PortTally> closed_ports() const;
  /// Who sent what was dropped at closed ports, and who was blocked: the most frequent.
  struct Sender {
    fw::Ip address;
    std::uint64_t packets = 0;  ///< at least
  };
  std::vector<Sender> closed_senders(std::size_t most) const;
  std::vector<Sender> blocked_senders(std::size_t most) const;
  Nanoseconds first() const { return first_; }
  Nanoseconds last() const { return last_; }

 private:
  Firewall(Rules rules, Flows flows, const Options& options);

  enum class Judged : std::uint8_t { pass, drop, refused };
  /// A first packet, and what is found out about it.
  struct Question {
    const capture::Packet& packet;
    std::uint64_t id;
    bool again = false;  ///< UDP: its flow has been refused before
    int limit = -1;      ///< that counts it
  };

  void set_clock(Nanoseconds time);
  void take(const capture::Packet& packet, std::uint64_t id);
  void take_icmp(const capture::Packet& packet, std::uint64_t id);
  void known_tcp(const capture::Packet& packet, Flow& flow);
  void known_other(const capture::Packet& packet, Flow& flow);
  void unknown(const capture::Packet& packet, std::uint64_t id);
  void syn_ack(const capture::Packet& packet, Flow& flow);
  void ack(const capture::Packet& packet, Flow& flow);
  void handshake(fw::Ip beginner, Flow& flow);

  bool is_blocked(const capture::Packet& packet);
  Judged judge(Question& question);
  Judged judge_app(Question& question, Place to);
  Judged judge_limit(Question& question, int limit);
  Judged drop_closed(const capture::Packet& packet);
  bool lives(std::uint64_t id);
  void keep(std::uint64_t id, const capture::Packet& packet, FlowState state, int limit,
            bool refused);
  void keep_dropped(std::uint64_t id, const capture::Packet& packet);
  std::uint64_t key(int limit, const Client& client) const;
  /// Spends a client's budget.
  Answer spend(int limit, const Client& client, std::uint64_t client_key);

  Rules rules_;
  bool one_way_;
  limiter::Secret secret_ = limiter::Secret::random();
  Flows flows_;
  std::vector<Budgets> budgets_;
  std::unique_ptr<Tally::Room> room_ = std::make_unique<Tally::Room>();
  std::vector<Tally> tallies_;

  bool begun_ = false;
  Nanoseconds first_ = 0, last_ = 0;  ///< of the capture
  Nanoseconds base_ = 0;              ///< what moments and ticks begin at
  Nanoseconds time_ = 0;              ///< now: goes back only with the capture's clock
  Ticks ticks_ = 0;
  Moment moment_ = 0;

  Drops drops_;
  Seen seen_;
  std::array<std::vector<PortTally>, 2> closed_;  ///< TCP, UDP; by port
  limiter::Top closed_senders_, blocked_senders_;
};

}  // namespace simulate
