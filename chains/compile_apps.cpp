// CLOUDRON_FORWARD: published ports, and isolation of apps.
// SPDX-License-Identifier: GPL-2.0-or-later
#include <algorithm>
#include <map>

#include "chains/compile_parts.hpp"

namespace chains {

using namespace build;

namespace {

constexpr const char* kAppBridges = "app_bridges";
constexpr const char* kContainerBridges = "container_bridges";
constexpr const char* kOtherBridges = "other_bridges";

std::vector<fw::Located<fw::IpRange>> app_networks(const Compilation& c, fw::Family family) {
  std::vector<fw::Located<fw::IpRange>> out;
  for (const auto& net : c.policy.app_networks) {
    if (net.value.family == family) out.push_back(net);
  }
  return out;
}

/// One network is compared with; a set of two costs the lookup of an interval set.
bool is_compared(const std::vector<fw::Located<fw::IpRange>>& networks) {
  return networks.size() == 1 && is_network(networks.front().value);
}

void network_sets(Compilation& c) {
  for (fw::Family family : kFamilies) {
    const auto networks = app_networks(c, family);
    if (networks.empty() || is_compared(networks)) continue;
    Set& set = c.set(std::string("app_nets") + digit(family), {saddr(family)});
    set.interval = true;
    for (const auto& [net, where] : networks) {
      set.elements.push_back(
          {ip_bytes({family, net.first}), ip_bytes({family, net.last}), {}, {}, where});
    }
  }
}

}  // namespace

void compile_bridges(Compilation& c) {
  network_sets(c);
  c.device_set(kAppBridges, c.app_bridges());
  c.device_set(kContainerBridges, c.container_bridges());
  if (!c.policy.app_networks.empty()) c.device_set(kOtherBridges, c.other_bridges());
}

/// Who may reach which addon: app address, addon address, protocol, port. And who is bound to whom,
/// which an error about one of their packets goes by: both addresses, either way round.
void addons_of_apps(Compilation& c) {
  std::map<std::string, const fw::Addon*> by_name;
  for (const fw::Addon& addon : c.policy.addons) by_name[addon.name] = &addon;
  for (fw::Family family : kFamilies) {
    Set reach;
    Set bound;
    auto add = [](Set& set, std::initializer_list<Bytes> key, const fw::Location& where) {
      set.elements.push_back({concat(key), {}, {}, {}, where});
    };
    auto bind = [&](const fw::App& app, const fw::Addon& addon) {
      for (fw::Ip from : app.addresses) {
        for (fw::Ip to : addon.addresses) {
          if (from.family != family || to.family != family) continue;
          add(bound, {ip_bytes(from), ip_bytes(to)}, app.where);
          add(bound, {ip_bytes(to), ip_bytes(from)}, app.where);
          for (const fw::PortRange& ports : addon.ports) {
            for (std::uint32_t port = ports.first; port <= ports.last; ++port) {
              add(reach,
                  {ip_bytes(from), ip_bytes(to), u8(static_cast<std::uint8_t>(ports.protocol)),
                   u16(static_cast<std::uint16_t>(port))},
                  app.where);
            }
          }
        }
      }
    };
    for (const fw::App& app : c.policy.apps) {
      if (!app.addons) {
        for (const fw::Addon& addon : c.policy.addons) bind(app, addon);
        continue;
      }
      for (const std::string& name : *app.addons) {
        if (const auto it = by_name.find(name); it != by_name.end()) bind(app, *it->second);
      }
    }
    for (Set* set : {&reach, &bound}) {
      sort_elements(*set);
      const auto again = std::ranges::unique(set->elements);
      set->elements.erase(again.begin(), again.end());
    }
    c.set(std::string("reach") + digit(family),
          {saddr(family), daddr(family), Field::l4proto, Field::th_dport})
        .elements = std::move(reach.elements);
    c.set(std::string("bound") + digit(family), {saddr(family), daddr(family)}).elements =
        std::move(bound.elements);
  }
}

namespace {

void accept_reachable(Compilation& c, Chain& chain) {
  if (!c.isolation) return;
  for (fw::Family family : kFamilies) {
    rule(chain, "app to its addon", {},
         {is_family(family),
          in_set(Key{{saddr(family), {}},
                     {daddr(family), {}},
                     {Field::l4proto, {}},
                     {Field::th_dport, {}}},
                 std::string("reach") + digit(family)),
          accept()});
  }
}

/// Did it come in by a bridge that apps may be on; leaves it by one? That is known of the kind of a
/// device alone, so apps on a bridge that was just made are apps; and of a bridge of others by its
/// name.
std::vector<Expr> on_a_bridge(const Compilation& c, Field kind, Field name) {
  std::vector<Expr> out{match(kind, device_bytes("bridge"))};
  if (find(c.out.sets, kOtherBridges) != nullptr) {
    out.push_back(not_in_set(Key{{name, {}}}, kOtherBridges));
  }
  return out;
}

void add(std::vector<Expr>& exprs, std::vector<Expr> more) {
  for (Expr& expr : more) exprs.push_back(std::move(expr));
}

std::vector<Expr> from_an_app(const Compilation& c, fw::Family family) {
  std::vector<Expr> out{is_family(family), c.in_app_networks(saddr(family))};
  add(out, on_a_bridge(c, Field::iifkind, Field::iifname));
  return out;
}

/// First packets that carry an app's address: anybody can write one, but the way back to an app
/// leaves by the device that its packets come in by. Whoever else has such an address, on a network
/// that is none of containers, is a client like any other.
void from_app(Compilation& c) {
  c.counter("spoofed");
  Chain& chain = c.chain("from_app");
  rule(chain, "not from where the app is", {},
       {match(Field::route_back, u32(0)), count("spoofed"), drop()});
  rule(chain, "no bridge of containers", {},
       {match_masked(Field::iifkind, {}, device_bytes("bridge"), Compare::not_equal), ret()});
  if (find(c.out.sets, kOtherBridges) != nullptr) {
    rule(chain, "no bridge of containers", {}, {in_set(Field::iifname, kOtherBridges), ret()});
  }
  rule(chain, "its limits", {}, {go("ratelimit_apps")});
}

/// What apps may ask of the host itself, besides its open ports.
void apps_to_host(Compilation& c) {
  Set& services = c.set("app_services", {Field::l4proto, Field::th_dport});
  for (fw::Protocol protocol : kProtocols) {
    services.elements.push_back(
        {concat({u8(static_cast<std::uint8_t>(protocol)), u16(53)}), {}, {}, {}, {}});
  }
  Chain& chain = c.chain("apps_to_host");
  for (fw::Family family : kFamilies) {
    if (!c.has_apps(family)) continue;
    std::vector<Expr> exprs = from_an_app(c, family);
    add(exprs,
        {in_set(Key{{Field::l4proto, {}}, {Field::th_dport, {}}}, "app_services"), accept()});
    rule(chain, "DNS for apps", {}, std::move(exprs));
  }
  accept_reachable(c, chain);
}

void to_apps(Compilation& c) {
  Chain& chain = c.chain("to_apps");
  // Before the test for a SYN: connections that a bridge did not show to netfilter until now go on.
  accept_reachable(c, chain);
  rule(chain, "new without SYN", {},
       {is_protocol(fw::Protocol::tcp),
        match_masked(Field::tcp_flags, u8(kFin | kSyn | kRst | kAck), u8(kSyn), Compare::not_equal),
        count("not_syn"), drop()});
  open_port_rules(c, chain, {is_published()});
  admin_rules(c, chain, "CLOUDRON_FORWARD_AFTER");
  limit_in_the_making(c, chain, {is_published()});
  for (fw::Family family : kFamilies) {
    if (!c.has_apps(family)) continue;
    const Expr from_app = c.in_app_networks(saddr(family));
    if (c.isolation) {
      rule(chain, "app to app", {}, {is_family(family), from_app, count("isolated"), drop()});
    } else {
      rule(chain, "apps not named yet", {}, {is_family(family), from_app, accept()});
    }
  }
  rule(chain, "unpublished port", {}, {count("unpublished"), c.note_closed(), drop()});
}

/// On a bridge of apps also by addresses that are in no app network: link-local ones, which are
/// never routed, multicast groups, and whatever else a sender makes up.
void apart_on_a_bridge(const Compilation& c, Chain& chain) {
  if (!c.isolation || find(c.out.sets, kAppBridges) == nullptr) return;
  rule(chain, "within a bridge of apps", {},
       {in_set(Field::iifname, kAppBridges), in_set(Field::oifname, kAppBridges), count("isolated"),
        drop()});
}

/// Between apps nobody is a router. The table of the family bridge says so too, of the ports that
/// it knows.
void no_routers(Compilation& c, Chain& chain) {
  if (!c.isolation || find(c.out.sets, kAppBridges) == nullptr) return;
  Set& types = c.set("app_router_types", {Field::icmpv6_type});
  for (const std::uint8_t type : std::initializer_list<std::uint8_t>{133, 134, 137}) {
    types.elements.push_back({u8(type), {}, {}, {}, {}});
  }
  constexpr std::uint8_t kIcmpv6Protocol = 58;
  rule(chain, "no router", {},
       {is_family(fw::Family::ipv6), match(Field::l4proto, u8(kIcmpv6Protocol)),
        in_set(Field::icmpv6_type, "app_router_types"), in_set(Field::iifname, kAppBridges),
        in_set(Field::oifname, kAppBridges), count("isolated"), drop()});
}

/// The flow may be the receiver's own, to its addon or to anywhere; the error is a stranger's.
void app_errors(Compilation& c) {
  if (find(c.out.sets, kAppBridges) == nullptr) return;
  Chain& chain = c.chain("app_errors");
  for (fw::Family family : kFamilies) {
    rule(chain, "of an addon, or of its app", {},
         {is_family(family),
          in_set(Key{{saddr(family), {}}, {daddr(family), {}}},
                 std::string("bound") + digit(family)),
          ret()});
  }
  rule(chain, "of a stranger", {}, {count("isolated"), drop()});
}

/// New flows into a bridge of containers that are no apps. They reach one another.
void to_containers(Compilation& c, Chain& forward) {
  if (find(c.out.sets, kContainerBridges) == nullptr) return;
  rule(forward, "to a container", {},
       {in_set(Field::oifname, kContainerBridges), go("to_containers")});
  Chain& chain = c.chain("to_containers");
  rule(chain, "of a container", {}, {in_set(Field::iifname, kContainerBridges), accept()});
  admin_rules(c, chain, "CLOUDRON_FORWARD_AFTER");
  rule(chain, "unpublished port", {}, {count("unpublished"), c.note_closed(), drop()});
}

/// Publishing is from outside: what containers reach by NAT, as services of Kubernetes, is not.
void published_by_nat(const Compilation& c, Chain& forward) {
  std::vector<Expr> exprs{is_published()};
  if (find(c.out.sets, kContainerBridges) != nullptr) {
    exprs.push_back(not_in_set({{Field::iifname, {}}}, kContainerBridges));
  }
  exprs.push_back(go("to_apps"));
  rule(forward, "published by NAT", {}, std::move(exprs));
}

}  // namespace

bool Compilation::has_apps(fw::Family family) const { return !app_networks(*this, family).empty(); }

Expr Compilation::in_app_networks(Field field) const {
  const bool v4 = field == Field::ip_saddr || field == Field::ip_daddr;
  const fw::Family family = v4 ? fw::Family::ipv4 : fw::Family::ipv6;
  const auto networks = app_networks(*this, family);
  if (is_compared(networks)) return in_network(field, networks.front().value);
  return in_set(field, std::string("app_nets") + digit(family));
}

void app_rules(const Compilation& c, Chain& chain, const std::string& id, const Expr& verdict) {
  for (fw::Family family : kFamilies) {
    if (!c.has_apps(family)) continue;
    std::vector<Expr> exprs = from_an_app(c, family);
    exprs.push_back(verdict);
    rule(chain, id, {}, std::move(exprs));
  }
}

void app_address_rules(const Compilation& c, Chain& chain, const std::string& id,
                       const Expr& verdict) {
  for (fw::Family family : kFamilies) {
    if (!c.has_apps(family)) continue;
    rule(chain, id, {}, {is_family(family), c.in_app_networks(saddr(family)), verdict});
  }
}

void errors_between_apps(const Compilation& c, Chain& forward) {
  if (!c.isolation || find(c.out.sets, kAppBridges) == nullptr) return;
  rule(forward, "within a bridge of apps", {},
       {in_state(kStateRelated), in_set(Field::iifname, kAppBridges),
        in_set(Field::oifname, kAppBridges), jump("app_errors")});
}

Expr is_published() {
  constexpr std::uint32_t kDnat = 1u << 5;  // IPS_DST_NAT
  return match_masked(Field::ct_status, u32(kDnat), u32(0), Compare::not_equal);
}

void compile_apps(Compilation& c) {
  for (const char* name : {"CLOUDRON_FORWARD_BEFORE", "CLOUDRON_FORWARD_AFTER"}) {
    c.chain(name).admin = true;
  }
  c.counter("isolated");
  c.counter("unpublished");
  if (c.isolation) {
    addons_of_apps(c);
    app_errors(c);
  }
  if (!c.policy.app_networks.empty()) {
    from_app(c);
    apps_to_host(c);
  }

  Chain forward{"CLOUDRON_FORWARD", {}, {}, false};
  admin_rules(c, forward, "CLOUDRON_FORWARD_BEFORE");
  no_routers(c, forward);
  neighbour_rules(forward);
  for (fw::Family family : kFamilies) {
    if (!c.has_apps(family)) continue;
    std::vector<Expr> exprs{is_family(family), c.in_app_networks(daddr(family))};
    add(exprs, on_a_bridge(c, Field::oifkind, Field::oifname));
    exprs.push_back(go("to_apps"));
    rule(forward, "to an app", {}, std::move(exprs));
  }
  published_by_nat(c, forward);
  apart_on_a_bridge(c, forward);
  to_containers(c, forward);
  rule(forward, "not to an app", {}, {accept()});
  c.out.chains.push_back(std::move(forward));
  to_apps(c);
}

}  // namespace chains
