// Who is busiest.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/daemon/traffic_stats.hpp"

#include <algorithm>
#include <map>

#include "fw/base/limits.hpp"

namespace fw {
namespace {

constexpr std::uint32_t kIpv6 = 6;  // in a key's `limit`

limiter::Key key_of(Ip ip) {
  if (ip.family == Family::ipv4) return {0, static_cast<std::uint64_t>(ip.bits), 0, 0};
  return {static_cast<std::uint64_t>(ip.bits >> 64), 0, kIpv6, 0};
}

IpRange source_of(const limiter::Key& key) {
  if (key.limit != kIpv6) return {Family::ipv4, key.low, key.low};
  const U128 first = U128{key.high} << 64;
  return {Family::ipv6, first, first | ~std::uint64_t{0}};
}

}  // namespace

TrafficStats::TrafficStats(const Policy& policy)
    : connections_(kSourcesWatched), refusals_(kSourcesWatched) {
  know(policy.apps);
}

void TrafficStats::know(const std::vector<App>& apps) {
  std::map<std::string, std::uint64_t> counted;
  for (AppCount& app : apps_) counted.emplace(std::move(app.name), app.connections);
  apps_.clear();
  app_of_.clear();
  for (const App& app : apps) {
    for (const Ip ip : app.addresses) app_of_[ip] = apps_.size();
    const auto before = counted.find(app.name);
    apps_.push_back({app.name, before == counted.end() ? 0 : before->second});
  }
}

bool TrafficStats::know(const std::vector<App>& before, const std::vector<App>& after) {
  if (!std::ranges::equal(before, after, {}, &App::name, &App::name)) return false;
  for (const App& app : before) {
    for (const Ip ip : app.addresses) app_of_.erase(ip);
  }
  for (const App& app : after) {
    const auto it = std::ranges::find(apps_, app.name, &AppCount::name);
    for (const Ip ip : app.addresses) app_of_[ip] = static_cast<std::size_t>(it - apps_.begin());
  }
  return true;
}

void TrafficStats::see(const chains::FlowEvent& event) {
  using Kind = chains::FlowEvent::Kind;
  switch (event.kind) {
    case Kind::snapshot:
      open_ = 0;
      return;
    case Kind::lives:
      ++open_;
      return;
    case Kind::ended:
      if (open_ != 0) --open_;
      return;
    case Kind::began:
      break;
  }
  ++open_;
  ++began_;
  connections_.add(key_of(event.flow.source));
  if (const auto app = app_of_.find(event.flow.source); app != app_of_.end()) {
    ++apps_[app->second].connections;
  }
}

void TrafficStats::see(const chains::Refusal& refusal) {
  if (refusal.why == chains::Refusal::Why::other) return;
  ++refused_;
  refusals_.add(key_of(refusal.packet.source));
}

void TrafficStats::fade() {
  connections_.halve();
  refusals_.halve();
}

std::vector<Busy> TrafficStats::sources(const limiter::Top& top, std::size_t n) {
  std::vector<Busy> out;
  for (const auto& entry : top.largest(n)) {
    if (entry.count != 0) out.push_back({source_of(entry.key), entry.count, entry.error});
  }
  return out;
}

}  // namespace fw
