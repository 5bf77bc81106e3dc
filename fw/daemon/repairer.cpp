// Keeps the kernel at the policy in force.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/daemon/repairer.hpp"

#include <utility>

#include <fmt/format.h>

#include "fw/daemon/clocks.hpp"
#include "fw/host/host_facts.hpp"
#include "fw/host/last_good.hpp"
#include "fw/host/status.hpp"

namespace fw {
namespace {

using namespace std::chrono_literals;

constexpr auto kCheckDelay = 2ms;      // one check for many notifications
constexpr auto kOthersSettle = 500ms;  // and so of other programs' tables
constexpr auto kTryAgain = 1s;

}  // namespace

/// What a repair was asked for, and what came of it.
struct Repairer::Repair {
  DesiredPolicy wanted;
  std::string by;
  std::chrono::steady_clock::time_point begin;
  std::optional<chains::Ruleset> stand_in;     ///< as it is to be from now on, where one stands
  std::optional<std::uint32_t> by_hand_known;  ///< by_hand_at_ of the repairer

  Applied applied;
  std::chrono::microseconds took{0};
  Result<void> stood_in;
  std::optional<std::string> labels;  ///< label_trouble(), where it could be asked
};

Repairer::Repairer(Shared& shared, Applier& applier, ChangeListener& changes,
                   StandInKeeper& stand_in, DeviceFollower& devices)
    : shared_(shared),
      applier_(applier),
      changes_(changes),
      stand_in_(stand_in),
      devices_(devices),
      reports_(shared),
      check_(shared.io, [this] { check(); }),
      others_(shared.io, [this] { check_within(0ms); }),
      trial_(shared.io, [this] { check_within(0ms); }) {}

void Repairer::heard(const HeardChanges& heard) {
  if (heard.of_other_tables) others_.within(kOthersSettle);
  if (heard.removed_ours) stand_in_.table_removed();
  if (!heard.by.empty()) changed_by_ = heard.by;
  if (heard.of_ours) check_within(kCheckDelay);
}

void Repairer::check() {
  shared_.queue.with_lock(
      // So an apply of ours is over, and what it put in force is remembered.
      [this] {
        if (settle_trial()) repair();
      },
      [this](const Error& error) {
        shared_.messages.send(Level::warning, "cannot check the firewall: " + to_string(error));
        check_within(kTryAgain);
      });
}

/// Rolls back what nobody confirmed in time; looks again when the time of a trial is over. False:
/// it is at that now, and goes on with repair().
bool Repairer::settle_trial() {
  const auto trial = read_trial_record(shared_.state_dir);
  if (!trial) return true;
  if (is_due(*trial, this_moment())) {
    auto done = std::make_shared<Result<std::optional<Overdue>>>();
    shared_.queue.beside(
        [this, done] { *done = roll_back_if_due(shared_.state_dir, this_moment(), wall_clock()); },
        [this, done] { rolled_back(*done); });
    return false;
  }
  trial_.after(time_left(*trial, this_moment()) + 1ms);
  return true;
}

void Repairer::rolled_back(const Result<std::optional<Overdue>>& done) {
  if (!done) {
    shared_.messages.send(Level::alert,
                          "a trial is over but not rolled back: " + to_string(done.error()));
    check_within(kTryAgain);
  } else if (*done) {
    const std::string text =
        fmt::format("{} was not confirmed in time: rolled back", name_of((*done)->record));
    shared_.messages.send(Level::warning, text);
    shared_.recorder.record("rollback", text, {});
  }
  repair();
}

void Repairer::repair() {
  auto repair = std::make_shared<Repair>();
  repair->wanted = shared_.in_force.ask();
  if (repair->wanted.policy != shared_.in_force.policy()) shared_.in_force.take_up(repair->wanted);
  off_ = switched_off(shared_.state_dir);
  repair->by = std::exchange(changed_by_, {});
  if (off_) return stand_in_.end();
  repair->stand_in = stand_in_.rules();
  repair->by_hand_known = by_hand_at_;
  repair->begin = std::chrono::steady_clock::now();
  shared_.queue.beside([this, repair] { make(*repair); }, [this, repair] { made(*repair); });
}

/// In a thread of its own: of this object it uses only what is made for that.
void Repairer::make(Repair& repair) const {
  repair.applied = applier_.apply(repair.wanted, [&](chains::Kernel& kernel, auto& report) {
    repair.took = std::chrono::round<std::chrono::microseconds>(std::chrono::steady_clock::now() -
                                                                repair.begin);
    if (repair.stand_in) repair.stood_in = stand_in_.put(std::move(*repair.stand_in));
    auto labels = label_trouble(kernel, repair.wanted.policy);
    if (labels) repair.labels = std::move(*labels);
    if (!report || report->by_hand || repair.by_hand_known == report->generation) return;
    if (const auto observed = kernel.read()) report->by_hand = count_by_hand(observed->table());
  });
}

void Repairer::made(Repair& repair) {
  if (repair.stand_in) stand_in_.put_done(repair.stood_in);
  if (repair.labels) reports_.tell_labels(*repair.labels);
  const Applier::Others others = applier_.finish(repair.wanted, repair.applied);
  const auto& report = repair.applied.report;
  if (!report) {
    shared_.messages.send(Level::error, "cannot repair the firewall: " + to_string(report.error()));
    return check_within(kTryAgain);
  }
  ++checks_;
  last_check_ = repair.took;
  const std::size_t lost = lost_by_hand(*report);
  if (report->clock_step != 0ms) reports_.tell_clock_set(report->clock_step);
  if (report->repaired() == 0) return;
  if (repair.by.empty() && others.devices) return reports_.tell_devices(devices_.names());
  if (repair.by.empty() && others.bridges) {
    return reports_.tell_bridges(report->difference.rules.all);
  }
  ++repairs_;
  last_repair_ = repair.took;
  tell_repaired(repair, lost);
}

void Repairer::tell_repaired(const Repair& repair, std::size_t lost) {
  // Whoever made the last change may not have been heard of when the check began.
  (void)changes_.read();
  if (changed_by_.empty()) changed_by_ = repair.by;
  const ApplyReport& report = *repair.applied.report;
  reports_.tell({changed_by_, report.first, report.repaired(), lost, repair.took},
                report.difference.rules, steady_now());
  if (!check_.pending()) changed_by_.clear();  // else somebody has changed it again since
}

/// Rules that an admin added by hand, and that went with the table.
std::size_t Repairer::lost_by_hand(const ApplyReport& report) {
  if (!report.by_hand) return 0;
  by_hand_at_ = report.generation;
  const std::size_t before = std::exchange(by_hand_, *report.by_hand);
  return report.first && before > by_hand_ ? before - by_hand_ : 0;
}

void Repairer::add_counts(DaemonCounts& to) const {
  to.off = off_;
  to.checks = checks_;
  to.repairs = repairs_;
  to.last_check = last_check_;
  to.last_repair = last_repair_;
}

}  // namespace fw
