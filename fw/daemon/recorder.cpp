// What the daemon writes into the activity log.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/daemon/recorder.hpp"

#include <utility>

#include <boost/json/serialize.hpp>
#include <fmt/format.h>

#include "fw/base/limits.hpp"
#include "fw/base/suggest.hpp"
#include "fw/host/host_facts.hpp"

namespace fw {

namespace json = boost::json;

Recorder::Recorder(std::string state_dir, Messages& messages)
    : state_dir_(std::move(state_dir)), messages_(messages) {}

void Recorder::record(const std::string& what, const Actor& actor, const std::string& summary,
                      const json::object& details) {
  const Activity row{0, wall_clock(), what, actor, summary, json::serialize(details)};
  auto added = Result<std::int64_t>(std::unexpect);
  for (int attempt = 0; attempt < 2 && !added; ++attempt) {
    // The log stays open. When it is of no use, it is opened again: it may have been moved away.
    if (!log_) {
      auto log = ActivityLog::open(state_dir_);
      if (log) log_.emplace(std::move(*log));
      if (!log) added = std::unexpected(log.error());
    }
    if (log_) added = log_->add(row, bounds_);
    if (!added) log_.reset();
  }
  if (added) return;
  messages_.send(Level::error,
                 "not written to the activity log: " + summary + ": " + to_string(added.error()));
}

json::array first_lines(const chains::Description& difference) {
  json::array lines;
  for (const chains::DiffLine& line : difference.lines) {
    if (lines.size() == kActivityLinesMax) break;
    lines.emplace_back(fmt::format("{} {}: {}", line.sign, line.place, printable(line.text, 200)));
  }
  return lines;
}

}  // namespace fw
