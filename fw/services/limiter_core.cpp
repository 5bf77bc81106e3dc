// Decides about requests.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/services/limiter_core.hpp"

#include <algorithm>

#include "fw/services/hash_text.hpp"
#include "limiter/hash.hpp"

namespace fw::services {
namespace {

static_assert(kHttpWindowCountMax == limiter::Events::kCountMax);
static_assert(2 * kHttpWindowCountMax <= limiter::Events::kSlotsOfBucket);

using limiter::Key;
using limiter::Secret;

/// What part of a key a hash is of, so that an account never meets a site of its name.
enum Part : std::uint32_t { kLimitPart = 1, kIpv4Part, kIpv6Part, kAccountPart, kSitePart };

std::uint64_t hash_limit(const Secret& secret, const HttpLimit& limit) {
  const std::uint64_t name = hash_text(secret, limit.name, kLimitPart);
  const std::uint64_t rate = limiter::hash(
      secret, Key{limit.rate.count, static_cast<std::uint64_t>(limit.rate.period.count()),
                  static_cast<std::uint32_t>(limit.per), kLimitPart});
  const auto prefixes = static_cast<std::uint32_t>(limit.prefix4 << 8 | limit.prefix6);
  return limiter::hash(secret, Key{name ^ rate, limit.burst, prefixes, kLimitPart});
}

}  // namespace

void LimiterCore::use(const HttpRules& rules) {
  translated_ = rules.translated;
  rules_.clear();
  for (const HttpLimit& limit : rules.limits) {
    Rule rule{limit, hash_limit(budgets_.secret, limit)};
    if (limit.is_window()) {
      rule.window = {static_cast<unsigned>(std::max<std::uint64_t>(limit.rate.count, 1)),
                     limiter::to_ticks(limit.rate.period)};
    } else {
      rule.bucket = limiter::Quota::of(limit.rate.count, limit.rate.period,
                                       std::max<std::uint64_t>(limit.burst, 1));
    }
    rules_.push_back(std::move(rule));
  }
}

std::uint64_t LimiterCore::client_of(const Rule& rule, Ip client) const {
  const bool four = client.family == Family::ipv4;
  const bool alone = !four && std::ranges::any_of(translated_, [client](const IpRange& network) {
    return network.contains({client.family, client.bits, client.bits});
  });
  const int bits = address_bits(client.family);
  const int written = four ? rule.limit.prefix4 : rule.limit.prefix6;
  const int prefix = alone ? bits : std::clamp(written, 1, bits);
  const U128 network = client.bits >> (bits - prefix);
  return limiter::hash(budgets_.secret, Key{static_cast<std::uint64_t>(network >> 64),
                                            static_cast<std::uint64_t>(network), alone ? 1u : 0u,
                                            four ? kIpv4Part : kIpv6Part});
}

Decision LimiterCore::decide(const Question& question, limiter::Ticks now) {
  const auto rule = std::ranges::find(
      rules_, question.limit, [](const Rule& each) -> std::string_view { return each.limit.name; });
  if (rule == rules_.end()) return {Outcome::unknown};
  const HttpKey per = rule->limit.per;
  Key key{rule->id, 0, 0, 0};
  if (per == HttpKey::client || per == HttpKey::client_account) {
    if (!question.client) return {Outcome::no_client};
    key.low = client_of(*rule, *question.client);
  }
  if (per == HttpKey::account || per == HttpKey::client_account) {
    if (question.account.empty()) return {Outcome::no_account};
    const std::uint64_t account = hash_text(budgets_.secret, question.account, kAccountPart);
    key.limit = static_cast<std::uint32_t>(account >> 32);
    key.app = static_cast<std::uint32_t>(account);
  }
  if (per == HttpKey::site) {
    if (question.site.empty()) return {Outcome::no_site};
    key.low = hash_text(budgets_.secret, question.site, kSitePart);
  }
  const std::uint64_t hash = limiter::hash(budgets_.secret, key);
  const limiter::Verdict verdict = rule->limit.is_window()
                                       ? budgets_.events.take(hash, rule->window, now)
                                       : budgets_.buckets.take({hash, &rule->bucket}, now);
  if (verdict.admitted()) return {Outcome::admitted};
  return {Outcome::refused, verdict.retry_after()};
}

}  // namespace fw::services
