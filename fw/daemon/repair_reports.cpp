// What is said of repairs.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/daemon/repair_reports.hpp"

#include <cstdint>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "fw/base/limits.hpp"
#include "fw/base/rate.hpp"

namespace fw {
namespace {

const std::string& name_of(const std::string& by) {
  static const std::string kUnknown = "an unknown program";
  return by.empty() ? kUnknown : by;
}

std::int64_t in_ms(std::chrono::microseconds time) {
  return std::chrono::round<std::chrono::milliseconds>(time).count();
}

}  // namespace

std::string to_string(const Repaired& repaired) {
  const std::string what = repaired.all
                               ? "removed the firewall"
                               : fmt::format("changed {} {} of the firewall", repaired.lines,
                                             repaired.lines == 1 ? "line" : "lines");
  std::string text =
      fmt::format("{} {}; repaired in {} ms", name_of(repaired.by), what, in_ms(repaired.took));
  if (const auto lost = repaired.lost_by_hand; lost != 0) {
    text += fmt::format("; {} hand-added rule{} {} lost with it: put such rules into rules.d", lost,
                        lost == 1 ? "" : "s", lost == 1 ? "is" : "are");
  }
  return text;
}

void RepairReports::tell(const Repaired& repaired, const chains::Description& lines,
                         std::chrono::milliseconds now) {
  const auto tell = pace_.repaired(now);
  if (tell == RepairPace::Tell::in_sum) return;
  const std::string text = to_string(repaired);
  shared_.messages.send(Level::warning, text,
                        {{"CHANGED_BY", name_of(repaired.by)},
                         {"RULE", lines.empty() ? std::string() : lines.lines.front().id}});
  shared_.recorder.record("repair", text,
                          {{"by", name_of(repaired.by)},
                           {"first_lines", first_lines(lines)},
                           {"took_ms", in_ms(repaired.took)},
                           {"lost_rules", repaired.lost_by_hand}});
  if (tell != RepairPace::Tell::and_alarm) return;
  shared_.messages.send(
      Level::alert, fmt::format("the firewall was repaired {} times in a minute: {} keeps changing "
                                "it; it is still repaired at once, but reported once a minute",
                                kRepairsAMinute, name_of(repaired.by)));
}

void RepairReports::tell_sum() {
  const auto more = pace_.take_sum();
  if (more == 0) return;
  const std::string text = fmt::format("{} more repairs since the last report", more);
  shared_.messages.send(Level::warning, text);
  shared_.recorder.record("repair", text, {{"repairs", more}});
}

void RepairReports::tell_devices(const std::vector<std::string>& names) {
  shared_.messages.send(
      Level::info, fmt::format("network devices changed: blocked sources are dropped early at {}",
                               names.empty() ? "none" : fmt::to_string(fmt::join(names, ", "))));
}

void RepairReports::tell_bridges(std::size_t lines) {
  shared_.messages.send(Level::info,
                        fmt::format("containers or bridges changed: {} rules differ", lines));
}

void RepairReports::tell_clock_set(std::chrono::milliseconds step) {
  const auto whole = std::chrono::round<std::chrono::seconds>(std::chrono::abs(step));
  const std::string text =
      fmt::format("the clock was set {} by {}: the kernel's timers of blocks follow",
                  step.count() > 0 ? "forward" : "back", to_string(whole));
  shared_.messages.send(Level::notice, text);
  shared_.recorder.record("clock", text, {{"step_ms", step.count()}});
}

void RepairReports::tell_labels(const std::string& trouble) {
  if (trouble == label_trouble_) return;
  label_trouble_ = trouble;
  const bool over = trouble.empty();
  const std::string text =
      over ? "no rule of another program sets our bits of connection labels any more" : trouble;
  shared_.messages.send(over ? Level::notice : Level::warning, text);
  shared_.recorder.record("labels", text, {});
}

}  // namespace fw
