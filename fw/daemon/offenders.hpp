// Finds sources that are refused so often that they are blocked: [[offender]] over refusals as they
// come.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <list>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "chains/netlink/refusal_feed.hpp"
#include "fw/host/guard.hpp"
#include "fw/policy/policy.hpp"
#include "fw/store/blocks.hpp"

namespace fw {

/// A moment by both clocks: periods are measured by the one that is never set, and told by the
/// other.
struct Instant {
  std::chrono::milliseconds steady{};
  WallTime wall{};
};

/// Why a source is blocked.
struct Evidence {
  std::string what;  ///< "limit ssh", "closed ports"
  std::uint64_t count = 0;
  std::vector<std::uint16_t> ports;  ///< different ones, the first kEvidencePortsMax
  WallTime first{};
  WallTime last{};

  bool operator==(const Evidence&) const = default;
};
/// "20 refused by limit ssh, port 22, from 14:03:11 to 14:05:40 UTC".
std::string to_string(const Evidence& evidence);

struct BanDecision {
  IpRange range;  ///< the client, by the prefix of the limit
  std::chrono::seconds duration{};
  unsigned times = 1;  ///< the first, the second ...
  Evidence evidence;
  Location where;  ///< of the [[offender]]

  bool operator==(const BanDecision&) const = default;
};

/// Copies of refusals are still on their way when their sender is blocked; they are no repetition.
inline constexpr std::chrono::seconds kBacklog{5};

/// A refusal counts against a source only when its handshake was completed, for anybody can forge
/// the sender of another packet; closed ports, where the policy says so, count anyway.
/// Whom the guard keeps (trusted networks, routers, apps ...) never offends. Memory is bounded: who
/// has been quiet longest is forgotten.
class Offenders {
 public:
  explicit Offenders(const Policy& policy) : Offenders(policy, BlockGuard(policy, {})) {}
  Offenders(const Policy& policy, BlockGuard guard);

  /// From now on.
  void know(BlockGuard guard) { guard_ = std::move(guard); }

  /// A block that is due, when this refusal completes what one of the rules is looking for.
  std::optional<BanDecision> see(const chains::Refusal& refusal, const Instant& now);

  /// An earlier block: until `end` and for the rule's `max` behind it the next one counts double.
  void remember(const IpRange& range, unsigned times, WallTime end);

  /// What was due could not be done: it does not count as a block when the next one is due, which
  /// is not before kBacklog is over.
  void take_back(const BanDecision& decision);

  std::size_t suspects() const { return suspects_.size(); }

 private:
  struct Event {
    std::chrono::milliseconds steady{};
    WallTime wall{};
    std::uint16_t port = 0;
  };
  struct Key {
    std::size_t rule = 0;
    bool closed = false;
    IpRange source;
    auto operator<=>(const Key&) const = default;
  };
  struct Suspect {
    std::deque<Event> events;  ///< of the period, oldest first; of closed ports, each port once
    std::string limit;         ///< the last
    std::list<Key>::iterator place;
  };
  struct Offence {
    unsigned times = 0;
    WallTime end{};
    std::chrono::milliseconds noticed_until{};  ///< refusals until then led to the block already
  };

  bool counts(const Offender& rule, const chains::Refusal& refusal, bool closed) const;
  IpRange source_of(const chains::Refusal& refusal) const;
  Suspect& suspect(const Key& key);
  std::optional<BanDecision> judge(const Key& key, const Rate& rate, const chains::Refusal& refusal,
                                   const Instant& now);

  std::vector<Offender> rules_;
  std::vector<Limit> limits_;
  BlockGuard guard_;
  std::map<Key, Suspect> suspects_;
  std::list<Key> quiet_;  ///< longest first
  std::map<IpRange, Offence> offences_;
};

}  // namespace fw
