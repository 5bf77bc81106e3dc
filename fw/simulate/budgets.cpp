// One limit's budgets, as the kernel keeps them (chains/compile_limits.cpp says how and why).
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/simulate/budgets.hpp"

#include <algorithm>
#include <chrono>

namespace simulate {

using limiter::Quota;
using limiter::to_ticks;

namespace {

constexpr std::chrono::milliseconds kRememberedMax{100};

bool is_window(const fw::Limit& limit) { return limit.rate.count <= fw::kWindowCountMax; }

Quota shared_quota(const fw::Limit& limit) {
  const std::uint64_t count =
      std::min(limit.rate.count * fw::kOverflowFactor, fw::kRateCountMax * fw::kOverflowFactor);
  return Quota::of(count, limit.rate.period, count);
}

}  // namespace

Budgets::AnyMeters Budgets::meters_of(const fw::Limit& limit, fw::FairNetwork::Budget budget) {
  if (budget == fw::FairNetwork::Budget::shared) {
    return Meters<BucketKind>({shared_quota(limit)});
  }
  if (is_window(limit)) {
    return Meters<WindowKind>(
        {static_cast<unsigned>(limit.rate.count), to_ticks(limit.rate.period)});
  }
  return Meters<BucketKind>({Quota::of(limit.rate.count, limit.rate.period, limit.burst)});
}

std::vector<Budgets::Network> Budgets::networks_of(const fw::Limit& limit, fw::Family family) {
  std::vector<Network> out;
  for (const fw::FairNetwork& network : fw::fair_networks(limit, family)) {
    out.push_back({network.prefix, meters_of(limit, network.budget)});
  }
  return out;
}

Budgets::Budgets(const fw::Limit& limit)
    : meters_(meters_of(limit, fw::FairNetwork::Budget::own)),
      networks_{networks_of(limit, fw::Family::ipv4), networks_of(limit, fw::Family::ipv6)},
      looks_at_windows_(is_window(limit) && limit.per == fw::LimitKey::ip),
      shared_{shared_quota(limit)},
      remembered_(std::min(to_ticks(kRememberedMax),
                           to_ticks(limit.rate.period) / static_cast<Ticks>(limit.rate.count))),
      concurrent_(limit.concurrent) {}

bool Budgets::refuses(const Client& client, std::uint64_t key, Ticks now) const {
  if (looks_at_windows_) {
    return std::visit([&](const auto& m) { return m.refuses(client, key, now); }, meters_);
  }
  const auto known = refused_.find(key);
  return known != refused_.end() && now < known->second;
}

Answer Budgets::take(const Client& client, std::uint64_t key, Ticks now,
                     const NetworkKey& network_key) {
  const auto ask = [&](AnyMeters& meters, std::uint64_t of) {
    return std::visit([&](auto& m) { return m.take(client, of, now); }, meters);
  };
  std::optional<bool> answer = ask(meters_, key);
  if (answer && *answer) return Answer::admitted;
  if (!answer) {
    for (Network& network : networks_[static_cast<std::size_t>(client.address.family)]) {
      answer = ask(network.meters, network_key(network.prefix));
      if (answer) break;
    }
    if (answer ? *answer : shared_.take(shared_state_, now)) return Answer::overflowed;
  }
  if (!looks_at_windows_) {
    if (refused_.size() >= fw::kMeterSourcesMax) {
      erase_if(refused_, [now](const auto& entry) { return entry.second <= now; });
    }
    // An entry that is there keeps its end, and a full set takes no further one.
    if (refused_.size() < fw::kMeterSourcesMax) {
      Ticks& until = refused_[key];
      if (until <= now) until = now + remembered_;
    }
  }
  return Answer::refused;
}

void Budgets::Open::remember_beyond(std::uint64_t flow) {
  if (beyond.size() < kBeyondMax) {
    beyond.push_back(flow);
  } else {
    exact = false;
  }
}

Budgets::AtOnce Budgets::one_more(std::uint64_t key, std::uint64_t flow, Ticks now,
                                  const std::function<bool(std::uint64_t)>& lives) {
  if (!concurrent_) return {};
  if (open_.size() >= fw::kMeterSourcesMax && !open_.contains(key)) {
    erase_if(open_, [&](const auto& entry) {
      return std::ranges::none_of(entry.second.flows, lives, &OpenFlow::id);
    });
    if (open_.size() >= fw::kMeterSourcesMax) return {};  // the kernel counts no more either
  }
  Open& open = open_[key];
  std::erase_if(open.beyond, [&](std::uint64_t id) { return id == flow || !lives(id); });
  if (open.beyond.empty()) open.exact = true;
  std::erase_if(open.flows, [&](const OpenFlow& one) {
    if (one.id == flow || !lives(one.id)) return true;
    if (one.until > now) return false;
    open.remember_beyond(one.id);
    return true;
  });
  AtOnce answer{open.flows.size() >= *concurrent_, open.flows.size() + open.beyond.size() + 1,
                open.exact};
  if (answer.too_many) {
    open.remember_beyond(flow);
  } else {
    open.flows.push_back({flow});
  }
  return answer;
}

void Budgets::not_open(std::uint64_t key, std::uint64_t flow, Ticks until) {
  const auto known = open_.find(key);
  if (known == open_.end()) return;
  const auto at = std::ranges::find(known->second.flows, flow, &OpenFlow::id);
  if (at != known->second.flows.end()) at->until = until;
}

}  // namespace simulate
