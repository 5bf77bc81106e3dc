// The networks that stand in for sources when a meter is full.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/policy/fair.hpp"

namespace fw {

std::vector<FairNetwork> fair_networks(const Limit& limit, Family family) {
  using Budget = FairNetwork::Budget;
  if (limit.from != Source::outside) return {};
  const bool v4 = family == Family::ipv4;
  const int source = v4 ? limit.prefix4 : limit.prefix6;
  // A /56 is what a customer gets, a /48 what anybody gets for nothing, a /32 a whole provider.
  // Two of a source's size at most: each is one chain deeper, and the kernel takes sixteen.
  std::vector<FairNetwork> all;
  if (v4) {
    all = {{24, Budget::own}, {16, Budget::shared}};
  } else {
    all = {{source > 64 ? 64 : 56, Budget::own}, {48, Budget::own}, {32, Budget::shared}};
  }
  std::erase_if(all, [source](const FairNetwork& network) { return network.prefix >= source; });
  return all;
}

}  // namespace fw
