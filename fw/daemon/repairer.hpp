// Repairs drift: compares the kernel with the policy in force when another program changed it.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "fw/daemon/applier.hpp"
#include "fw/daemon/change_listener.hpp"
#include "fw/daemon/device_follower.hpp"
#include "fw/daemon/repair_reports.hpp"
#include "fw/daemon/shared.hpp"
#include "fw/daemon/stand_in_keeper.hpp"
#include "fw/host/trial.hpp"
#include "fw/service/timers.hpp"

namespace fw {

class Repairer {
 public:
  Repairer(Shared& shared, Applier& applier, ChangeListener& changes, StandInKeeper& stand_in,
           DeviceFollower& devices);

  /// Others changed something: checks soon.
  void heard(const HeardChanges& heard);
  /// After that time at the latest.
  void check_within(std::chrono::milliseconds pause) { check_.within(pause); }
  /// As soon as the lock can be had.
  void check();
  /// Once a minute: the repairs that were not told one by one.
  void tell_sum() { reports_.tell_sum(); }

  void add_counts(DaemonCounts& to) const;

 private:
  struct Repair;

  bool settle_trial();
  void rolled_back(const Result<std::optional<Overdue>>& done);
  void repair();
  void make(Repair& repair) const;
  void made(Repair& repair);
  void tell_repaired(const Repair& repair, std::size_t lost);
  std::size_t lost_by_hand(const ApplyReport& report);

  Shared& shared_;
  Applier& applier_;
  ChangeListener& changes_;
  StandInKeeper& stand_in_;
  DeviceFollower& devices_;
  RepairReports reports_;

  std::string changed_by_;                   ///< who touched our table since the last check
  std::size_t by_hand_ = 0;                  ///< rules in the admin's chains, when last seen
  std::optional<std::uint32_t> by_hand_at_;  ///< the generation of that
  bool off_ = false;                         ///< `reset` was the last word

  std::uint64_t checks_ = 0;
  std::uint64_t repairs_ = 0;
  std::chrono::microseconds last_check_{0};
  std::chrono::microseconds last_repair_{0};

  Due check_;
  Due others_;  ///< a check, for another program changed its rules
  Due trial_;   ///< a check, for the time of a trial is over
};

}  // namespace fw
