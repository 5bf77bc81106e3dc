// Rows of the activity log.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/ops/record.hpp"

#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>
#include <fmt/format.h>

#include "fw/base/limits.hpp"
#include "fw/base/suggest.hpp"
#include "fw/host/host_facts.hpp"
#include "fw/ops/daemon_client.hpp"
#include "fw/ops/words.hpp"
#include "fw/store/activity.hpp"

namespace fw::ops {

namespace json = boost::json;

void record(const Environment& env, const Policy* policy, const std::string& what,
            const std::string& summary, const json::object& details) {
  ActivityBounds bounds{kDurationMax, UINT64_MAX};
  if (policy != nullptr) bounds = {policy->activity.keep, policy->activity.bytes};
  auto log = ActivityLog::open(env.state_dir);
  const auto added =
      log ? log->add({0, wall_clock(), what, env.caller.actor(), summary, json::serialize(details)},
                     bounds)
          : Result<std::int64_t>(std::unexpected(log.error()));
  if (!added) env.warn("not written to the activity log: " + to_string(added.error()));
}

void record_apply(const Environment& env, const Policy* policy, const std::string& name,
                  const ApplyReport& report) {
  if (!report.changed) return;
  constexpr std::size_t kLineShown = 200;
  json::array lines;
  for (const chains::DiffLine& line : report.difference.rules.lines) {
    if (lines.size() == kActivityLinesMax) break;
    lines.emplace_back(
        fmt::format("{} {}: {}", line.sign, line.place, printable(line.text, kLineShown)));
  }
  json::array contents;
  std::string summary = fmt::format("{}: {}", name, plural(report.difference.rules.all, "line"));
  for (const ContentChange& change : report.difference.contents) {
    contents.push_back(
        json::object{{"what", change.what}, {"added", change.added}, {"removed", change.removed}});
    summary += fmt::format(", {} +{} -{}", change.what, change.added, change.removed);
  }
  record(env, policy, "apply", printable(summary, 256),
         {{"policy", printable(name, kLineShown)},
          {"first", report.first},
          {"took_us", report.took.count()},
          {"lines", report.difference.rules.all},
          {"first_lines", std::move(lines)},
          {"contents", std::move(contents)},
          {"flows_cut", report.flows_cut}});
  tell_applied(env, report.took);
}

}  // namespace fw::ops
