// Two samples of the daemon's counts as rates.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/daemon/rates.hpp"

#include <algorithm>
#include <chrono>

#include "fw/base/limits.hpp"

namespace fw {
namespace {

class Between {
 public:
  Between(WallTime begin, WallTime end)
      : seconds_(end > begin ? std::chrono::duration<double>(end - begin).count() : 1) {}
  double rate(std::uint64_t before, std::uint64_t after) const {
    return after < before ? 0 : static_cast<double>(after - before) / seconds_;
  }

 private:
  double seconds_;
};

/// The row of that name in earlier counts; empty when there was none.
template <class Row>
Row row(const std::vector<Row>& rows, const std::string& name) {
  const auto found = std::ranges::find(rows, name, &Row::name);
  return found != rows.end() ? *found : Row{};
}

std::vector<NamedCount> sources(const std::vector<Busy>& busy) {
  std::vector<NamedCount> out;
  for (const Busy& one : busy) out.push_back({to_string(one.source), one.count});
  return out;
}

}  // namespace

Rates rates(const Counts& before, const Counts& after) {
  const Between time(before.time, after.time);
  Rates out;
  out.connections = time.rate(before.connections, after.connections);
  out.open = after.open;
  for (const LimitCounts& limit : after.limits) {
    const LimitCounts earlier = row(before.limits, limit.name);
    out.limits.push_back({limit.name, to_string(limit.rate),
                          time.rate(earlier.accepted, limit.accepted),
                          time.rate(earlier.refused, limit.refused), limit.sources,
                          static_cast<double>(limit.fullest) / kMeterSourcesMax});
    out.refused += out.limits.back().refused;
  }
  for (const auto& [name, packets] : after.dropped) {
    const auto earlier = before.dropped.find(name);
    const std::uint64_t then = earlier != before.dropped.end() ? earlier->second : 0;
    out.dropped.push_back({name, time.rate(then, packets)});
  }
  for (const AppCount& app : after.apps) {
    out.apps.push_back(
        {app.name, time.rate(row(before.apps, app.name).connections, app.connections)});
  }
  out.busiest = sources(after.busiest);
  out.most_refused = sources(after.most_refused);
  for (const auto& [origin, blocked] : after.blocks) out.blocks.push_back({origin, blocked});
  const DaemonCounts& daemon = after.daemon;
  out.repairs = daemon.repairs;
  out.lost = daemon.flow_events_lost + daemon.refusals_lost + daemon.changes_lost;
  out.off = daemon.off;
  return out;
}

}  // namespace fw
