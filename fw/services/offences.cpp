// Finds clients whose requests are refused so often that they are to be blocked.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/services/offences.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "fw/base/limits.hpp"

namespace fw::services {
namespace {

IpRange network_of(Ip client, int prefix) {
  const int bits = address_bits(client.family);
  const U128 rest = prefix >= bits ? 0 : (U128{1} << (bits - prefix)) - 1;
  const U128 first = client.bits & ~rest;
  return {client.family, first, first | rest};
}

bool is_translator(const HttpRules& rules, Ip client) {
  return std::ranges::any_of(rules.translated, [client](const IpRange& network) {
    return network.contains({client.family, client.bits, client.bits});
  });
}

/// Adds it to the last `most` times: is the first of these within the period?
bool completes(std::vector<Offences::Time>& times, std::size_t& next, const Rate& rate,
               Offences::Time now) {
  if (times.size() < rate.count) {
    times.push_back(now);
    next = 0;
  } else {
    times[next] = now;
    next = (next + 1) % times.size();
  }
  return times.size() == rate.count && now - times[next] <= rate.period;
}

}  // namespace

void Offences::use(const HttpRules& rules) {
  if (rules.offenders != rules_.offenders) {
    suspects_.clear();
    quiet_.clear();
  }
  rules_ = rules;
}

std::optional<WantedBlock> Offences::see(Ip client, std::string_view limit, std::string_view site,
                                         Time now) {
  if (rules_.offenders.empty()) return {};
  const auto counted = std::ranges::find(
      rules_.limits, limit, [](const HttpLimit& each) -> std::string_view { return each.name; });
  if (counted == rules_.limits.end()) return {};
  const bool six = client.family == Family::ipv6;
  const int prefix6 = is_translator(rules_, client) ? 128 : std::clamp(counted->prefix6, 1, 128);
  const IpRange network = network_of(client, six ? prefix6 : 32);
  std::optional<WantedBlock> wanted;
  for (std::size_t i = 0; i < rules_.offenders.size(); ++i) {
    const HttpOffender& rule = rules_.offenders[i];
    if (std::ranges::find(rule.limits, limit) == rule.limits.end()) continue;
    Suspect& suspect = this->suspect({i, network});
    if (!completes(suspect.times, suspect.next, rule.after, now)) continue;
    suspect.times.clear();
    suspect.blocks = now < suspect.repeats_until ? suspect.blocks + 1 : 1;
    std::chrono::seconds lasts = rule.block;
    for (unsigned n = 1; n < suspect.blocks && lasts < rule.max; ++n) lasts *= 2;
    lasts = std::min(lasts, rule.max);
    suspect.repeats_until = now + lasts + rule.max;
    if (wanted && wanted->lasts >= lasts) continue;
    wanted = {client, six ? prefix6 : 128, lasts, std::string(site),
              fmt::format("{} refused by limit {} in {}", rule.after.count, limit,
                          to_string(rule.after.period))};
  }
  return wanted;
}

Offences::Suspect& Offences::suspect(const Key& key) {
  const auto [found, fresh] = suspects_.try_emplace(key);
  if (!fresh) {
    quiet_.splice(quiet_.end(), quiet_, found->second.place);
    return found->second;
  }
  found->second.place = quiet_.insert(quiet_.end(), key);
  if (suspects_.size() > kHttpSuspectsMax) {
    suspects_.erase(quiet_.front());
    quiet_.pop_front();
  }
  return found->second;
}

}  // namespace fw::services
