// What is said of repairs, in messages and in the activity log.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <chrono>
#include <cstddef>
#include <string>
#include <vector>

#include "chains/diff.hpp"
#include "fw/daemon/pace.hpp"
#include "fw/daemon/shared.hpp"
#include "fw/host/apply.hpp"

namespace fw {

/// A repair that was made.
struct Repaired {
  std::string by;                ///< who had changed what; "" if unknown
  bool all = false;              ///< the whole table had been removed
  std::size_t lines = 0;         ///< that had been changed
  std::size_t lost_by_hand = 0;  ///< rules in the admin's chains that went with the table
  std::chrono::microseconds took{0};
};
/// "nft (pid 7) changed 2 lines of the firewall; repaired in 3 ms"
std::string to_string(const Repaired& repaired);

class RepairReports {
 public:
  explicit RepairReports(Shared& shared) : shared_(shared) {}

  /// A few a minute one by one, the others as a sum. The time is of a clock that is never set.
  void tell(const Repaired& repaired, const chains::Description& lines,
            std::chrono::milliseconds now);
  /// Those that were not told one by one.
  void tell_sum();

  /// The early drop is at other devices, or else the rules follow other containers or bridges:
  /// no other program changed anything.
  void tell_devices(const std::vector<std::string>& names);
  void tell_bridges(std::size_t lines);
  void tell_clock_set(std::chrono::milliseconds step);
  /// Of label_trouble(): once when it begins, changes or ends.
  void tell_labels(const std::string& trouble);

 private:
  Shared& shared_;
  RepairPace pace_;
  std::string label_trouble_;  ///< as it was reported last
};

}  // namespace fw
