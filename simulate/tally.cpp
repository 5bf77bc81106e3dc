// What a simulation found out about one limit.
#include "simulate/tally.hpp"

#include <algorithm>

#include "fw/base/limits.hpp"
#include "limiter/gcra.hpp"

namespace simulate {

namespace {

Nanoseconds period_of(const fw::Limit& limit) {
  return std::chrono::nanoseconds(limit.rate.period).count();
}

/// Would a bucket have refused one of these, which ascend?
bool refuses(const std::vector<limiter::Ticks>& times, const limiter::Quota& quota) {
  limiter::Ticks stored = 0;
  for (const limiter::Ticks now : times) {
    const limiter::Step step = limiter::gcra(stored, quota, now);
    if (!step.verdict.admitted()) return true;
    stored = step.stored;
  }
  return false;
}

/// The smallest number for which `refused` is false; it is true below some number, false from there
/// on, and false for `high`.
template <class Refused>
std::uint64_t smallest_without(std::uint64_t low, std::uint64_t high, const Refused& refused) {
  while (low < high) {
    const std::uint64_t middle = low + (high - low) / 2;
    if (refused(middle)) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}

}  // namespace

Tally::Who Tally::who(const Client& client, std::uint64_t key) {
  const auto known = index_.find(key);
  if (known != index_.end()) return known->second;
  if (room_->clients == 0) return kNobody;
  --room_->clients;
  const Who who = static_cast<Who>(clients_.size());
  index_.emplace(key, who);
  clients_.emplace_back(ClientTally{client});
  ++totals.clients;
  return who;
}

void Tally::connected(Who who, Nanoseconds time) {
  ++totals.connections;
  if (who == kNobody) {
    ++unknown_;
    forgot_ = true;
    return;
  }
  ++clients_[who].connections;
  if (room_->connections == 0) {
    forgot_ = true;
    return;
  }
  --room_->connections;
  // The window needs an order, and packets of two captures may be out of it by a little.
  const Nanoseconds last = connections_.empty() ? time : connections_.back().time;
  connections_.push_back({std::max(time, last), who});
}

void Tally::admitted(Who who, Nanoseconds time) {
  ++totals.admitted;
  ++series_.at(time - begin_).admitted;
  if (who != kNobody) clients_[who].streak = 0;
}

void Tally::refused(Who who, Nanoseconds time) {
  ++totals.refused;
  ++series_.at(time - begin_).refused;
  if (who == kNobody) return;
  ClientTally& tally = clients_[who];
  if (tally.refused++ == 0) {
    tally.first = time;
    ++totals.clients_refused;
  }
  tally.last = time;
  if (tally.streak == 0) tally.streak = time;
  tally.longest = std::max(tally.longest, time - tally.streak);
}

std::vector<ClientTally> Tally::refused_clients() const {
  std::vector<ClientTally> refused;
  std::copy_if(clients_.begin(), clients_.end(), std::back_inserter(refused),
               [](const ClientTally& c) { return c.refused != 0; });
  std::sort(refused.begin(), refused.end(), [](const ClientTally& a, const ClientTally& b) {
    return std::tuple(b.refused, a.first) < std::tuple(a.refused, b.first);
  });
  return refused;
}

std::vector<std::vector<Nanoseconds>> Tally::by_client() const {
  std::vector<std::vector<Nanoseconds>> times(clients_.size());
  for (const Connection& c : connections_) times[c.client].push_back(c.time);
  return times;
}

Series<LimitBin> Tally::series() const {
  Series<LimitBin> series = series_;
  std::vector<std::uint32_t> within(clients_.size());
  std::size_t oldest = 0;
  for (const Connection& c : connections_) {
    while (c.time - connections_[oldest].time >= period_of(*limit_)) {
      --within[connections_[oldest++].client];
    }
    LimitBin& bin = series.at(c.time - begin_);
    bin.busiest = std::max<std::uint64_t>(bin.busiest, ++within[c.client]);
  }
  return series;
}

Smallest Tally::smallest() const {
  Smallest out;
  out.exact = !forgot_;
  if (connections_.empty()) return out;
  std::uint64_t within = 0;  // of one client in a period, at most
  const Series<LimitBin> all = series();
  for (const LimitBin& bin : all.bins()) within = std::max(within, bin.busiest);
  // Up to 16 a limit is a window. A bucket of as many as came within one period refuses nobody.
  // Most clients are refused by none that is known to be needed, so most are looked at once.
  const fw::Rate& rate = limit_->rate;
  const bool window = within <= fw::kWindowCountMax;
  out.count = window ? within : fw::kWindowCountMax + 1;
  out.burst = rate.count <= fw::kWindowCountMax ? 0 : 1;
  if (window && out.burst == 0) return out;
  for (const auto& connections : by_client()) {
    std::vector<limiter::Ticks> times;
    for (const Nanoseconds t : connections) {
      // From 1, because no time at all is "none yet".
      times.push_back(1 + static_cast<limiter::Ticks>(t - connections.front()) /
                              static_cast<limiter::Ticks>(limiter::kTick.count()));
    }
    const auto refused_by = [&](std::uint64_t count) {
      return refuses(times, limiter::Quota::of(count, rate.period, count));
    };
    const auto refused_with = [&](std::uint64_t burst) {
      return refuses(times, limiter::Quota::of(rate.count, rate.period, burst));
    };
    if (!window && refused_by(out.count)) {
      out.count = smallest_without(out.count + 1, within, refused_by);
    }
    if (out.burst != 0 && refused_with(out.burst)) {
      out.burst = smallest_without(out.burst + 1, times.size(), refused_with);
    }
  }
  return out;
}

}  // namespace simulate
