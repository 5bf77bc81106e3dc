// [[limit]]: how many connections each client or app may make, and how many requests.
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

enum class Layer : std::uint8_t { packet, http };
constexpr std::array<std::pair<std::string_view, Layer>, 2> kLayers{
    {{"packet", Layer::packet}, {"http", Layer::http}}};

/// What has a budget of its own, in the words of both layers.
struct Budget {
  Layer layer;
  LimitKey of_packets;
  HttpKey of_requests;
};
constexpr std::array<std::pair<std::string_view, Budget>, 6> kBudgets{
    {{"ip", {Layer::packet, LimitKey::ip, {}}},
     {"app", {Layer::packet, LimitKey::app, {}}},
     {"client", {Layer::http, {}, HttpKey::client}},
     {"client+account", {Layer::http, {}, HttpKey::client_account}},
     {"account", {Layer::http, {}, HttpKey::account}},
     {"site", {Layer::http, {}, HttpKey::site}}}};

/// A limit as it was written.
struct LimitDraft : Limit {
  std::optional<Source> side;   ///< "from", when it could be read
  std::optional<bool> enabled;  ///< the same
  Layer layer = Layer::packet;
  std::optional<Budget> budget;  ///< "per", when it could be read
};

/// A count that is an exact window has no burst; fills in the default burst.
void check_burst(Section& section, LimitDraft& limit, std::uint64_t window_max) {
  const bool window = limit.rate.count >= 1 && limit.rate.count <= window_max;
  if (window && section.has("burst")) {
    section.error("burst",
                  fmt::format("burst has no effect with rate \"{}\": a count up to {} is an "
                              "exact window, and windows have no burst; remove it",
                              to_string(limit.rate), window_max));
  }
  if (limit.burst == 0 || window) limit.burst = limit.rate.count;
}

/// "per" in the words of the limit's layer.
void check_budget(Section& section, LimitDraft& limit) {
  if (!limit.budget) return;
  if (limit.budget->layer != limit.layer) {
    section.error("per", limit.layer == Layer::http
                             ? "with layer = \"http\" per is \"client\", \"client+account\", "
                               "\"account\" or \"site\""
                             : "this word needs layer = \"http\"; without it per is \"ip\" or "
                               "\"app\"");
  }
  limit.per = limit.budget->of_packets;
}

void check_http_keys(Section& section, LimitDraft& limit) {
  for (const char* key : {"ports", "from", "concurrent"}) {
    if (section.has(key))
      section.error(key, fmt::format("{} has no effect with layer = \"http\", which counts "
                                     "requests; remove it",
                                     key));
  }
  const bool by_client = !limit.budget || limit.budget->of_requests == HttpKey::client ||
                         limit.budget->of_requests == HttpKey::client_account;
  for (const char* key : {"prefix4", "prefix6"}) {
    if (!by_client && section.has(key))
      section.error(key, fmt::format("{} has no effect with per = \"{}\": no address is looked "
                                     "at; remove it",
                                     key, to_string(limit.budget->of_requests)));
  }
  check_burst(section, limit, kHttpWindowCountMax);
}

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
  check_burst(section, limit, kWindowCountMax);
}

void check_not_off(Draft& draft, const Limit& limit) {
  if (const auto off = std::ranges::find(draft.disabled_limits, limit.name, &Limit::name);
      off != draft.disabled_limits.end()) {
    draft.values.error(limit.where,
                       fmt::format("limit {} is switched off at line {}; remove one of the two",
                                   quote(limit.name), off->where.line));
  }
}

/// In the place of the default of its name, or else at the end.
template <class L>
void put(std::vector<L>& limits, L limit) {
  const auto namesake = std::ranges::find(limits, limit.name, &L::name);
  if (namesake != limits.end() && namesake->where == Location{})
    *namesake = std::move(limit);
  else
    limits.push_back(std::move(limit));
}

void add_limit(Draft& draft, Limit limit) {
  check_not_off(draft, limit);
  std::vector<Limit>& limits = draft.policy.limits;
  put(limits, std::move(limit));
  if (limits.size() == kLimitsMax + 1) {
    draft.values.error(
        limits.back().where,
        fmt::format("there are at most {} limits, the defaults included; leave out the rest",
                    kLimitsMax));
  }
}

void add_http_limit(Draft& draft, const LimitDraft& limit) {
  check_not_off(draft, limit);
  std::vector<HttpLimit>& limits = draft.policy.http_limits;
  const HttpKey per = limit.budget ? limit.budget->of_requests : HttpKey::client;
  put(limits, HttpLimit{limit.name, per, limit.rate, limit.burst, limit.prefix4, limit.prefix6,
                        limit.where});
  if (limits.size() == kHttpLimitsMax + 1) {
    draft.values.error(limit.where,
                       fmt::format("there are at most {} limits with layer = \"http\", the "
                                   "defaults included; leave out the rest",
                                   kHttpLimitsMax));
  }
}

/// It is not defined elsewhere in the file; its default goes.
template <class L>
void erase_default(Draft& draft, std::vector<L>& limits, const Limit& off) {
  for (const L& other : limits) {
    if (other.name != off.name || other.where == Location{}) continue;
    draft.values.error(off.where,
                       fmt::format("limit {} is already defined at line {}; remove one of the two",
                                   quote(off.name), other.where.line));
    break;
  }
  std::erase_if(
      limits, [&off](const L& each) { return each.name == off.name && each.where == Location{}; });
}

void drop_limit(Draft& draft, Limit limit, bool defined) {
  std::vector<std::string_view> defaults;
  for (const Limit& each : draft.defaults.limits) defaults.push_back(each.name);
  for (const HttpLimit& each : draft.defaults.http_limits) defaults.push_back(each.name);
  if (!defined && std::ranges::find(defaults, limit.name) == defaults.end()) {
    const std::string_view guess = nearest(limit.name, defaults);
    draft.values.error(
        limit.where,
        fmt::format("there is no default limit {} to switch off; {}", quote(limit.name),
                    guess.empty() ? fmt::format("they are {}", fmt::join(defaults, ", "))
                                  : fmt::format("did you mean {}?", quote(guess))));
  }
  const auto twice = std::ranges::find(draft.disabled_limits, limit.name, &Limit::name);
  if (twice != draft.disabled_limits.end()) {
    draft.values.error(limit.where,
                       fmt::format("limit {} is already defined at line {}; remove one of the two",
                                   quote(limit.name), twice->where.line));
  }
  erase_default(draft, draft.policy.limits, limit);
  erase_default(draft, draft.policy.http_limits, limit);
  draft.disabled_limits.push_back(std::move(limit));
}

void read_limit(Section& section, const Keys<LimitDraft>& keys) {
  LimitDraft limit;
  limit.where = section.where();
  // Of a limit that is switched off only the name must be there.
  const auto whole = [&] { return limit.enabled.value_or(!section.has("enabled")); };
  keys.read(section, limit, [&](const KeyForm& key) {
    return !whole() ||
           (key.name == "ports" && (limit.counts_pings() || limit.layer == Layer::http));
  });
  if (!whole() && !section.has("name"))
    section.error("[[limit]] lacks name; add the name of the limit to switch off");
  limit.from = limit.side.value_or(Source::outside);
  check_budget(section, limit);
  if (limit.layer == Layer::http)
    check_http_keys(section, limit);
  else
    check_limit_keys(section, limit);
  if (limit.name.empty()) return;
  if (limit.enabled.value_or(true) && limit.layer == Layer::http)
    add_http_limit(section.draft(), limit);
  else if (limit.enabled.value_or(true))
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
      {{"layer", "`\"packet\"` or `\"http\"`", "`\"packet\"`",
        "what is counted: connections, or requests, about which a reverse proxy asks the "
        "[limiter's service](services.md)"},
       [](ValueReader& in, const Value& value, D& limit) {
         in.choose(value, kLayers, limit.layer);
       }},
      {{"ports", "array of ports", "needed",
        "the ports to count; all ports of a limit share one budget; none for requests",
        "ports = [22, 202]"},
       [](ValueReader& in, const Value& value, D& limit) { limit.ports = in.some_ports(value); }},
      {{"rate", "rate", "needed", "the budget", "rate = \"5/10s\""},
       [](ValueReader& in, const Value& value, D& limit) { limit.rate = in.rate(value); }},
      {{"from", "`\"outside\"` or `\"apps\"`", "`\"outside\"`",
        "which sources to count: those in the app networks, or all others"},
       [](ValueReader& in, const Value& value, D& limit) { in.choose(value, kSides, limit.side); }},
      {{"per",
        "`\"ip\"` or `\"app\"`; for requests `\"client\"`, `\"client+account\"`, "
        "`\"account\"` or `\"site\"`",
        "`\"ip\"`",
        "what has its own budget: each source, each app ...; without it each client has, if "
        "requests are counted"},
       [](ValueReader& in, const Value& value, D& limit) {
         in.choose(value, kBudgets, limit.budget);
       }},
      number_key<D>(
          "burst", &D::burst, 1, kRateCountMax * 10, "the count of `rate`",
          fmt::format("size of the token bucket; only for counts above {}, of requests above {}",
                      kWindowCountMax, kHttpWindowCountMax)),
      number_key<D>("concurrent", &D::concurrent, 1, kRateCountMax, "no bound",
                    "connections open at the same time"),
      number_key<D>("prefix4", &D::prefix4, 1, 32, "`32`",
                    "with `per = \"ip\"` and `\"client\"`: IPv4 sources that share this many "
                    "leading bits are "
                    "one client"),
      number_key<D>("prefix6", &D::prefix6, 1, 128, "`64`", "the same for IPv6"),
      {{"enabled", "true or false", "`true`", "false switches the limit off"},
       [](ValueReader& in, const Value& value, D& limit) { limit.enabled = in.boolean(value); }}};
}

}  // namespace

Table limit_table() {
  return with_keys<LimitDraft>(
      {.name = "limit",
       .defines = "how many connections each client or app may make, and how many requests",
       .max = kLimitsMax,
       .max_note = ", the defaults included"},
      limit_keys(), read_limit);
}

}  // namespace fw
