// Checks that need the whole policy.
// SPDX-License-Identifier: GPL-2.0-or-later
#include <algorithm>
#include <cstddef>
#include <map>
#include <optional>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "fw/base/limits.hpp"
#include "fw/base/suggest.hpp"
#include "fw/policy/parse.hpp"

namespace fw {
namespace {

using Problems = std::vector<Problem>;

void error(Problems& problems, const Location& where, std::string what) {
  problems.push_back({Severity::error, std::move(what), where});
}

void warn(Problems& problems, const Location& where, std::string what) {
  problems.push_back({Severity::warning, std::move(what), where});
}

bool built_in(const Location& where) { return where.file.empty() && where.line == 0; }

/// " (line 4)", " (a default)".
std::string place(const Location& where) {
  if (built_in(where)) return " (a default)";
  return where.line == 0 ? "" : fmt::format(" (line {})", where.line);
}

/// "tcp/25, tcp/587, tcp/993 and 4 more".
std::string listed(const std::vector<PortRange>& ports) {
  constexpr std::size_t kShownMax = 5;
  std::string text;
  for (std::size_t i = 0; i < std::min(ports.size(), kShownMax); ++i)
    text += (i > 0 ? ", " : "") + to_string(ports[i]);
  if (ports.size() > kShownMax) text += fmt::format(" and {} more", ports.size() - kShownMax);
  return text;
}

// Port and address ranges are handled alike.

template <class Range>
struct Owned {
  Range range;
  std::size_t owner = 0;

  auto operator<=>(const Owned&) const = default;
};

template <class Range>
struct Clash {
  Owned<Range> one;
  Owned<Range> other;
};

/// Every range that overlaps another is named at least once, with one that it overlaps; the lower
/// owner comes first.
template <class Range>
std::vector<Clash<Range>> clashes(std::vector<Owned<Range>> ranges) {
  std::vector<Clash<Range>> found;
  std::ranges::sort(ranges);
  const Owned<Range>* reaching = nullptr;  // the range so far that ends last
  for (const Owned<Range>& next : ranges) {
    const bool overlap = reaching != nullptr && reaching->range.overlaps(next.range);
    if (overlap) {
      const bool swap = next.owner < reaching->owner;
      found.push_back(swap ? Clash<Range>{next, *reaching} : Clash<Range>{*reaching, next});
    }
    if (!overlap || next.range.last > reaching->range.last) reaching = &next;
  }
  return found;
}

/// The union, as disjoint ranges in ascending order.
template <class Range>
std::vector<Range> merged(std::vector<Range> ranges) {
  std::vector<Range> disjoint;
  std::ranges::sort(ranges);
  for (const Range& range : ranges) {
    if (!disjoint.empty() && disjoint.back().overlaps(range))
      disjoint.back().last = std::max(disjoint.back().last, range.last);
    else
      disjoint.push_back(range);
  }
  return disjoint;
}

template <class Range>
std::vector<Range> merged(const std::vector<Located<Range>>& ranges) {
  std::vector<Range> plain;
  for (const auto& range : ranges) plain.push_back(range.value);
  return merged(std::move(plain));
}

template <class Range>
bool touches(const std::vector<Range>& disjoint, const Range& range) {
  const auto after = std::ranges::upper_bound(disjoint, range);
  return (after != disjoint.end() && after->overlaps(range)) ||
         (after != disjoint.begin() && std::prev(after)->overlaps(range));
}

/// What has a name in the policy, whatever it is.
struct Named {
  const char* kind;
  const std::string& name;
  const Location& where;
};

template <class Entity>
void add_named(std::vector<Named>& out, const char* kind, const std::vector<Entity>& entities) {
  for (const Entity& entity : entities) out.push_back({kind, entity.name, entity.where});
}

std::string title(const Named& named) {
  return fmt::format("{} {}", named.kind, quote(named.name));
}

void check_unique(const std::vector<Named>& all, Problems& problems) {
  std::map<std::string_view, const Named*> first;
  for (const Named& named : all) {
    if (named.name.empty()) continue;  // reported when it was read
    const auto [it, inserted] = first.emplace(named.name, &named);
    if (inserted) continue;
    // Reported where it can be changed.
    const bool is_default = built_in(named.where);
    const Named& at = is_default ? *it->second : named;
    const Named& other = is_default ? named : *it->second;
    error(problems, at.where,
          fmt::format("{}: another {}{} has this name; rename or remove one of the two", title(at),
                      other.kind, place(other.where)));
  }
}

void check_names(const Policy& policy, Problems& problems) {
  std::vector<Named> limits, lists, peers;
  add_named(limits, "limit", policy.limits);
  add_named(limits, "limit", policy.http_limits);
  add_named(lists, "list", policy.lists);
  add_named(peers, "app", policy.apps);
  add_named(peers, "addon", policy.addons);
  check_unique(limits, problems);
  check_unique(lists, problems);
  check_unique(peers, problems);
}

void check_limit_pair(const Limit& one, const Limit& other, const std::vector<PortRange>& ports,
                      Problems& problems) {
  const bool several = ports.size() > 1;
  if (&one == &other) {
    error(problems, one.where,
          fmt::format("limit {}: {} {} named twice; remove one of the two", quote(one.name),
                      listed(ports), several ? "are" : "is"));
    return;
  }
  // Reported where it can be changed: at the admin's own limit, the later one of two.
  const bool later = !built_in(one.where) && one.where.line > other.where.line;
  const Limit& at = later ? one : other;
  const Limit& old = later ? other : one;
  error(problems, at.where,
        fmt::format("limit {}: {} {} counted by limit {}{} already, and a port has one limit per "
                    "side; {}",
                    quote(at.name), listed(ports), several ? "are" : "is", quote(old.name),
                    place(old.where),
                    built_in(old.where)
                        ? fmt::format("name this one {0} to replace that, or switch that "
                                      "off with name = {0}, enabled = false",
                                      quote(old.name))
                        : "remove it from one of the two"));
}

void check_limit_ports(const Policy& policy, Problems& problems) {
  for (const Source side : {Source::outside, Source::apps}) {
    std::vector<Owned<PortRange>> ports;
    for (std::size_t i = 0; i < policy.limits.size(); ++i) {
      if (policy.limits[i].from != side) continue;
      for (const PortRange& port : policy.limits[i].ports) ports.push_back({port, i});
    }
    std::map<std::pair<std::size_t, std::size_t>, std::vector<PortRange>> by_pair;
    for (const auto& [one, other] : clashes(std::move(ports))) {
      const PortRange both{one.range.protocol, std::max(one.range.first, other.range.first),
                           std::min(one.range.last, other.range.last)};
      by_pair[{one.owner, other.owner}].push_back(both);
    }
    for (const auto& [pair, shared] : by_pair)
      check_limit_pair(policy.limits[pair.first], policy.limits[pair.second], shared, problems);
  }
}

/// Ports of the default limit of that name, for clients outside: a limit may stand there and wait
/// for them to be opened.
std::vector<PortRange> default_ports(const Policy& defaults, const std::string& limit_name) {
  const auto limit = std::ranges::find(defaults.limits, limit_name, &Limit::name);
  if (limit == defaults.limits.end() || limit->from != Source::outside) return {};
  return merged(limit->ports);
}

/// Ports that are open for everybody or for some.
std::vector<PortRange> ever_open(const Policy& policy) {
  std::vector<PortRange> open = merged(all_open_ports(policy));
  for (const Opening& opening : policy.openings)
    open.insert(open.end(), opening.ports.begin(), opening.ports.end());
  return merged(std::move(open));
}

/// " or with [mail] enabled = true": what else would open one of the ports; "" for nothing.
std::string or_with_offer(const Policy& policy, const std::vector<PortRange>& closed) {
  for (const Offer& offer : policy.offers) {
    const std::vector<PortRange> offered = merged(offer.ports);
    if (std::ranges::any_of(closed, [&](const auto& port) { return touches(offered, port); }))
      return " or with " + offer.asked_by;
  }
  return {};
}

void check_closed_limits(const Policy& policy, const Policy& defaults, Problems& problems) {
  const std::vector<PortRange> open = ever_open(policy);
  for (const Limit& limit : policy.limits) {
    if (built_in(limit.where) || limit.from != Source::outside) continue;
    std::vector<PortRange> closed;
    const std::vector<PortRange> expected = default_ports(defaults, limit.name);
    std::ranges::copy_if(limit.ports, std::back_inserter(closed), [&](const PortRange& port) {
      return !touches(open, port) && !touches(expected, port);
    });
    if (closed.empty()) continue;
    warn(problems, limit.where,
         fmt::format("limit {}: {} {} closed, so there is nothing to count; open {} in [ports]{}, "
                     "or take {} out of the limit",
                     quote(limit.name), listed(closed), closed.size() > 1 ? "are" : "is",
                     closed.size() > 1 ? "them" : "it", or_with_offer(policy, closed),
                     closed.size() > 1 ? "them" : "it"));
  }
}

template <class Range>
void check_repeated(const std::vector<Located<Range>>& ranges, std::string_view what,
                    Problems& problems) {
  std::map<Range, const Location*> first;
  for (const auto& range : ranges) {
    const auto [it, inserted] = first.emplace(range.value, &range.where);
    if (inserted) continue;
    warn(problems, range.where,
         fmt::format("{} is {} already{}; remove one of the two", to_string(range.value), what,
                     place(*it->second)));
  }
}

/// The default opens SSH to everybody, so who opens it for some has to take it out there.
void check_openings(const Policy& policy, Problems& problems) {
  const std::vector<Located<PortRange>> open = all_open_ports(policy);
  for (const Opening& opening : policy.openings) {
    for (const PortRange& port : opening.ports) {
      const auto wider = std::ranges::find_if(
          open, [&port](const auto& other) { return other.value.overlaps(port); });
      if (wider == open.end()) continue;
      warn(problems, opening.where,
           fmt::format("{} is open to everybody{}, so this [[open]] does not restrict it; take it "
                       "out of [ports], or remove it here",
                       to_string(port), place(wider->where)));
    }
  }
}

/// The lists that [[open]] names, and those that are there for nothing else.
void check_sources(const Policy& policy, Problems& problems) {
  std::vector<std::string_view> names;
  for (const List& list : policy.lists) names.push_back(list.name);
  for (const Opening& opening : policy.openings) {
    for (const auto& [name, where] : opening.lists) {
      const auto list = std::ranges::find(policy.lists, name, &List::name);
      if (list == policy.lists.end()) {
        const std::string_view guess = nearest(name, names);
        error(problems, where,
              fmt::format("there is no list {}; {}", quote(name),
                          guess.empty() ? "describe it in a [[list]] table, or write a network"
                                        : fmt::format("did you mean {}?", quote(guess))));
      } else if (list->action == ListAction::block) {
        error(problems, where,
              fmt::format("list {} blocks its addresses{}, so nothing is open to them; take "
                          "action = \"block\" out there",
                          quote(name), place(list->where)));
      }
    }
  }
  const std::vector<std::string> used = source_lists(policy);
  for (const List& list : policy.lists) {
    if (list.action != ListAction::open || std::ranges::binary_search(used, list.name)) continue;
    warn(problems, list.where,
         fmt::format("list {} is in no [[open]], so it does nothing; write from = [{}] in one",
                     quote(list.name), quote(list.name)));
  }
}

void check_lockout(const Policy& policy, Problems& problems) {
  const auto closed = ssh_closed(policy);
  if (!closed) return;
  const auto limit = std::ranges::find(policy.limits, "ssh", &Limit::name);
  Location where = policy.ports_where;
  if (built_in(where) && limit != policy.limits.end()) where = limit->where;
  if (built_in(where)) where.file = policy.file;
  warn(problems, where,
       fmt::format("{}, so admins may lose access to this host; add {} to [ports] tcp, or name the "
                   "port that sshd listens on in limit \"ssh\"",
                   *closed, ssh_ports(policy).front().first));
}

bool everything(const IpRange& range) {
  return range.first == 0 && range.last == address_max(range.family);
}

void check_networks(const Policy& policy, Problems& problems) {
  std::vector<Owned<IpRange>> networks;
  for (std::size_t i = 0; i < policy.app_networks.size(); ++i)
    networks.push_back({policy.app_networks[i].value, i});
  for (const auto& [one, other] : clashes(std::move(networks))) {
    const Location& where = policy.app_networks[other.owner].where;
    error(problems, where,
          fmt::format("app network {} overlaps app network {}{}; keep the wider one",
                      to_string(other.range), to_string(one.range),
                      place(policy.app_networks[one.owner].where)));
  }
  for (const auto& [range, where] : policy.app_networks) {
    if (everything(range))
      warn(problems, where,
           fmt::format("{} as app network makes every client an app; name only the networks that "
                       "the apps live in",
                       to_string(range)));
  }
  const std::vector<IpRange> apps = merged(policy.app_networks);
  for (const auto& [range, where] : policy.trusted) {
    if (everything(range)) {
      warn(problems, where,
           fmt::format("{} trusts every client, so no limit or list applies; name only the "
                       "networks of your own",
                       to_string(range)));
    } else if (touches(apps, range)) {
      warn(problems, where,
           fmt::format("trusted {} overlaps the app networks: trusted wins, so the apps in it are "
                       "never limited; remove it unless you mean that",
                       to_string(range)));
    }
  }
}

/// An app or an addon with its addresses.
struct Peer {
  Named named;
  const std::vector<Ip>& addresses;
};

std::vector<Peer> peers(const Policy& policy) {
  std::vector<Peer> all;
  for (const App& app : policy.apps) all.push_back({{"app", app.name, app.where}, app.addresses});
  for (const Addon& addon : policy.addons)
    all.push_back({{"addon", addon.name, addon.where}, addon.addresses});
  return all;
}

std::string joined(const std::vector<Located<IpRange>>& networks) {
  std::string text;
  for (const auto& network : networks) {
    if (text.size() > 100) return text + ", ...";
    text += (text.empty() ? "" : ", ") + to_string(network.value);
  }
  return text.empty() ? "none" : text;
}

void check_addresses(const Policy& policy, Problems& problems) {
  const std::vector<Peer> all = peers(policy);
  const std::vector<IpRange> networks = merged(policy.app_networks);
  const std::string known = joined(policy.app_networks);
  std::vector<Owned<IpRange>> addresses;
  for (std::size_t i = 0; i < all.size(); ++i) {
    const auto& [named, own] = all[i];
    for (const Ip& ip : own) {
      const IpRange range{ip.family, ip.bits, ip.bits};
      addresses.push_back({range, i});
      if (touches(networks, range)) continue;
      if (std::string_view(named.kind) == "app") {
        error(problems, named.where,
              fmt::format("{}: {} is outside the app networks ({}); add its network to [apps] "
                          "network if it is a bridge of this host (macvlan and ipvlan: never)",
                          title(named), to_string(ip), known));
      } else {
        warn(problems, named.where,
             fmt::format("{}: {} is outside the app networks ({}); that is right only for an "
                         "address of the host itself, else add its network to [apps] network",
                         title(named), to_string(ip), known));
      }
    }
  }
  for (const auto& [one, other] : clashes(std::move(addresses))) {
    const Named& named = all[other.owner].named;
    const Named& holder = all[one.owner].named;
    const std::string owner = one.owner == other.owner
                                  ? "is named twice"
                                  : "belongs to " + title(holder) + place(holder.where);
    error(problems, named.where,
          fmt::format("{}: {} {}{}", title(named), to_string(other.range), owner,
                      one.owner == other.owner ? "; remove one of the two"
                                               : " already; an address can have only one owner"));
  }
}

void check_addons(const Policy& policy, Problems& problems) {
  if (policy.discovery.from != Discover::none) return;  // they may be discovered
  std::vector<std::string_view> names;
  for (const Addon& addon : policy.addons) names.push_back(addon.name);
  std::ranges::sort(names);
  for (const App& app : policy.apps) {
    if (problems.size() > kPolicyProblemsMax) return;
    for (const std::string& wanted : app.addons.value_or(std::vector<std::string>{})) {
      if (std::ranges::binary_search(names, wanted)) continue;
      const std::string_view guess = nearest(wanted, names);
      error(problems, app.where,
            fmt::format("app {}: there is no addon {}; {}", quote(app.name), quote(wanted),
                        guess.empty() ? "describe it in an [[addon]] table, or remove it"
                                      : fmt::format("did you mean {}?", quote(guess))));
    }
  }
}

/// Ports that one app publishes, or one addon offers, more than once.
/// Each app address, addon address and port is one element of a kernel set.
void check_reach(const Policy& policy, Problems& problems) {
  const auto ports = [](const Addon& addon) {
    std::size_t count = 0;
    for (const PortRange& range : addon.ports) count += 1u + range.last - range.first;
    return count * addon.addresses.size();
  };
  std::map<std::string_view, std::size_t> by_addon;
  std::size_t all = 0;
  for (const Addon& addon : policy.addons) all += by_addon[addon.name] = ports(addon);
  std::size_t elements = 0;
  for (const App& app : policy.apps) {
    std::size_t reached = app.addons ? 0 : all;
    for (const std::string& name : app.addons.value_or(std::vector<std::string>{}))
      reached += by_addon[name];
    elements += reached * app.addresses.size();
    if (elements > kReachMax) {
      error(problems, app.where,
            fmt::format("more than {} pairs of app address and addon port; name "
                        "fewer ports of addons, or fewer addons of apps",
                        kReachMax));
      return;
    }
  }
}

void check_offenders(const Policy& policy, Problems& problems) {
  std::vector<std::string_view> names;
  for (const Limit& limit : policy.limits) {
    if (limit.from == Source::outside) names.push_back(limit.name);
  }
  for (const HttpLimit& limit : policy.http_limits) names.push_back(limit.name);
  for (const Offender& offender : policy.offenders) {
    for (const std::string& wanted : offender.limits) {
      if (std::ranges::find(names, wanted) != names.end()) continue;
      const std::string_view guess = nearest(wanted, names);
      error(problems, offender.where,
            fmt::format("there is no limit {} with from = \"outside\"; {}", quote(wanted),
                        guess.empty() ? "describe it in a [[limit]] table, or remove it"
                                      : fmt::format("did you mean {}?", quote(guess))));
    }
  }
  if (!policy.offenders.empty() && policy.nflog_group == 0) {
    error(problems, policy.offenders.front().where,
          "[[offender]] cannot work with [advanced] nflog_group = 0; remove that line");
  }
}

void check_own_ports(const Named& named, const std::vector<PortRange>& ports, Problems& problems) {
  std::vector<Owned<PortRange>> owned;
  for (std::size_t i = 0; i < ports.size(); ++i) owned.push_back({ports[i], i});
  for (const auto& [one, other] : clashes(std::move(owned))) {
    error(problems, named.where,
          fmt::format("{}: {} overlaps {}; remove one of the two", title(named),
                      to_string(other.range), to_string(one.range)));
  }
}

}  // namespace

std::optional<std::string> ssh_closed(const Policy& policy) {
  std::vector<PortRange> open = merged(policy.open_ports);
  for (const Opening& opening : policy.openings)
    open.insert(open.end(), opening.ports.begin(), opening.ports.end());
  open = merged(std::move(open));
  const std::vector<PortRange> ssh = ssh_ports(policy);
  if (std::ranges::any_of(ssh, [&open](const PortRange& port) { return touches(open, port); }))
    return {};
  return fmt::format("no SSH port is open ({})", listed(ssh));
}

std::vector<Problem> check(const Policy& policy, const Policy& defaults) {
  Problems problems;
  check_lockout(policy, problems);
  check_repeated(all_open_ports(policy), "open", problems);
  check_repeated(policy.trusted, "trusted", problems);
  check_networks(policy, problems);
  check_names(policy, problems);
  check_limit_ports(policy, problems);
  check_closed_limits(policy, defaults, problems);
  check_openings(policy, problems);
  check_sources(policy, problems);
  check_addresses(policy, problems);
  for (const App& app : policy.apps)
    check_own_ports({"app", app.name, app.where}, app.publishes, problems);
  for (const Addon& addon : policy.addons)
    check_own_ports({"addon", addon.name, addon.where}, addon.ports, problems);
  check_addons(policy, problems);
  check_reach(policy, problems);
  check_offenders(policy, problems);
  return problems;
}

}  // namespace fw
