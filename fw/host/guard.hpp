// The addresses that a block must not hit, unless forced: one guard for all blocks (commands, the
// control socket, offenders, fail2ban).
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "chains/netlink/own_network.hpp"
#include "fw/base/address.hpp"
#include "fw/base/result.hpp"
#include "fw/policy/policy.hpp"

namespace fw {

/// What the host needs of its networks.
struct OwnNetwork {
  chains::OwnNetwork network;
  std::vector<Ip> resolvers;

  bool operator==(const OwnNetwork&) const = default;
};
/// As it is at this moment. What cannot be found out is left out: a guard with gaps is better than
/// none, and no block waits for one.
OwnNetwork read_own_network();

/// The servers that a resolv.conf(5) names, at most kResolversMax.
std::vector<Ip> parse_resolvers(std::string_view text);

/// Why a block of a range is a mistake.
struct Objection {
  enum class Kind : std::uint8_t {
    trusted,
    own_address,
    router,
    resolver,
    session,
    apps,
    own_link,
    too_wide,
  };

  IpRange range;  ///< that was to be blocked
  Kind kind{};
  std::string why;  ///< "holds 203.0.113.254, a router of this host (eth0)"

  bool operator==(const Objection&) const = default;
};
/// "203.0.113.0/24 holds 203.0.113.254, a router of this host (eth0)"
std::string to_string(const Objection& objection);

class BlockGuard {
 public:
  BlockGuard(const Policy& policy, const OwnNetwork& own);

  /// The first reason for each range that has one, in the order of the ranges. `caller`: from where
  /// the one who asks is connected.
  std::vector<Objection> objections(const std::vector<IpRange>& ranges,
                                    std::optional<Ip> caller = {}) const;
  std::optional<Objection> objection(const IpRange& range, std::optional<Ip> caller = {}) const;

  /// Whom a block of a client hits: its network of `length` bits. Smaller where that would reach
  /// into a link of the host's own: there neighbours are different clients, and one of them may be
  /// the router. Behind a translator (NAT64) it is the address alone.
  IpRange client(Ip ip, int length) const;

 private:
  struct Kept {
    IpRange range;
    Objection::Kind kind{};
    std::string name;  ///< "a router of this host (eth0)"
  };

  void keep_own(const OwnNetwork& own);
  std::string reason(const IpRange& range, const Kept& kept) const;

  std::vector<Kept> kept_;          ///< by weight: what is said first
  std::vector<IpRange> kept_all_;   ///< their ranges, merged
  std::vector<Kept> links_;         ///< of which single addresses can be blocked
  std::vector<IpRange> links_all_;  ///< merged
  std::vector<Located<IpRange>> translated_;
};

}  // namespace fw
