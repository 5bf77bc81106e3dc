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
// A source that finds a full set shares one overflow bucket with all others that do.
#include <algorithm>
#include <map>

#include <fmt/format.h>

#include "chains/compile_parts.hpp"
#include "fw/base/limits.hpp"

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

/// Everything about one limit that its chains share.
struct LimitParts {
  const fw::Limit& limit;
  bool window;
  std::vector<std::string> slots(fw::Family f) const {
    std::vector<std::string> names;
    for (std::uint64_t i = 1; i <= limit.rate.count; ++i) {
      names.push_back(fmt::format("{}.slot{}.{}", limit.name, digit(f), i));
    }
    return names;
  }
  std::string name(const char* part) const { return limit.name + "." + part; }
  std::string name(const char* part, fw::Family f) const {
    return fmt::format("{}.{}{}", limit.name, part, digit(f));
  }
  Key key(fw::Family f) const {
    // An app's container is one address; clients are one prefix.
    const bool whole = limit.per == fw::LimitKey::app;
    const int length = whole                   ? fw::address_bits(f)
                       : f == fw::Family::ipv4 ? limit.prefix4
                                               : limit.prefix6;
    return {{saddr(f), prefix_mask(f, length)}};
  }
  Key address(fw::Family f) const { return {{saddr(f), {}}}; }
  bool has(fw::Protocol p) const {
    return std::any_of(limit.ports.begin(), limit.ports.end(),
                       [p](const fw::PortRange& r) { return r.protocol == p; });
  }
};

std::string parameters(const fw::Limit& limit) {
  std::string text = fw::to_string(limit.rate);
  if (!is_window(limit)) text += fmt::format(" burst {}", limit.burst);
  if (limit.per == fw::LimitKey::ip) text += fmt::format(" /{} /{}", limit.prefix4, limit.prefix6);
  return text;
}

Set& meter(Compilation& c, const LimitParts& p, std::string name, fw::Family f,
           milliseconds timeout) {
  Set& set = c.set(std::move(name), {saddr(f)}, p.limit.where);
  set.content = Content::learned;
  set.dynamic = true;
  set.size = fw::kMeterSourcesMax;
  set.comment = parameters(p.limit);
  if (timeout.count() != 0) {
    set.timeout = true;
    set.timeout_default = timeout;
    set.gc_interval = kGcInterval;
  }
  return set;
}

void limit_sets(Compilation& c, const LimitParts& p) {
  const fw::Limit& limit = p.limit;
  const milliseconds tick = c.around.tick;
  const milliseconds period{limit.rate.period};
  for (fw::Family f : kFamilies) {
    if (limit.concurrent) {
      meter(c, p, p.name("open", f), f, milliseconds{0}).comment =
          fmt::format("at most {} at once", *limit.concurrent);
    }
    if (p.window) {
      // The kernel forgets at a tick: one more keeps the window whole.
      for (const std::string& slot : p.slots(f)) meter(c, p, slot, f, ticks(period, tick) + tick);
      continue;
    }
    // A bucket is forgotten once it is full again: that changes no answer.
    const auto refill = period * static_cast<std::int64_t>(limit.burst) /
                        static_cast<std::int64_t>(limit.rate.count);
    meter(c, p, p.name("meter", f), f, ticks(refill, tick) + std::chrono::seconds{1});
  }
  if (p.window && limit.per == fw::LimitKey::ip) return;
  const auto token = period / static_cast<std::int64_t>(limit.rate.count);
  for (fw::Family f : kFamilies) {
    meter(c, p, p.name("refused", f), f, std::max(ticks(std::min(token, kRefusedMax), tick), tick));
  }
}

/// At the SYN: spends nothing, refuses those whose budget is known to be spent.
void look_chain(Compilation& c, const LimitParts& p, fw::Family f) {
  Chain& chain = c.chain(p.name("look", f));
  const fw::Location& where = p.limit.where;
  if (p.window && p.limit.per == fw::LimitKey::ip) {
    for (const std::string& slot : p.slots(f)) {
      rule(chain, "a slot is free", where, {is_family(f), not_in_set(p.key(f), slot), ret()});
    }
    rule(chain, "no slot is free", where, {go(p.name("refuse"))});
    return;
  }
  rule(chain, "was just refused", where,
       {is_family(f), in_set(p.address(f), p.name("refused", f)), go(p.name("refuse"))});
}

/// Budgets of named apps: one for all of an app's addresses, in objects that maps lead to.
void app_budgets(Compilation& c, const LimitParts& p) {
  const fw::Limit& limit = p.limit;
  const std::uint64_t slots = p.window ? limit.rate.count : 1;
  // One token in a window is a slot: it is back when the window has passed, to the nanosecond.
  const RateLimit rate = p.window ? bucket(1, limit.rate.period, 1)
                                  : bucket(limit.rate.count, limit.rate.period, limit.burst);
  for (std::uint64_t slot = 1; slot <= slots; ++slot) {
    auto object = [&](const fw::App& app) {
      return fmt::format("{}.app.{}.{}", limit.name, app.name, slot);
    };
    for (const fw::App& app : c.policy.apps) c.limit(object(app), rate, limit.where);
    for (fw::Family f : kFamilies) {
      Set& map =
          c.set(fmt::format("{}.apps{}.{}", limit.name, digit(f), slot), {saddr(f)}, limit.where);
      map.data = ObjectKind::limit;
      for (const fw::App& app : c.policy.apps) {
        for (fw::Ip ip : app.addresses) {
          if (ip.family != f) continue;
          map.elements.push_back({ip_bytes(ip), {}, object(app), {}, app.where});
        }
      }
    }
  }
}

void count_apps(Compilation& c, const LimitParts& p, Chain& chain, fw::Family f) {
  const std::uint64_t slots = p.window ? p.limit.rate.count : 1;
  for (std::uint64_t slot = 1; slot <= slots; ++slot) {
    rule(chain, "the app's budget", p.limit.where,
         {is_family(f),
          ObjectMap{ObjectKind::limit, p.address(f),
                    fmt::format("{}.apps{}.{}", p.limit.name, digit(f), slot)},
          count(p.name("accepted")), c.admit(), ret()});
  }
  rule(chain, "a named app without budget", p.limit.where,
       {is_family(f), in_set(p.address(f), std::string("named_apps") + digit(f)),
        go(p.name("exhausted"))});
}

/// After the handshake: spends, and admits or refuses.
void count_chain(Compilation& c, const LimitParts& p, fw::Family f) {
  Chain chain{p.name("count", f), {}, {}, false};
  const fw::Location& where = p.limit.where;
  const bool apps = p.limit.per == fw::LimitKey::app && !c.policy.apps.empty();
  if (p.limit.concurrent) {
    rule(chain, "too many at once", where,
         {is_family(f),
          DynSet{DynOp::add, p.key(f), p.name("open", f), ConnLimit{*p.limit.concurrent}},
          go(p.name("refuse"))});
  }
  if (apps) count_apps(c, p, chain, f);
  std::vector<std::string> sets = p.window ? p.slots(f) : std::vector{p.name("meter", f)};
  const RateLimit state =
      p.window ? kOnce : bucket(p.limit.rate.count, p.limit.rate.period, p.limit.burst);
  for (const std::string& set : sets) {
    rule(chain, p.window ? "take a free slot" : "take a token", where,
         {is_family(f), DynSet{p.window ? DynOp::add : DynOp::update, p.key(f), set, state},
          count(p.name("accepted")), c.admit(), ret()});
  }
  for (const std::string& set : sets) {
    rule(chain, "the set is full", where,
         {is_family(f), not_in_set(p.key(f), set), use_limit(p.name("overflow")),
          count(p.name("overflowed")), c.admit(), ret()});
  }
  const bool remembered = !(p.window && p.limit.per == fw::LimitKey::ip);
  rule(chain, "refuse", where, {go(p.name(remembered ? "exhausted" : "refuse"))});
  c.out.chains.push_back(std::move(chain));
}

void refuse_chains(Compilation& c, const LimitParts& p) {
  const fw::Location& where = p.limit.where;
  if (!(p.window && p.limit.per == fw::LimitKey::ip)) {
    Chain& exhausted = c.chain(p.name("exhausted"));
    for (fw::Family f : kFamilies) {
      rule(exhausted, "remember", where,
           {is_family(f), DynSet{DynOp::add, p.address(f), p.name("refused", f), {}}});
    }
    rule(exhausted, "refuse", where, {go(p.name("refuse"))});
  }
  Chain& refuse = c.chain(p.name("refuse"));
  rule(refuse, "refused", where, {count(p.name("refused"))});
  if (c.policy.nflog_group != 0) {
    rule(refuse, "refused", where,
         {RateLimit{50, Unit::second, 100}, Log{static_cast<std::uint16_t>(c.policy.nflog_group)}});
  }
  // A reset goes only to who has shown the address to be its own; forged SYNs get no answer.
  rule(refuse, "refused after the handshake", where,
       {is_protocol(fw::Protocol::tcp), in_state(kStateEstablished), RejectTcpReset{}});
  rule(refuse, "refused", where, {drop()});
}

/// The way into a limit: SYNs are looked at, all else is counted.
void entry_chain(Compilation& c, const LimitParts& p) {
  Chain& chain = c.chain(p.name("limit"));
  const fw::Location& where = p.limit.where;
  if (p.has(fw::Protocol::tcp)) {
    for (fw::Family f : kFamilies) {
      std::vector<Expr> look{is_family(f)};
      if (p.has(fw::Protocol::udp)) look.push_back(is_protocol(fw::Protocol::tcp));
      look.push_back(in_state(kStateNew));
      look.push_back(go(p.name("look", f)));
      rule(chain, "look", where, std::move(look));
    }
  }
  for (fw::Family f : kFamilies) {
    rule(chain, "count", where, {is_family(f), go(p.name("count", f))});
  }
}

void compile_limit(Compilation& c, const fw::Limit& limit) {
  const LimitParts p{limit, is_window(limit)};
  for (const char* counter : {"accepted", "refused", "overflowed"}) {
    c.counter(p.name(counter), limit.where);
  }
  const std::uint64_t shared =
      std::min<std::uint64_t>(limit.rate.count * fw::kOverflowFactor, fw::kRateCountMax * 16);
  c.limit(p.name("overflow"), bucket(shared, limit.rate.period, shared), limit.where);
  limit_sets(c, p);
  if (limit.per == fw::LimitKey::app && !c.policy.apps.empty()) app_budgets(c, p);
  refuse_chains(c, p);
  for (fw::Family f : kFamilies) {
    if (p.has(fw::Protocol::tcp)) look_chain(c, p, f);
    count_chain(c, p, f);
  }
  entry_chain(c, p);
}

/// The ports of all limits of one side and protocol: single ports and, apart, ranges.
void port_maps(Compilation& c, fw::Source side, fw::Protocol protocol, Chain& chain) {
  const std::string name = fmt::format(
      "limits_{}_{}", side == fw::Source::apps ? "apps" : "outside", fw::to_string(protocol));
  Set maps[2];
  for (const fw::Limit& limit : c.policy.limits) {
    if (limit.from != side) continue;
    for (const fw::PortRange& range : limit.ports) {
      if (range.protocol != protocol) continue;
      maps[range.single() ? 0 : 1].elements.push_back(
          {u16(range.first),
           range.single() ? Bytes{} : u16(range.last),
           Verdict{VerdictKind::go_to, limit.name + ".limit"},
           {},
           limit.where});
    }
  }
  for (int i = 0; i < 2; ++i) {
    if (maps[i].elements.empty()) continue;
    const std::string map_name = i == 0 ? name : name + "_ranges";
    Set& map = c.set(map_name, {Field::ct_original_dport});
    map.data = Verdict{};
    map.interval = i == 1;
    map.elements = std::move(maps[i].elements);
    rule(chain, "limit of the port", {},
         {is_protocol(protocol), vmap({{Field::ct_original_dport, {}}}, map_name)});
  }
}

struct SourceNetwork {
  fw::IpRange range;
  Verdict verdict;
  fw::Location where;
};

/// Trusted networks are not limited, apps have limits of their own. Trusted ones come first: they
/// win where both overlap.
std::vector<SourceNetwork> source_networks(const Compilation& c, fw::Family f) {
  std::vector<SourceNetwork> out;
  for (const auto& [range, where] : c.policy.trusted) {
    if (range.family == f) out.push_back({range, {VerdictKind::return_, {}}, where});
  }
  for (const auto& [range, where] : c.policy.app_networks) {
    if (range.family == f) out.push_back({range, {VerdictKind::go_to, "ratelimit_apps"}, where});
  }
  return out;
}

/// The kernel's interval sets are disjoint: what is left of a range goes in pieces.
Set source_map(const std::vector<SourceNetwork>& networks, fw::Family f) {
  Set map;
  std::vector<fw::IpRange> taken;
  for (const auto& [range, verdict, where] : networks) {
    std::vector<fw::IpRange> pieces{range};
    for (const fw::IpRange& t : taken) {
      std::vector<fw::IpRange> rest;
      for (const fw::IpRange& piece : pieces) {
        if (!piece.overlaps(t)) {
          rest.push_back(piece);
          continue;
        }
        if (piece.first < t.first) rest.push_back({f, piece.first, t.first - 1});
        if (t.last < piece.last) rest.push_back({f, t.last + 1, piece.last});
      }
      pieces = std::move(rest);
    }
    for (const fw::IpRange& piece : pieces) {
      map.elements.push_back(
          {ip_bytes({f, piece.first}), ip_bytes({f, piece.last}), verdict, {}, where});
      taken.push_back(piece);
    }
  }
  return map;
}

void source_rules(Compilation& c, Chain& chain) {
  constexpr std::size_t kCompared = 4;  // so many comparisons cost less than an interval lookup
  for (fw::Family f : kFamilies) {
    const auto networks = source_networks(c, f);
    const bool compare = networks.size() <= kCompared &&
                         std::all_of(networks.begin(), networks.end(),
                                     [](const SourceNetwork& n) { return is_network(n.range); });
    if (compare) {
      for (const auto& [range, verdict, where] : networks) {
        rule(chain, verdict.chain.empty() ? "trusted" : "an app", where,
             {is_family(f), in_network(saddr(f), range), verdict});
      }
      continue;
    }
    const std::string name = std::string("sources") + digit(f);
    Set& map = c.set(name, {saddr(f)});
    map.data = Verdict{};
    map.interval = true;
    map.elements = source_map(networks, f).elements;
    rule(chain, "trusted, or an app", {}, {is_family(f), vmap({{saddr(f), {}}}, name)});
  }
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
    names.push_back(p.window ? p.slots(f).front() : p.name("meter", f));
  }
  return names;
}

void compile_limits(Compilation& c) {
  if (!c.policy.apps.empty()) named_apps(c);
  for (const fw::Limit& limit : c.policy.limits) compile_limit(c, limit);

  if (!c.policy.app_networks.empty()) {
    Chain apps{"ratelimit_apps", {}, {}, false};
    for (fw::Protocol protocol : kProtocols) port_maps(c, fw::Source::apps, protocol, apps);
    c.out.chains.push_back(std::move(apps));
  }
  Chain chain{"CLOUDRON_RATELIMIT", {}, {}, false};
  source_rules(c, chain);
  if (!c.around.allow_lists.digest.empty()) {
    for (int i = 0; i < 4; ++i) {
      const fw::Family f = i < 2 ? fw::Family::ipv4 : fw::Family::ipv6;
      rule(chain, "allowed by a list", {},
           {is_family(f), in_set(saddr(f), kAllowedSets[i]), ret()});
    }
  }
  for (fw::Protocol protocol : kProtocols) port_maps(c, fw::Source::outside, protocol, chain);
  c.out.chains.push_back(std::move(chain));
}

}  // namespace chains
