// What a simulation found out about one limit.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/simulate/tally.hpp"

#include <algorithm>
#include <limits>

#include "fw/base/limits.hpp"
#include "fw/simulate/budgets.hpp"
#include "limiter/gcra.hpp"

namespace simulate {

namespace {

/// A window gives a place back a little late.
Nanoseconds within_for(const fw::Limit& limit) {
  const std::chrono::nanoseconds period = limit.rate.period;
  const limiter::Ticks late = WindowKind::State::late(limiter::to_ticks(limit.rate.period));
  return (period + static_cast<Nanoseconds>(late) * limiter::kTick).count();
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

Tally::Tally(const fw::Limit& limit, Nanoseconds begin, Room& room)
    : limit_(&limit), within_for_(within_for(limit)), room_(&room), begin_(begin) {}

Tally::Who Tally::who(const Client& client, std::uint64_t key) {
  const auto known = index_.find(key);
  if (known != index_.end()) return known->second;
  if (room_->clients == 0) return kNobody;
  --room_->clients;
  const Who who = static_cast<Who>(clients_.size());
  index_.emplace(key, who);
  clients_.emplace_back(ClientTally{client});
  within_.push_back(0);
  ++totals.clients;
  return who;
}

Nanoseconds Tally::advance(Nanoseconds time) {
  latest_ = std::max(latest_, time + shift_);
  while (oldest_ < connections_.size() && latest_ - connections_[oldest_].time >= within_for_) {
    --within_[connections_[oldest_++].client];
  }
  return latest_;
}

void Tally::restarted(Nanoseconds time) {
  // A capture whose clock goes back again and again ends where 64 bits do.
  constexpr Nanoseconds kFar = std::numeric_limits<Nanoseconds>::max() / 2;
  // The largest bucket that is asked for later holds all connections that came.
  using Wide = fw::U128;
  const Wide full = static_cast<Wide>(within_for_) * (connections_.size() + 1);
  const Wide behind = static_cast<Wide>(latest_ + within_for_) + full / limit_->rate.count;
  if (latest_ == 0 || behind > static_cast<Wide>(kFar)) return;
  shift_ = static_cast<Nanoseconds>(behind) - time;
}

void Tally::asked(std::uint64_t key, Nanoseconds time) {
  const auto known = index_.find(key);
  if (known == index_.end()) return;
  advance(time);
  asked_most_ = std::max<std::uint64_t>(asked_most_, within_[known->second]);
}

void Tally::at_once(std::uint64_t connections, bool exact) {
  at_once_most_ = std::max(at_once_most_, connections);
  at_once_exact_ = at_once_exact_ && exact;
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
  const Nanoseconds at = advance(time);
  connections_.push_back({at, who});
  const std::uint64_t within = ++within_[who];
  within_most_ = std::max(within_most_, within);
  LimitBin& bin = series_.at(time - begin_);
  bin.busiest = std::max(bin.busiest, within);
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
    tally.first = tally.last = time;
    ++totals.clients_refused;
  }
  tally.first = std::min(tally.first, time);
  tally.last = std::max(tally.last, time);
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

Smallest Tally::smallest() const {
  Smallest out;
  out.exact = !forgot_;
  out.concurrent = limit_->concurrent ? at_once_most_ : 0;
  out.concurrent_exact = at_once_exact_;
  if (connections_.empty()) return out;
  // Up to 16 a limit is a window, which looks at each client's SYN too: one that comes while the
  // window is full is refused, though its handshake would have ended in time. A bucket of as many
  // as came within one period refuses nobody. Most clients are refused by none that is known to be
  // needed, so most are looked at once.
  const fw::Rate& rate = limit_->rate;
  const std::uint64_t needed =
      limit_->per == fw::LimitKey::ip ? std::max(within_most_, asked_most_ + 1) : within_most_;
  const bool window = needed <= fw::kWindowCountMax;
  const std::uint64_t within = std::max(within_most_, fw::kWindowCountMax + 1);
  out.count = window ? needed : fw::kWindowCountMax + 1;
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
