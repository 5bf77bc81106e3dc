// Finds clients whose requests are refused so often that they are to be blocked as packets.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <chrono>
#include <cstdint>
#include <list>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "fw/base/address.hpp"
#include "fw/policy/http_limit.hpp"

namespace fw::services {

/// A block that the daemon is to be asked for.
struct WantedBlock {
  Ip client;
  int prefix6 = 128;  ///< of the network that is the client, if it is IPv6
  std::chrono::seconds lasts{};
  std::string site;    ///< "" where the proxy named none
  std::string reason;  ///< "20 refused by limit password in 10m"

  bool operator==(const WantedBlock&) const = default;
};

/// [[offender]] over refusals of requests, and reports of failed passwords. Both prove a completed
/// connection, for a proxy has read a request. Memory is bounded: at most kHttpSuspectsMax clients
/// are known, and who has been quiet longest is forgotten.
class Offences {
 public:
  /// Since any beginning that all calls share.
  using Time = std::chrono::milliseconds;

  /// What was seen stays where its rule did not change.
  void use(const HttpRules& rules);

  /// One more refusal by that limit, or report for it; a block when this completes what one of the
  /// rules looks for. It is then forgotten, so that the next block needs as many again.
  std::optional<WantedBlock> see(Ip client, std::string_view limit, std::string_view site,
                                 Time now);

  std::size_t suspects() const { return suspects_.size(); }

 private:
  struct Key {
    std::size_t rule = 0;
    IpRange client;
    auto operator<=>(const Key&) const = default;
  };
  struct Suspect {
    std::vector<Time> times;  ///< the last ones, as many as the rule counts
    std::size_t next = 0;     ///< where the next one goes, once that many are there
    unsigned blocks = 0;      ///< until now
    Time repeats_until{};     ///< until then the next block counts double
    std::list<Key>::iterator place;
  };

  Suspect& suspect(const Key& key);

  HttpRules rules_;
  std::map<Key, Suspect> suspects_;
  std::list<Key> quiet_;  ///< longest first
};

}  // namespace fw::services
