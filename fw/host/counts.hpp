// All that is counted, as values: what `counts` on the control socket and the metrics tell.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "fw/base/address.hpp"
#include "fw/host/status.hpp"
#include "fw/store/blocks.hpp"

namespace fw {

/// A source: an IPv4 address or an IPv6 /64.
struct Busy {
  IpRange source;
  std::uint64_t count = 0;
  std::uint64_t error = 0;  ///< the count is too high by that at most

  bool operator==(const Busy&) const = default;
};

struct AppCount {
  std::string name;
  std::uint64_t connections = 0;  ///< that it began

  bool operator==(const AppCount&) const = default;
};

/// Since the daemon began.
struct DaemonCounts {
  bool off = false;          ///< `reset` was the last word: nothing is kept true
  std::uint64_t checks = 0;  ///< comparisons of the kernel with what was last applied
  std::uint64_t repairs = 0;
  std::uint64_t app_changes = 0;             ///< of containers, that changed the rules
  std::chrono::microseconds last_check{0};   ///< how long it took, with its repair
  std::chrono::microseconds last_repair{0};  ///< how long that took
  std::uint64_t applies = 0;                 ///< that changed something, by commands
  std::chrono::microseconds last_apply{0};   ///< how long the last one took
  std::uint64_t offenders = 0;               ///< blocked
  std::uint64_t flow_events = 0;
  std::uint64_t flow_events_lost = 0;
  std::uint64_t flows_recovered = 0;
  std::uint64_t refusals = 0;  ///< copies of refused packets
  std::uint64_t refusals_lost = 0;
  std::uint64_t changes_seen = 0;  ///< of anybody's rulesets
  std::uint64_t changes_lost = 0;
  std::uint64_t malformed = 0;  ///< messages of the kernel that were skipped
  std::uint64_t messages_left_out = 0;
  std::size_t clients = 0;          ///< of the control socket, now
  std::size_t metrics_clients = 0;  ///< now

  bool operator==(const DaemonCounts&) const = default;
};

struct Counts {
  WallTime time{};
  bool present = false;  ///< the table is in the kernel
  std::vector<LimitCounts> limits;
  std::map<std::string, std::uint64_t> dropped;  ///< packets, by the counter's name
  std::uint64_t unlabelled = 0;                  ///< connections, as count_unlabelled()
  std::uint64_t connections = 0;                 ///< that began
  std::uint64_t open = 0;
  std::vector<Busy> busiest;       ///< by connections; recent ones weigh more
  std::vector<Busy> most_refused;  ///< the same, by refusals
  std::vector<AppCount> apps;
  std::map<std::string, std::uint64_t> blocks;  ///< in force, by origin
  DaemonCounts daemon;

  bool operator==(const Counts&) const = default;
};

}  // namespace fw
