// Open connections that connection tracking has forgotten.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/host/forgotten.hpp"

#include "chains/netlink/conntrack.hpp"
#include "chains/netlink/tracked.hpp"
#include "fw/host/host_facts.hpp"

namespace fw {

Result<std::size_t> enter_untracked(chains::Admission admission, const FindBlocked& blocked) {
  auto forgotten = chains::untracked(open_connections());
  if (!forgotten) return std::unexpected(forgotten.error());
  if (forgotten->empty()) return std::size_t{0};
  const auto is_blocked = blocked();
  if (!is_blocked) return std::unexpected(is_blocked.error());
  std::erase_if(*forgotten, [&](const auto& c) { return (*is_blocked)(c.remote); });
  if (const auto done = chains::enter_connections(admission, *forgotten); !done) {
    return std::unexpected(done.error());
  }
  return forgotten->size();
}

}  // namespace fw
