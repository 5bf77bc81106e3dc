// Evaluates a packet against a ruleset: the rules that match and the verdict, without a kernel.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "chains/compile.hpp"
#include "chains/ruleset.hpp"
#include "fw/base/address.hpp"
#include "fw/base/packet.hpp"

namespace chains {

/// Time since any beginning that all users of one State share.
using Time = std::chrono::nanoseconds;

/// What connection tracking knows, as a hook sees it. `state` is one bit of build::kState...
struct Connection {
  std::uint32_t state = 0;
  bool reply = false;  ///< the packet goes against the direction of the first one
  std::uint32_t status = 0;
  std::uint32_t mark = 0;
  Bytes label = Bytes(16);
  std::uint32_t id = 0;
  std::uint16_t original_dport = 0;  ///< of ICMP: type and code

  bool operator==(const Connection&) const = default;
};

/// A packet at a hook, as NAT has left it by then.
struct Arrival {
  fw::Packet packet;
  std::uint8_t hop_limit = 64;
  Device device;                         ///< that it came in by
  std::optional<Device> out;             ///< that it goes on by; absent: not known
  std::optional<bool> route_back;        ///< Field::route_back; absent: not known
  std::optional<Connection> connection;  ///< absent: invalid

  bool operator==(const Arrival&) const = default;
};

/// Does a managed set (lists and blocks) hold the key? Nothing: not known.
using Managed = std::function<std::optional<bool>(const Set&, const Bytes& key)>;

/// A token bucket as the kernel keeps it: a token is so many nanoseconds of refilling.
struct Bucket {
  RateLimit limit;
  std::uint64_t filled_ns = 0;
  Time last{0};
  bool exact = true;  ///< false: filled so far at least; the kernel does not tell

  static Bucket full(const RateLimit& limit, Time now);
  std::uint64_t tokens(Time now) const;  ///< whole ones
  bool take(Time now);                   ///< one, if there is one

  bool operator==(const Bucket&) const = default;
};

/// Both ends of a connection, to know it again.
using FlowEnds = std::tuple<fw::Ip, fw::Ip, std::uint16_t, std::uint16_t, std::uint8_t>;

struct LearnedElement {
  std::optional<Time> ends;
  std::optional<Bucket> bucket;
  std::vector<FlowEnds> open;  ///< of a ConnLimit
  bool open_exact = true;      ///< false: there may be more; the kernel does not tell

  bool operator==(const LearnedElement&) const = default;
};

/// All that packets change. A value: who asks without consequences asks with a copy. Empty, it is
/// that of rules that were just loaded: no source is known, every limit is full. An element that
/// has ended makes room at once; the kernel's does when it is next swept (gc-interval).
struct State {
  std::map<std::string, std::map<Bytes, LearnedElement>> learned;  ///< by set and key
  std::map<std::string, Bucket> limits;                            ///< named ones
  /// Limits that stand in a rule: by chain, rule and expression.
  std::map<std::tuple<std::string, std::size_t, std::size_t>, Bucket> own_limits;
  std::map<std::string, std::uint64_t> counters;                          ///< named ones
  std::map<std::pair<std::string, Bytes>, std::uint64_t> element_counts;  ///< by set and first key

  bool operator==(const State&) const = default;
};

/// The key that a set has for packets of a source; empty when the key asks for more than that, or
/// for the other family.
Bytes source_key(const Key& key, fw::Ip source);
FlowEnds ends_of(const fw::Packet& packet);
/// The connection has ended: no ConnLimit counts it any more.
void forget(State& state, const FlowEnds& flow);

enum class Outcome : std::uint8_t {
  accepted,
  dropped,
  reset,    ///< dropped, and the sender is notified
  unknown,  ///< it depends on what is not known here
};
constexpr std::string_view to_string(Outcome outcome) {
  switch (outcome) {
    case Outcome::accepted:
      return "accepted";
    case Outcome::dropped:
      return "dropped";
    case Outcome::reset:
      return "refused with a reset";
    case Outcome::unknown:
      return "unknown from here";
  }
  return "?";
}

/// A rule that the packet met, or the policy of a base chain.
struct Step {
  std::string chain;
  std::optional<std::size_t> rule;      ///< absent: the policy
  std::optional<std::size_t> mismatch;  ///< the expression that did not match; absent: all did
  std::optional<Verdict> verdict;       ///< what followed, if something did
  fw::Location where;  ///< the policy line: of an element that was found, else of the rule

  bool matched() const { return !mismatch; }
};

struct Evaluation {
  Outcome outcome = Outcome::unknown;
  std::vector<Step> steps;
  Bytes label;                       ///< of the connection, afterwards
  std::string unknown;               ///< why, if it is
  std::vector<std::string> assumed;  ///< limits taken as not spent: what is left is not told
};

/// One packet at one hook of IP, as nf_tables does it (net/netfilter/nf_tables_core.c): every base
/// chain of the hook by priority until one drops. An ingress hook sees the packets of its devices.
Evaluation evaluate(const Ruleset& ruleset, Hook hook, const Arrival& arrival,
                    const Managed& managed, State& state, Time now);

/// The packets that begin a connection, each at ingress and then at `hook`, until one does not
/// pass. TCP: the SYN, the answer (on the way through the host), and the ACK that completes the
/// handshake, which is what limits count. UDP: the first packet and, through the host, the answer.
/// All else: the first packet. `first` has no connection yet, or one with status and
/// original_dport.
struct Beginning {
  enum class Packet : std::uint8_t { first, answer, second };
  std::vector<std::pair<Packet, Evaluation>> packets;

  Outcome outcome() const { return packets.back().second.outcome; }
};
Beginning begin_connection(const Ruleset& ruleset, Hook hook, Arrival first, const Managed& managed,
                           State& state, Time now);

/// The same for a client from outside that connects to a TCP port of the host.
Beginning connect_to_host(const Ruleset& ruleset, fw::Ip client, fw::Ip host, std::uint16_t port,
                          const Device& device, const Managed& managed, State& state, Time now);

}  // namespace chains
