// Which connections the connection tracking table knows.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <vector>

#include "chains/netlink/conntrack.hpp"
#include "fw/base/result.hpp"

namespace chains {

/// Those of them that are in no entry, in either direction. Asks for each alone: the table, which
/// may be large, is not walked.
fw::Result<std::vector<OpenConnection>> untracked(const std::vector<OpenConnection>& connections);

}  // namespace chains
