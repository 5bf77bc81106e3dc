// The applies that the daemon makes, outside its loop.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/daemon/applier.hpp"

#include <algorithm>
#include <optional>
#include <utility>

#include "fw/store/store.hpp"

namespace fw {

Applier::Applier(Shared& shared, chains::Kernel& kernel, const ChangeListener& changes,
                 DeviceFollower& devices, std::function<void()> check_now)
    : shared_(shared),
      kernel_(kernel),
      changes_(changes),
      devices_(devices),
      check_now_(std::move(check_now)) {}

Applied Applier::apply(const DesiredPolicy& wanted, const Also& also) const {
  Applied out;
  auto store = Store::open(shared_.state_dir);
  if (!store) {
    out.warnings.push_back("the blocks in the kernel stay as they are: " +
                           to_string(store.error()));
  }
  auto kernel = chains::Kernel::open();
  if (!kernel) {
    out.report = std::unexpected(kernel.error());
    return out;
  }
  Manager manager(std::move(*kernel), shared_.state_dir,
                  store ? std::optional(std::move(*store)) : std::nullopt);
  // The kernel tells each watcher of each element that comes or goes, in a message of its own: of a
  // million, gigabytes. So it tells nothing to this one in the meantime.
  manager.around_large_commits({[this, &out] {
                                  out.unheard = true;
                                  changes_.watch().pause();
                                },
                                [this] { changes_.watch().resume(); }});
  out.report = manager.apply(wanted.policy, ApplyMode::commit, wanted.unused, ListUse::remembered);
  if (also) also(manager.kernel(), out.report);
  if (!out.report) return out;
  out.warnings.insert(out.warnings.begin(), out.report->warnings.begin(),
                      out.report->warnings.end());
  return out;
}

Applier::Others Applier::finish(const DesiredPolicy& wanted, Applied& applied) {
  for (const std::string& warning : applied.warnings) {
    if (std::ranges::find(warned_, warning) != warned_.end()) continue;
    shared_.messages.send(Level::warning, warning);
    if (!applied.report) warned_.push_back(warning);
  }
  if (!applied.report) return {};
  warned_ = std::move(applied.warnings);
  ApplyReport& report = *applied.report;
  if (wanted.unused == chains::Unused::remove) shared_.in_force.observed().holds(report.generation);
  if (applied.unheard) heard_again(report.generation);
  return {devices_.hold_devices(report.devices), devices_.hold_bridges(report.bridges)};
}

/// Was anything changed while nothing listened?
void Applier::heard_again(std::uint32_t generation) {
  const auto now = kernel_.generation();
  if (now && *now == generation) return;
  shared_.in_force.observed().forget();
  check_now_();
}

}  // namespace fw
