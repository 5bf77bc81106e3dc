// [[limit]]: how many connections each client or app may make.
// SPDX-License-Identifier: GPL-2.0-or-later
#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "fw/base/limits.hpp"
#include "fw/base/suggest.hpp"
#include "fw/policy/policy_tables.hpp"

namespace fw {
namespace {

constexpr std::array<std::pair<std::string_view, Source>, 2> kSides{
    {{"outside", Source::outside}, {"apps", Source::apps}}};
constexpr std::array<std::pair<std::string_view, LimitKey>, 2> kBudgets{
    {{"ip", LimitKey::ip}, {"app", LimitKey::app}}};

/// A limit as it was written.
struct LimitDraft : Limit {
  std::optional<Source> side;   ///< "from", when it could be read
  std::optional<bool> enabled;  ///< the same
};

/// Keys of a limit that exclude each other; fills in the default burst.
void check_limit_keys(Section& section, LimitDraft& limit) {
  if (limit.per == LimitKey::app) {
    const bool of_clients = !section.has("from") || limit.side == Source::outside;
    if (of_clients)
      section.error("per", "per = \"app\" needs from = \"apps\": clients outside belong to no app");
    for (const char* key : {"prefix4", "prefix6"}) {
      if (section.has(key))
        section.error(key,
                      fmt::format("{} has no effect with per = \"app\": all addresses of an app "
                                  "share one budget; remove it",
                                  key));
    }
  }
  if (limit.counts_pings()) {
    for (const char* key : {"ports", "from", "per", "concurrent"}) {
      if (section.has(key))
        section.error(key, fmt::format("{} has no effect in limit \"ping\", which counts the "
                                       "echo requests of each client; remove it, or rename "
                                       "the limit",
                                       key));
    }
    limit.ports.clear();
  }
  const bool window = limit.rate.count >= 1 && limit.rate.count <= kWindowCountMax;
  if (window && section.has("burst")) {
    section.error("burst",
                  fmt::format("burst has no effect with rate \"{}\": a count up to {} is an "
                              "exact window, and windows have no burst; remove it",
                              to_string(limit.rate), kWindowCountMax));
  }
  if (limit.burst == 0 || window) limit.burst = limit.rate.count;
}

void add_limit(Draft& draft, Limit limit) {
  std::vector<Limit>& limits = draft.policy.limits;
  if (const auto off = std::ranges::find(draft.disabled_limits, limit.name, &Limit::name);
      off != draft.disabled_limits.end()) {
    draft.values.error(limit.where,
                       fmt::format("limit {} is switched off at line {}; remove one of the two",
                                   quote(limit.name), off->where.line));
  }
  const auto namesake = std::ranges::find(limits, limit.name, &Limit::name);
  if (namesake != limits.end() && namesake->where == Location{})
    *namesake = std::move(limit);
  else
    limits.push_back(std::move(limit));
  if (limits.size() == kLimitsMax + 1) {
    draft.values.error(
        limits.back().where,
        fmt::format("there are at most {} limits, the defaults included; leave out the rest",
                    kLimitsMax));
  }
}

void drop_limit(Draft& draft, Limit limit, bool defined) {
  std::vector<std::string_view> defaults;
  for (const Limit& each : draft.defaults.limits) defaults.push_back(each.name);
  if (!defined && std::ranges::find(defaults, limit.name) == defaults.end()) {
    const std::string_view guess = nearest(limit.name, defaults);
    draft.values.error(
        limit.where,
        fmt::format("there is no default limit {} to switch off; {}", quote(limit.name),
                    guess.empty() ? fmt::format("they are {}", fmt::join(defaults, ", "))
                                  : fmt::format("did you mean {}?", quote(guess))));
  }
  for (const auto* limits : {&draft.policy.limits, &draft.disabled_limits}) {
    const auto other = std::ranges::find(*limits, limit.name, &Limit::name);
    if (other == limits->end() || other->where == Location{}) continue;
    draft.values.error(limit.where,
                       fmt::format("limit {} is already defined at line {}; remove one of the two",
                                   quote(limit.name), other->where.line));
  }
  std::erase_if(draft.policy.limits, [&limit](const Limit& each) {
    return each.name == limit.name && each.where == Location{};
  });
  draft.disabled_limits.push_back(std::move(limit));
}

void read_limit(Section& section, const Keys<LimitDraft>& keys) {
  LimitDraft limit;
  limit.where = section.where();
  // Of a limit that is switched off only the name must be there.
  const auto whole = [&] { return limit.enabled.value_or(!section.has("enabled")); };
  keys.read(section, limit, [&](const KeyForm& key) {
    return !whole() || (key.name == "ports" && limit.counts_pings());
  });
  if (!whole() && !section.has("name"))
    section.error("[[limit]] lacks name; add the name of the limit to switch off");
  limit.from = limit.side.value_or(Source::outside);
  check_limit_keys(section, limit);
  if (limit.name.empty()) return;
  if (limit.enabled.value_or(true))
    add_limit(section.draft(), std::move(limit));
  else
    drop_limit(section.draft(), std::move(limit), section.has("ports") || section.has("rate"));
}

std::vector<Key<LimitDraft>> limit_keys() {
  using D = LimitDraft;
  return {
      {{"name", "name", "needed",
        "a default's name replaces that default; another name adds a limit", "name = \"my-limit\""},
       [](ValueReader& in, const Value& value, D& limit) { limit.name = in.name(value); }},
      {{"ports", "array of ports", "needed",
        "the ports to count; all ports of a limit share one budget", "ports = [22, 202]"},
       [](ValueReader& in, const Value& value, D& limit) { limit.ports = in.some_ports(value); }},
      {{"rate", "rate", "needed", "the budget", "rate = \"5/10s\""},
       [](ValueReader& in, const Value& value, D& limit) { limit.rate = in.rate(value); }},
      {{"from", "`\"outside\"` or `\"apps\"`", "`\"outside\"`",
        "which sources to count: those in the app networks, or all others"},
       [](ValueReader& in, const Value& value, D& limit) { in.choose(value, kSides, limit.side); }},
      {{"per", "`\"ip\"` or `\"app\"`", "`\"ip\"`",
        "whether each source or each app has its own budget"},
       [](ValueReader& in, const Value& value, D& limit) {
         in.choose(value, kBudgets, limit.per);
       }},
      number_key<D>(
          "burst", &D::burst, 1, kRateCountMax * 10, "the count of `rate`",
          fmt::format("size of the token bucket; only for counts above {}", kWindowCountMax)),
      number_key<D>("concurrent", &D::concurrent, 1, kRateCountMax, "no bound",
                    "connections open at the same time"),
      number_key<D>(
          "prefix4", &D::prefix4, 1, 32, "`32`",
          "with `per = \"ip\"`: IPv4 sources that share this many leading bits are one client"),
      number_key<D>("prefix6", &D::prefix6, 1, 128, "`64`", "the same for IPv6"),
      {{"enabled", "true or false", "`true`", "false switches the limit off"},
       [](ValueReader& in, const Value& value, D& limit) { limit.enabled = in.boolean(value); }}};
}

}  // namespace

Table limit_table() {
  return with_keys<LimitDraft>({.name = "limit",
                                .defines = "how many connections each client or app may make",
                                .max = kLimitsMax,
                                .max_note = ", the defaults included"},
                               limit_keys(), read_limit);
}

}  // namespace fw
