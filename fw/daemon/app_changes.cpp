// Applies changes of containers.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/daemon/app_changes.hpp"

#include <optional>
#include <utility>

#include <fmt/format.h>

#include "fw/host/last_good.hpp"
#include "fw/host/trial_record.hpp"

namespace fw {

/// One that looks at the whole policy.
struct AppChanges::Apply {
  DesiredPolicy wanted;
  Time begin;
  Applied applied;
};

AppChanges::AppChanges(Shared& shared, chains::Kernel& kernel, ChangeListener& changes,
                       Applier& applier, Feeds& feeds, std::function<void()> check_soon)
    : shared_(shared),
      kernel_(kernel),
      changes_(changes),
      applier_(applier),
      feeds_(feeds),
      check_soon_(std::move(check_soon)) {}

void AppChanges::put_in_force(const InventoryChange& change) {
  if (switched_off(shared_.state_dir)) return;
  (void)changes_.read();
  if (move(change)) return;
  PolicyInForce& in_force = shared_.in_force;
  auto apply = std::make_shared<Apply>();
  apply->wanted = in_force.ask();
  if (apply->wanted.policy == in_force.policy()) return;
  apply->begin = std::chrono::steady_clock::now();
  const auto held = in_force.observed().generation();
  const auto others = held && apply->wanted.unused == chains::Unused::remove
                          ? other_apps(in_force.policy(), apply->wanted.policy)
                          : std::nullopt;
  if (others) {
    if (const auto changed = change_apps(kernel_, *held, *others)) {
      in_force.take_up(std::move(apply->wanted));
      in_force.observed().holds(changed->generation);
      return tell(changed->lines, apply->begin);
    }
  }
  shared_.queue.beside([this, apply] { apply->applied = applier_.apply(apply->wanted); },
                       [this, apply] { applied(*apply); });
}

void AppChanges::applied(Apply& apply) {
  const auto& report = apply.applied.report;
  if (report) shared_.in_force.take_up(apply.wanted);
  (void)applier_.finish(apply.wanted, apply.applied);
  if (report) return tell(report->difference.rules, apply.begin);
  shared_.messages.send(Level::error, "cannot apply the apps: " + to_string(report.error()));
  check_soon_();
}

/// The most frequent change, with a look at nothing but those apps. False when it is another.
bool AppChanges::move(const InventoryChange& change) {
  const auto begin = std::chrono::steady_clock::now();
  PolicyInForce& in_force = shared_.in_force;
  Kept& kept = in_force.kept();
  const auto held = in_force.observed().generation();
  if (!held || !in_force.apps_may_move() || kept.last_good.is_others() ||
      read_trial_record(shared_.state_dir)) {
    return false;
  }
  const std::optional<Policy>& policy = kept.last_good.read();
  const Inventory* const inventory = kept.inventory.read();
  if (!policy || inventory == nullptr) return false;
  TrafficStats& traffic = feeds_.traffic();
  auto moved = moved_apps(*policy, in_force.policy(), *inventory, change,
                          [&traffic](Ip ip) { return traffic.is_app(ip); });
  if (!moved) return false;
  const auto changed = change_apps(kernel_, *held, other_apps(in_force.policy(), *moved));
  if (!changed || !traffic.know(moved->before, moved->after)) return false;
  in_force.move_apps(std::move(moved->after));
  in_force.observed().holds(changed->generation);
  tell(changed->lines, begin);
  return true;
}

void AppChanges::tell(const chains::Description& lines, Time begin) {
  if (lines.empty()) return;
  ++count_;
  const auto took =
      std::chrono::round<std::chrono::milliseconds>(std::chrono::steady_clock::now() - begin);
  const Policy& policy = shared_.in_force.policy();
  const std::string text = fmt::format("containers changed: {} apps and {} addons are in force",
                                       policy.apps.size(), policy.addons.size());
  shared_.messages.send(Level::info, text);
  shared_.recorder.record("apps", text,
                          {{"first_lines", first_lines(lines)}, {"took_ms", took.count()}});
}

}  // namespace fw
