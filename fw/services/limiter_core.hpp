// Decides about requests: limits of the policy over the tables of the limiter.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "fw/base/address.hpp"
#include "fw/policy/http_limit.hpp"
#include "fw/services/budgets.hpp"
#include "limiter/gcra.hpp"

namespace fw::services {

/// Of whom a proxy asks. What the limit does not count by may be missing.
struct Question {
  std::string_view limit;
  std::optional<Ip> client;
  std::string_view account;
  std::string_view site;
};

enum class Outcome : std::uint8_t {
  admitted,
  refused,
  unknown,    ///< there is no limit of that name
  no_client,  ///< which the limit counts by
  no_account,
  no_site,
};

struct Decision {
  Outcome outcome = Outcome::unknown;
  std::chrono::nanoseconds retry_after{0};  ///< of a refusal: when one more would be admitted

  bool operator==(const Decision&) const = default;
};

/// Counts up to 14 are exact windows, larger ones token buckets. A budget belongs to the
/// definition of its limit: one that was changed begins anew, and one that was not goes on.
class LimiterCore {
 public:
  explicit LimiterCore(Budgets budgets) : budgets_(std::move(budgets)) {}

  /// From now on these.
  void use(const HttpRules& rules);
  /// Counts the request if it admits it. `now` counts from any beginning that the budgets share.
  Decision decide(const Question& question, limiter::Ticks now);
  /// To be called once a day at least: slots are freed before their times wrap.
  void sweep(limiter::Ticks now) { budgets_.events.sweep(now); }

 private:
  struct Rule {
    HttpLimit limit;
    std::uint64_t id = 0;
    limiter::Quota bucket{};
    limiter::WindowQuota window{};
  };

  std::uint64_t client_of(const Rule& rule, Ip client) const;

  Budgets budgets_;
  std::vector<Rule> rules_;
  std::vector<IpRange> translated_;
};

}  // namespace fw::services
