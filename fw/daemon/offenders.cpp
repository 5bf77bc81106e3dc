// Finds sources that are refused so often that they are blocked.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/daemon/offenders.hpp"

#include <algorithm>

#include <fmt/chrono.h>
#include <fmt/format.h>

#include "fw/base/limits.hpp"

namespace fw {
namespace {

std::string clock_text(WallTime time) {
  const auto seconds = std::chrono::floor<std::chrono::seconds>(time);
  return fmt::format("{:%H:%M:%S}", fmt::gmtime(std::chrono::system_clock::to_time_t(seconds)));
}

}  // namespace

std::string to_string(const Evidence& evidence) {
  return fmt::format("{} refused by {}, port{} {}, from {} to {} UTC", evidence.count,
                     evidence.what, evidence.ports.size() == 1 ? "" : "s",
                     fmt::join(evidence.ports, " "), clock_text(evidence.first),
                     clock_text(evidence.last));
}

Offenders::Offenders(const Policy& policy, BlockGuard guard)
    : rules_(policy.offenders), limits_(policy.limits), guard_(std::move(guard)) {}

bool Offenders::counts(const Offender& rule, const chains::Refusal& refusal, bool closed) const {
  if (closed) return rule.closed_ports && refusal.why == chains::Refusal::Why::closed;
  if (!rule.refused || refusal.why != chains::Refusal::Why::limit || !refusal.shaken) return false;
  const auto limit = std::ranges::find(limits_, refusal.limit, &Limit::name);
  if (limit == limits_.end() || limit->from != Source::outside) return false;
  return rule.limits.empty() || std::ranges::find(rule.limits, refusal.limit) != rule.limits.end();
}

IpRange Offenders::source_of(const chains::Refusal& refusal) const {
  const Ip ip = refusal.packet.source;
  const auto limit = std::ranges::find(limits_, refusal.limit, &Limit::name);
  const Limit by = limit != limits_.end() ? *limit : Limit{};
  return guard_.client(ip, ip.family == Family::ipv4 ? by.prefix4 : by.prefix6);
}

Offenders::Suspect& Offenders::suspect(const Key& key) {
  const auto [it, fresh] = suspects_.try_emplace(key);
  if (fresh) {
    if (suspects_.size() > kSuspectsMax) {
      suspects_.erase(quiet_.front());
      quiet_.pop_front();
    }
    it->second.place = quiet_.insert(quiet_.end(), key);
  } else {
    quiet_.splice(quiet_.end(), quiet_, it->second.place);
  }
  return it->second;
}

std::optional<BanDecision> Offenders::judge(const Key& key, const Rate& rate,
                                            const chains::Refusal& refusal, const Instant& now) {
  const auto before = offences_.find(key.source);
  if (before != offences_.end() && now.steady < before->second.noticed_until) return {};
  Suspect& suspect = this->suspect(key);
  suspect.limit = refusal.limit;
  auto& events = suspect.events;
  const auto port = refusal.packet.destination_port;
  std::erase_if(events, [&](const Event& e) {
    return now.steady - e.steady > rate.period || (key.closed && e.port == port);
  });
  events.push_back({now.steady, now.wall, port});
  if (events.size() < rate.count) return {};

  const Offender& rule = rules_[key.rule];
  BanDecision decision;
  decision.range = key.source;
  decision.where = rule.where;
  Evidence& evidence = decision.evidence;
  evidence.what = key.closed ? "closed ports" : "limit " + suspect.limit;
  evidence.count = events.size();
  evidence.first = events.front().wall;
  evidence.last = events.back().wall;
  for (const Event& event : events) {
    const bool known = std::ranges::find(evidence.ports, event.port) != evidence.ports.end();
    if (!known && evidence.ports.size() < kEvidencePortsMax) evidence.ports.push_back(event.port);
  }
  const bool again = before != offences_.end() && now.wall < before->second.end + rule.max;
  decision.times = again ? before->second.times + 1 : 1;
  decision.duration = rule.block;
  for (unsigned i = 1; i < decision.times && decision.duration < rule.max; ++i) {
    decision.duration = std::min(decision.duration * 2, rule.max);
  }
  quiet_.erase(suspect.place);
  suspects_.erase(key);
  remember(decision.range, decision.times, now.wall + decision.duration);
  offences_[decision.range].noticed_until = now.steady + kBacklog;
  return decision;
}

std::optional<BanDecision> Offenders::see(const chains::Refusal& refusal, const Instant& now) {
  const IpRange source = source_of(refusal);
  std::optional<BanDecision> hardest;
  for (std::size_t i = 0; i < rules_.size(); ++i) {
    for (const bool closed : {false, true}) {
      if (!counts(rules_[i], refusal, closed)) continue;
      if (guard_.objection(source)) return {};
      const Rate& rate = closed ? *rules_[i].closed_ports : *rules_[i].refused;
      auto decision = judge({i, closed, source}, rate, refusal, now);
      if (decision && (!hardest || decision->duration > hardest->duration)) {
        hardest = std::move(decision);
      }
    }
  }
  return hardest;
}

void Offenders::take_back(const BanDecision& decision) {
  const auto offence = offences_.find(decision.range);
  if (offence != offences_.end()) offence->second.times = decision.times - 1;
}

void Offenders::remember(const IpRange& range, unsigned times, WallTime end) {
  if (offences_.size() >= kOffencesMax && !offences_.contains(range)) {
    // What ended first weighs least.
    offences_.erase(std::ranges::min_element(offences_, {},
                                             [](const auto& entry) { return entry.second.end; }));
  }
  Offence& offence = offences_[range];
  offence.times = std::max(offence.times, times);
  offence.end = std::max(offence.end, end);
}

}  // namespace fw
