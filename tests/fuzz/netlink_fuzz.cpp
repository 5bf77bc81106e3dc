// Netlink messages of flows, refused packets and changed rulesets: nothing is read that is not in
// them.
// SPDX-License-Identifier: GPL-2.0-or-later
#include <cstdint>
#include <vector>

#include <libmnl/libmnl.h>

#include "chains/netlink/attributes.hpp"
#include "chains/netlink/flow.hpp"
#include "chains/netlink/refusal_feed.hpp"
#include "chains/netlink/ruleset_watch.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::vector<std::uint8_t> bytes(data, data + size);  // aligned, and not a byte more
  chains::ChangeReader changes;
  chains::RulesetChange change;
  chains::Refusal refusal;
  for (const nlmsghdr* const message : chains::Messages(bytes.data(), size)) {
    chains::read_flow(message);
    chains::read_refusal(message, refusal);
    changes.read(message, change);
  }
  return 0;
}
