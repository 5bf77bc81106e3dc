// CLOUDRON_RATELIMIT: counting connections.
//
// A TCP connection is counted when its handshake is complete, at the first packet that follows it,
// because only then is the source's address known to be its own. Before that, at the SYN, the
// budget is only looked at. UDP has no handshake: new flows are counted.
//
// A limit of N <= 16 in W is N slots for each source: sets whose elements last exactly W. Each
// admitted connection takes a free slot, so no window of W holds more than N, and who keeps the
// limit always finds one. A larger N is a token bucket in each element of a meter; whoever empties
// it is remembered in a small set of the refused for as long as one token takes to come back.
//
// A source that finds a full set is counted by its network, with all others of it that do: first a
// small one, then larger ones (docs/decisions/0026). Who finds those full as well shares one
// overflow bucket with all others.
//
// What holds the state of a limit is named by what it works with ("ssh.5/10s.slot4.1"): a changed
// limit begins in sets and objects of its own, and leaves those of the old one alone.
// SPDX-License-Identifier: GPL-2.0-or-later
#include <algorithm>
#include <functional>
#include <map>
#include <optional>

#include <fmt/format.h>

#include "chains/compile_parts.hpp"
#include "fw/base/limits.hpp"
#include "fw/policy/fair.hpp"

namespace chains {

using namespace build;

namespace {

using std::chrono::milliseconds;

constexpr milliseconds kGcInterval{1000};
constexpr milliseconds kRefusedMax{100};
/// Any limit that admits one packet in the lifetime of a slot.
constexpr RateLimit kOnce{1, Unit::week, 1};

/// Whole ticks, rounded up.
milliseconds ticks(milliseconds time, milliseconds tick) {
  return (time + tick - milliseconds{1}) / tick * tick;
}

/// count/period in a unit that every tool prints; rounded down by less than one part in 600,000 *
/// count
/// ... of a week, never up.
RateLimit bucket(std::uint64_t count, std::chrono::seconds period, std::uint64_t burst) {
  for (Unit unit : {Unit::second, Unit::minute, Unit::hour, Unit::day, Unit::week}) {
    const auto length = static_cast<std::uint64_t>(unit);
    const auto seconds = static_cast<std::uint64_t>(period.count());
    if (count * length % seconds == 0 || unit == Unit::week) {
      return {count * length / seconds, unit, static_cast<std::uint32_t>(burst)};
    }
  }
  return {};
}

/// What a source is counted by. The first is the source itself; each further one is for those that
/// find the sets of the one before full.
struct Level {
  int length;       ///< of the prefix
  bool first;       ///< the source itself
  bool own_budget;  ///< as large as a source's, else kOverflowFactor times that
};

/// Everything about one limit that its chains share.
struct LimitParts {
  const fw::Limit& limit;
  bool window;
  bool translated = false;  ///< of IPv6 sources behind a translator: each address is a client
  std::string name(const char* part) const { return limit.name + "." + part; }
  std::string name(const char* part, fw::Family f) const {
    return fmt::format("{}.{}{}{}", limit.name, part, digit(f), translated ? "4" : "");
  }
  /// "ssh.5/10s", or with a burst of its own "web.5000/s.burst9000".
  std::string budget() const {
    const bool plain = window || limit.burst == limit.rate.count;
    return plain ? rate() : fmt::format("{}.burst{}", rate(), limit.burst);
  }
  /// "4", "6", or with other prefixes than the default's "4/24".
  std::string sources(fw::Family f) const {
    const bool usual = length(f) == (f == fw::Family::ipv4 ? 32 : 64);
    return usual ? std::string(1, digit(f)) : fmt::format("{}/{}", digit(f), length(f));
  }
  /// Where the level's connections are counted: the slots of a window, or a bucket's meter.
  std::vector<std::string> counts(fw::Family f, const Level& level) const {
    if (!level.own_budget) return {fmt::format("{}.shared{}/{}", rate(), digit(f), level.length)};
    const char* const word = !level.first ? "net" : window ? "slot" : "meter";
    const std::string name =
        fmt::format("{}.{}{}", budget(), word,
                    level.first ? sources(f) : fmt::format("{}/{}", digit(f), level.length));
    if (!window) return {name};
    std::vector<std::string> names;
    for (std::uint64_t i = 1; i <= limit.rate.count; ++i) {
      names.push_back(fmt::format("{}.{}", name, i));
    }
    return names;
  }
  std::vector<Level> levels(fw::Family f) const {
    std::vector<Level> out{{client_length(f), true, true}};
    if (translated) return out;  // what is wider is everybody's who is translated
    for (const fw::FairNetwork& wider : fw::fair_networks(limit, f)) {
      out.push_back({wider.prefix, false, wider.budget == fw::FairNetwork::Budget::own});
    }
    return out;
  }
  std::string count_name(fw::Family f, const Level& level) const {
    return level.first ? name("count", f) : fmt::format("{}/{}", name("count", f), level.length);
  }
  std::string open_name(fw::Family f, const Level& level) const {
    return fmt::format("{}/{}", name("open", f), level.length);
  }
  std::string just_refused(fw::Family f) const { return budget() + ".refused" + sources(f); }
  /// Open connections by source, and by the networks that count for it when that is full.
  std::string open(fw::Family f) const {
    return fmt::format("{}.max{}.open{}", limit.name, *limit.concurrent, sources(f));
  }
  std::string open(fw::Family f, const Level& level) const {
    if (level.first) return open(f);
    return fmt::format("{}.max{}.net{}/{}", limit.name, *limit.concurrent, digit(f), level.length);
  }
  /// Half-open connections count, so what is wider could be closed to many by forged packets.
  std::vector<Level> open_levels(fw::Family f) const {
    std::vector<Level> out = levels(f);
    std::erase_if(out, [](const Level& level) { return !level.own_budget; });
    return out;
  }
  std::string rate() const { return fmt::format("{}.{}", limit.name, fw::to_string(limit.rate)); }
  std::string overflow() const { return rate() + ".overflow"; }
  std::uint64_t overflow_count() const {
    return std::min<std::uint64_t>(limit.rate.count * fw::kOverflowFactor,
                                   fw::kRateCountMax * fw::kOverflowFactor);
  }
  std::string app_map(fw::Family f, std::uint64_t slot) const {
    return fmt::format("{}.apps{}.{}", budget(), digit(f), slot);
  }
  /// An app's container is one address; clients are one prefix.
  int length(fw::Family f) const {
    if (limit.per == fw::LimitKey::app) return fw::address_bits(f);
    return f == fw::Family::ipv4 ? limit.prefix4 : limit.prefix6;
  }
  int client_length(fw::Family f) const { return translated ? fw::address_bits(f) : length(f); }
  static Key key(fw::Family f, int length) { return {{saddr(f), prefix_mask(f, length)}}; }
  Key key(fw::Family f) const { return key(f, client_length(f)); }
  /// What follows when the budget allows it. From outside the port is known to be open by then; a
  /// packet of an app has that question before it.
  Expr pass() const { return limit.from == fw::Source::outside ? accept() : ret(); }
  /// The same when it was counted: the flow is admitted. An app's TCP is on its way to that. Each
  /// ping is one more of the same flow: an admitted one would let the others pass uncounted.
  void admit(const Compilation& c, std::vector<Expr>& rule) const {
    if (limit.counts_pings()) return rule.push_back(pass());
    if (limit.from == fw::Source::outside) return rule.push_back(go("admit"));
    rule.push_back(c.note_counted());
    rule.push_back(ret());
  }
  Key address(fw::Family f) const { return {{saddr(f), {}}}; }
  bool has(fw::Protocol p) const {
    return std::any_of(limit.ports.begin(), limit.ports.end(),
                       [p](const fw::PortRange& r) { return r.protocol == p; });
  }
};

bool has_trusted(const Compilation& c) {
  return !c.policy.trusted.empty() || !c.policy.proxies.empty() ||
         !c.facts.allow_lists.digest.empty();
}

void trusted_rule(const Compilation& c, Chain& chain) {
  if (has_trusted(c)) rule(chain, "trusted", {}, {jump("trusted")});
}

Set& meter(Compilation& c, const LimitParts& p, std::string name, fw::Family f,
           milliseconds timeout) {
  Set& set = c.set(std::move(name), {saddr(f)}, p.limit.where);
  set.content = Content::learned;
  set.dynamic = true;
  set.size = fw::kMeterSourcesMax;
  if (timeout.count() != 0) {
    set.timeout = true;
    set.timeout_default = timeout;
    set.gc_interval = kGcInterval;
  }
  return set;
}

void limit_sets(Compilation& c, const LimitParts& p) {
  const fw::Limit& limit = p.limit;
  const milliseconds tick = c.facts.tick;
  const milliseconds period{limit.rate.period};
  for (fw::Family f : kFamilies) {
    if (limit.concurrent) {
      for (const Level& level : p.open_levels(f)) meter(c, p, p.open(f, level), f, milliseconds{0});
    }
    for (const Level& level : p.levels(f)) {
      // A window's slot: the kernel forgets at a tick, one more keeps the window whole. A bucket is
      // forgotten once it is full again: that changes no answer.
      const auto burst = level.own_budget ? limit.burst : limit.rate.count;
      const auto refill =
          period * static_cast<std::int64_t>(burst) / static_cast<std::int64_t>(limit.rate.count);
      const auto kept = p.window && level.own_budget
                            ? ticks(period, tick) + tick
                            : ticks(refill, tick) + std::chrono::seconds{1};
      for (const std::string& set : p.counts(f, level)) meter(c, p, set, f, kept);
    }
  }
  if (p.window && limit.per == fw::LimitKey::ip) return;
  const auto token = period / static_cast<std::int64_t>(limit.rate.count);
  for (fw::Family f : kFamilies) {
    meter(c, p, p.just_refused(f), f, std::max(ticks(std::min(token, kRefusedMax), tick), tick));
  }
}

/// Of one level: counts, and refuses who has too many; who finds the set full is counted by `next`.
void open_rules(const LimitParts& p, Chain& chain, fw::Family f, const Level& level,
                const std::vector<Expr>& condition, std::optional<Expr> next) {
  const Key key = p.key(f, level.length);
  std::vector<Expr> too_many = condition;
  too_many.push_back(DynSet{DynOp::add, key, p.open(f, level), ConnLimit{*p.limit.concurrent}});
  too_many.push_back(go(p.name("refuse")));
  rule(chain, "too many at once", p.limit.where, std::move(too_many));
  if (!next) return;
  std::vector<Expr> full = condition;
  full.push_back(not_in_set(key, p.open(f, level)));
  full.push_back(std::move(*next));
  rule(chain, "the set is full", p.limit.where, std::move(full));
}

/// The kernel counts a connection for this only at its first packet: half-open ones count too.
void too_many_rules(const LimitParts& p, Chain& chain, fw::Family f, std::vector<Expr> condition) {
  if (!p.limit.concurrent) return;
  const std::vector<Level> levels = p.open_levels(f);
  condition.push_back(is_family(f));
  std::optional<Expr> next;
  if (levels.size() > 1) next = jump(p.open_name(f, levels[1]));
  open_rules(p, chain, f, levels.front(), condition, std::move(next));
}

/// The chains of the networks.
void open_chains(Compilation& c, const LimitParts& p, fw::Family f) {
  if (!p.limit.concurrent) return;
  const std::vector<Level> levels = p.open_levels(f);
  for (std::size_t i = 1; i < levels.size(); ++i) {
    std::optional<Expr> next;
    if (i + 1 < levels.size()) next = go(p.open_name(f, levels[i + 1]));
    open_rules(p, c.chain(p.open_name(f, levels[i])), f, levels[i], {is_family(f)},
               std::move(next));
  }
}

/// A SYN whose sender has spent its budget. It can carry anybody's address, so it is evidence
/// against nobody: where the refused are blocked, some go on to the handshake, which is refused
/// with a sender that is certain.
void refuse_or_ask(Compilation& c, const LimitParts& p, Chain& chain, const char* id,
                   std::vector<Expr> spent) {
  if (c.has_offenders(p.limit)) {
    std::vector<Expr> asked = spent;
    asked.push_back(RateLimit{20, Unit::second, 40});
    asked.push_back(p.pass());
    rule(chain, "let it prove who it is", p.limit.where, std::move(asked));
  }
  spent.push_back(go(p.name("refuse")));
  rule(chain, id, p.limit.where, std::move(spent));
}

/// At the SYN: spends nothing, refuses those whose budget is known to be spent.
void look_chain(Compilation& c, const LimitParts& p, fw::Family f) {
  Chain& chain = c.chain(p.name("look", f));
  const fw::Location& where = p.limit.where;
  too_many_rules(p, chain, f, {});
  if (p.window && p.limit.per == fw::LimitKey::ip) {
    for (const std::string& slot : p.counts(f, p.levels(f).front())) {
      rule(chain, "a slot is free", where, {is_family(f), not_in_set(p.key(f), slot), p.pass()});
    }
    refuse_or_ask(c, p, chain, "no slot is free", {});
    return;
  }
  refuse_or_ask(c, p, chain, "was just refused",
                {is_family(f), in_set(p.key(f), p.just_refused(f))});
  rule(chain, "pass", where, {p.pass()});
}

/// Budgets of named apps: one for all of an app's addresses, in objects that maps lead to.
void app_budgets(Compilation& c, const LimitParts& p) {
  const fw::Limit& limit = p.limit;
  const std::uint64_t slots = p.window ? limit.rate.count : 1;
  // One token in a window is a slot: it is back when the window has passed, to the nanosecond.
  const RateLimit rate = p.window ? bucket(1, limit.rate.period, 1)
                                  : bucket(limit.rate.count, limit.rate.period, limit.burst);
  for (std::uint64_t slot = 1; slot <= slots; ++slot) {
    const std::string before = p.budget() + ".app.";
    const std::string after = fmt::format(".{}", slot);
    std::vector<std::string> names;
    names.reserve(c.policy.apps.size());
    for (const fw::App& app : c.policy.apps) {
      names.push_back(before + app.name + after);
      c.limit(names.back(), rate, limit.where);
    }
    for (fw::Family f : kFamilies) {
      Set& map = c.set(p.app_map(f, slot), {saddr(f)}, limit.where);
      map.data = ObjectKind::limit;
      map.elements.reserve(names.size());
      for (std::size_t i = 0; i < names.size(); ++i) {
        const fw::App& app = c.policy.apps[i];
        for (fw::Ip ip : app.addresses) {
          if (ip.family != f) continue;
          map.elements.push_back({ip_bytes(ip), {}, names[i], {}, app.where});
        }
      }
    }
  }
}

void count_apps(Compilation& c, const LimitParts& p, Chain& chain, fw::Family f) {
  const std::uint64_t slots = p.window ? p.limit.rate.count : 1;
  for (std::uint64_t slot = 1; slot <= slots; ++slot) {
    std::vector<Expr> exprs{is_family(f),
                            ObjectMap{ObjectKind::limit, p.address(f), p.app_map(f, slot)},
                            count(p.name("accepted"))};
    p.admit(c, exprs);
    rule(chain, "the app's budget", p.limit.where, std::move(exprs));
  }
  rule(chain, "a named app without budget", p.limit.where,
       {is_family(f), in_set(p.address(f), std::string("named_apps") + digit(f)),
        go(p.name("exhausted"))});
}

/// What a source that finds the level's set full meets: the next level, or at last the bucket that
/// all share.
void full_rule(const Compilation& c, const LimitParts& p, Chain& chain, fw::Family f,
               const Level& level, const Level* next, const std::string& set) {
  std::vector<Expr> exprs{is_family(f), not_in_set(p.key(f, level.length), set)};
  if (next != nullptr) {
    exprs.push_back(go(p.count_name(f, *next)));
  } else {
    exprs.push_back(use_limit(p.overflow()));
    exprs.push_back(count(p.name("overflowed")));
    p.admit(c, exprs);
  }
  rule(chain, "the set is full", p.limit.where, std::move(exprs));
}

/// Counts by one level: spends, and admits, refuses or goes on to the next.
void count_rules(const Compilation& c, const LimitParts& p, Chain& chain, fw::Family f,
                 const Level& level, const Level* next) {
  const bool slots = p.window && level.own_budget;
  const std::uint64_t shared = p.overflow_count();
  const RateLimit state = slots ? kOnce
                          : level.own_budget
                              ? bucket(p.limit.rate.count, p.limit.rate.period, p.limit.burst)
                              : bucket(shared, p.limit.rate.period, shared);
  const std::vector<std::string> sets = p.counts(f, level);
  for (std::size_t i = 0; i < sets.size(); ++i) {
    std::vector<Expr> exprs{
        is_family(f),
        DynSet{slots ? DynOp::add : DynOp::update, p.key(f, level.length), sets[i], state},
        count(p.name(level.first ? "accepted" : "overflowed"))};
    p.admit(c, exprs);
    rule(chain, slots ? "take a free slot" : "take a token", p.limit.where, std::move(exprs));
    // Who has no first slot is to have none of the others: one level counts all its connections.
    if (i == 0) full_rule(c, p, chain, f, level, next, sets[i]);
  }
  // Two ways to the next level are enough: the kernel follows each when it checks the chains.
  for (std::size_t i = 1; i < sets.size(); ++i) {
    full_rule(c, p, chain, f, level, i + 1 == sets.size() ? next : nullptr, sets[i]);
  }
  const bool remembered = !(p.window && p.limit.per == fw::LimitKey::ip);
  rule(chain, "refuse", p.limit.where, {go(p.name(remembered ? "exhausted" : "refuse"))});
}

/// After the handshake: the chains of all levels.
void count_chains(Compilation& c, const LimitParts& p, fw::Family f) {
  const std::vector<Level> levels = p.levels(f);
  for (std::size_t i = 0; i < levels.size(); ++i) {
    Chain chain{p.count_name(f, levels[i]), {}, {}, false};
    if (levels[i].first) {
      const bool apps = p.limit.per == fw::LimitKey::app && !c.policy.apps.empty();
      if (p.has(fw::Protocol::udp)) too_many_rules(p, chain, f, {is_protocol(fw::Protocol::udp)});
      if (apps) count_apps(c, p, chain, f);
    }
    const Level* const next = i + 1 < levels.size() ? &levels[i + 1] : nullptr;
    count_rules(c, p, chain, f, levels[i], next);
    c.out.chains.push_back(std::move(chain));
  }
}

/// Behind a translator (NAT64) a source is a whole address: its prefix is shared by all who are
/// translated.
bool has_translated(const Compilation& c, const LimitParts& p) {
  return !c.policy.translated.empty() && p.limit.per == fw::LimitKey::ip &&
         p.limit.from == fw::Source::outside && p.length(fw::Family::ipv6) < 128;
}

/// A rule for each translated network: what follows for it is made of the limit's parts.
void translated_rules(const Compilation& c, const LimitParts& p, Chain& chain,
                      const std::function<std::vector<Expr>(const LimitParts&)>& then) {
  if (!has_translated(c, p)) return;
  for (const auto& [network, where] : c.policy.translated) {
    std::vector<Expr> exprs{is_family(fw::Family::ipv6), in_network(Field::ip6_saddr, network)};
    for (Expr& expr : then({p.limit, p.window, true})) exprs.push_back(std::move(expr));
    rule(chain, "translated from IPv4", where, std::move(exprs));
  }
}

void refuse_chains(Compilation& c, const LimitParts& p) {
  const fw::Location& where = p.limit.where;
  if (!(p.window && p.limit.per == fw::LimitKey::ip)) {
    Chain& exhausted = c.chain(p.name("exhausted"));
    translated_rules(c, p, exhausted, [&](const LimitParts& whole) {
      return std::vector<Expr>{
          DynSet{DynOp::add, whole.key(fw::Family::ipv6), p.just_refused(fw::Family::ipv6), {}},
          go(p.name("refuse"))};
    });
    for (fw::Family f : kFamilies) {
      rule(exhausted, "remember", where,
           {is_family(f), DynSet{DynOp::add, p.key(f), p.just_refused(f), {}}});
    }
    rule(exhausted, "refuse", where, {go(p.name("refuse"))});
  }
  Chain& refuse = c.chain(p.name("refuse"));
  // Who is trusted is not counted, but may share a prefix with somebody who is.
  if (p.limit.from == fw::Source::outside) trusted_rule(c, refuse);
  rule(refuse, "refused", where, {count(p.name("refused"))});
  // A reset goes only to who has shown the address to be its own; forged SYNs get no answer.
  // They are copied each at a rate of its own: forged SYNs do not drown what is certain.
  // A SYN on the ports of a known flow may be forged, and does nothing to it.
  const std::vector<Expr> shaken{is_protocol(fw::Protocol::tcp),
                                 match_masked(Field::tcp_flags, u8(kSyn), u8(0)),
                                 in_state(kStateEstablished)};
  const auto after_handshake = [&](const char* id, Expr then) {
    std::vector<Expr> exprs = shaken;
    exprs.push_back(std::move(then));
    rule(refuse, id, where, std::move(exprs));
  };
  after_handshake("after a reset", jump("after_a_reset"));
  // One refusal a connection: its later packets are answered without being copied.
  after_handshake("refused after the handshake", jump("note_refusal"));
  c.log(refuse, "refused after the handshake", where, shaken, kLogReset + p.limit.name);
  after_handshake("refused after the handshake", RejectTcpReset{});
  c.log(refuse, "refused", where, {}, kLogRefused + p.limit.name);
  rule(refuse, "refused", where, {drop()});
}

/// The ways into a limit: "look" for SYNs, "count" after the handshake, and "new" for the first
/// packet of a UDP flow from outside, of which it is not known yet whether it is to be counted.
void entry_chains(Compilation& c, const LimitParts& p) {
  const fw::Location& where = p.limit.where;
  auto entry = [&](const char* name, const char* way) {
    Chain chain{p.name(name), {}, {}, false};
    if (name != std::string_view(way)) {
      trusted_rule(c, chain);
      app_rules(c, chain, "an app", accept());
    }
    translated_rules(c, p, chain, [way](const LimitParts& whole) {
      return std::vector<Expr>{go(whole.name(way, fw::Family::ipv6))};
    });
    for (fw::Family f : kFamilies) rule(chain, way, where, {is_family(f), go(p.name(way, f))});
    c.out.chains.push_back(std::move(chain));
  };
  if (p.has(fw::Protocol::tcp)) entry("look", "look");
  if (!p.limit.counts_pings()) entry("count", "count");
  const bool first_counts = p.has(fw::Protocol::udp) || p.limit.counts_pings();
  if (first_counts && p.limit.from == fw::Source::outside) entry("new", "count");
}

void compile_limit(Compilation& c, const fw::Limit& limit) {
  const LimitParts p{limit, is_window(limit)};
  for (const char* counter : {"accepted", "refused", "overflowed"}) {
    c.counter(p.name(counter), limit.where);
  }
  const std::uint64_t shared = p.overflow_count();
  c.limit(p.overflow(), bucket(shared, limit.rate.period, shared), limit.where);
  limit_sets(c, p);
  if (limit.per == fw::LimitKey::app && !c.policy.apps.empty()) app_budgets(c, p);
  refuse_chains(c, p);
  auto ways = [&](const LimitParts& parts, fw::Family f) {
    open_chains(c, parts, f);
    if (parts.has(fw::Protocol::tcp)) look_chain(c, parts, f);
    count_chains(c, parts, f);
  };
  for (fw::Family f : kFamilies) ways(p, f);
  if (has_translated(c, p)) ways({limit, p.window, true}, fw::Family::ipv6);
  entry_chains(c, p);
}

/// The ports of all limits of one side and protocol, single ports and, apart, ranges, and where
/// they lead: ".look" or ".count".
void port_maps(Compilation& c, fw::Source side, fw::Protocol protocol, const std::string& way,
               std::vector<Expr> condition, Chain& chain) {
  const std::string name = fmt::format(
      "{}_{}_{}", way, side == fw::Source::apps ? "apps" : "outside", fw::to_string(protocol));
  Set maps[2];
  for (const fw::Limit& limit : c.policy.limits) {
    if (limit.from != side) continue;
    for (const fw::PortRange& range : limit.ports) {
      if (range.protocol != protocol) continue;
      maps[range.single() ? 0 : 1].elements.push_back(
          {u16(range.first),
           range.single() ? Bytes{} : u16(range.last),
           Verdict{VerdictKind::go_to, limit.name + "." + way},
           {},
           limit.where});
    }
  }
  condition.push_back(is_protocol(protocol));
  for (int i = 0; i < 2; ++i) {
    if (maps[i].elements.empty()) continue;
    const std::string map_name = i == 0 ? name : name + "_ranges";
    Set& map = c.set(map_name, {Field::ct_original_dport});
    map.data = Verdict{};
    map.interval = i == 1;
    map.elements = std::move(maps[i].elements);
    std::vector<Expr> exprs = condition;
    exprs.push_back(vmap({{Field::ct_original_dport, {}}}, map_name));
    rule(chain, "limit of the port", {}, std::move(exprs));
  }
}

/// Many clients come by a proxy in front of the sites: on their ports it is not counted.
void proxy_rules(Compilation& c, Chain& chain) {
  if (c.policy.proxies.empty()) return;
  Set& ports = c.set("web_ports", {Field::ct_original_dport});
  for (const std::uint16_t port : fw::kWebPorts)
    ports.elements.push_back({u16(port), {}, {}, {}, {}});
  for (fw::Family f : kFamilies) {
    std::vector<fw::IpRange> networks;
    for (const auto& [range, where] : c.policy.proxies) {
      if (range.family == f) networks.push_back(range);
    }
    if (networks.empty()) continue;
    const std::string name = std::string("proxies") + digit(f);
    Set& set = c.set(name, {saddr(f)});
    set.interval = true;
    for (const fw::IpRange& network : fw::merged(std::move(networks)))
      set.elements.push_back(
          {ip_bytes({f, network.first}), ip_bytes({f, network.last}), {}, {}, {}});
    for (const fw::Protocol protocol : kProtocols) {
      rule(chain, "proxy", {},
           {is_protocol(protocol), in_set(Field::ct_original_dport, "web_ports"), is_family(f),
            in_set(saddr(f), name), go("admit_uncounted")});
    }
  }
}

/// Trusted networks and allow lists: their flows are admitted uncounted. A few networks are
/// compared one by one, which costs less than the lookup of an interval set.
void trusted_chain(Compilation& c) {
  if (!has_trusted(c)) return;
  constexpr std::size_t kCompared = 4;
  Chain chain{"trusted", {}, {}, false};
  proxy_rules(c, chain);
  for (fw::Family f : kFamilies) {
    std::vector<fw::IpRange> networks;
    for (const auto& [range, where] : c.policy.trusted) {
      if (range.family == f) networks.push_back(range);
    }
    networks = fw::merged(std::move(networks));
    const bool compare =
        networks.size() <= kCompared && std::all_of(networks.begin(), networks.end(), is_network);
    for (const fw::IpRange& network : networks) {
      if (!compare) break;
      rule(chain, "trusted", {},
           {is_family(f), in_network(saddr(f), network), go("admit_uncounted")});
    }
    if (compare) continue;
    const std::string name = std::string("trusted") + digit(f);
    Set& set = c.set(name, {saddr(f)});
    set.interval = true;
    for (const fw::IpRange& network : networks) {
      set.elements.push_back(
          {ip_bytes({f, network.first}), ip_bytes({f, network.last}), {}, {}, {}});
    }
    rule(chain, "trusted", {}, {is_family(f), in_set(saddr(f), name), go("admit_uncounted")});
  }
  for (int i = 0; i < 4 && !c.facts.allow_lists.digest.empty(); ++i) {
    const fw::Family f = i < 2 ? fw::Family::ipv4 : fw::Family::ipv6;
    rule(chain, "allowed by a list", {},
         {is_family(f), in_set(saddr(f), kAllowedSets[i]), go("admit_uncounted")});
  }
  c.out.chains.push_back(std::move(chain));
}

void named_apps(Compilation& c) {
  for (fw::Family f : kFamilies) {
    Set& set = c.set(std::string("named_apps") + digit(f), {saddr(f)});
    for (const fw::App& app : c.policy.apps) {
      for (fw::Ip ip : app.addresses) {
        if (ip.family == f) set.elements.push_back({ip_bytes(ip), {}, {}, {}, app.where});
      }
    }
  }
}

}  // namespace

bool is_window(const fw::Limit& limit) { return limit.rate.count <= fw::kWindowCountMax; }

std::vector<std::string> meter_sets(const fw::Limit& limit) {
  const LimitParts p{limit, is_window(limit)};
  std::vector<std::string> names;
  for (fw::Family f : kFamilies) {
    names.push_back(p.counts(f, p.levels(f).front()).front());
  }
  return names;
}

void limits_of_apps(Compilation& c) {
  named_apps(c);
  for (const fw::Limit& limit : c.policy.limits) {
    if (limit.per == fw::LimitKey::app) app_budgets(c, {limit, is_window(limit)});
  }
}

void compile_limits(Compilation& c) {
  if (!c.policy.apps.empty()) named_apps(c);
  for (const fw::Limit& limit : c.policy.limits) compile_limit(c, limit);

  if (!c.policy.app_networks.empty()) {
    Chain apps{"ratelimit_apps", {}, {}, false};
    port_maps(c, fw::Source::apps, fw::Protocol::tcp, "look", {in_state(kStateNew)}, apps);
    port_maps(c, fw::Source::apps, fw::Protocol::tcp, "count", {in_state(kStateEstablished)}, apps);
    // A UDP flow is counted by its first packet.
    port_maps(c, fw::Source::apps, fw::Protocol::udp, "count", {c.not_counted()}, apps);
    c.out.chains.push_back(std::move(apps));
  }
  trusted_chain(c);
  Chain chain{"CLOUDRON_RATELIMIT", {}, {}, false};
  trusted_rule(c, chain);
  app_rules(c, chain, "an app", go("ratelimit_apps"));
  for (fw::Protocol protocol : kProtocols) {
    port_maps(c, fw::Source::outside, protocol, "count", {}, chain);
  }
  c.out.chains.push_back(std::move(chain));
}

}  // namespace chains
