// A socket filter: the kernel itself drops conntrack messages that nothing counts.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include <linux/filter.h>

#include "fw/base/port.hpp"

namespace chains {

/// More ranges than this are joined over their smallest gaps: the filter then lets a little more
/// through, never less.
inline constexpr std::size_t kFilterRangesMax = 256;

/// A classic BPF program for messages of the conntrack subsystem: those of flows to `ports` (the
/// original destination), in IPv4 and IPv6, go through. So does any message that is not laid out as
/// the kernel lays it out today.
std::vector<sock_filter> flow_filter(std::vector<fw::PortRange> ports);

}  // namespace chains
