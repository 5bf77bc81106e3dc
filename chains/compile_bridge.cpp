// The table of the family bridge: what apps on one bridge send one another, and to the host, below
// IP and in others' names.
//
// At prerouting a frame is held to what its port may say: only plain IPv4, IPv6 and ARP, from the
// container's own MAC address, in no other's and not in the host's name, no router advertisements.
// At forward, which sees frames from port to port only, groups end, but for neighbour discovery.
// Unicast IP goes on to the table inet (br_netfilter), which knows connections. At postrouting a
// port gets only what is sent to its container's MAC address.
// SPDX-License-Identifier: GPL-2.0-or-later
#include <algorithm>
#include <array>
#include <bit>
#include <map>

#include "chains/compile_parts.hpp"

namespace chains {

using namespace build;

namespace {

constexpr std::int32_t kBeforeFilters = -210;  // NF_BR_PRI_FILTER_BRIDGED is -200
constexpr std::uint32_t kSizeLeast = 256;      // elements of a set
constexpr std::uint8_t kIcmpv6 = 58;
constexpr std::uint8_t kAdvertisement = 136;  // of a neighbour

Expr is_ether(std::uint16_t type) { return match(Field::ether_type, u16(type)); }
Expr is_ip(fw::Family family) { return is_ether(family == fw::Family::ipv4 ? 0x0800 : 0x86dd); }
Expr is_arp() { return is_ether(0x0806); }

/// To one receiver, or to a group: broadcast is one, too.
Expr is_unicast() { return match_masked(Field::ether_daddr, {1, 0, 0, 0, 0, 0}, Bytes(6)); }
Expr is_group() { return match_masked(Field::ether_daddr, {1, 0, 0, 0, 0, 0}, {1, 0, 0, 0, 0, 0}); }

Bytes bytes_of(const Mac& mac) { return {mac.begin(), mac.end()}; }

std::string named(const char* name, fw::Family family) { return std::string(name) + digit(family); }

class BridgeTable {
 public:
  explicit BridgeTable(Compilation& c) : c_(c) {
    for (const Bridge& bridge : c.facts.bridges) {
      if (is_of_apps(bridge, c.policy)) bridges_.push_back(&bridge);
    }
  }

  bool empty() const { return bridges_.empty(); }

  void compile() {
    c_.out.bridge = true;
    for (const char* name : {"bridge_forged", "bridge_foreign", "bridge_group", "bridge_astray"}) {
      c_.out.objects.push_back({name, {}, {}, {}, Table::bridge});
    }
    ports();
    addresses();
    kinds();
    prerouting();
    from_port();
    neighbours_from_port();
    between();
    to_port();
  }

 private:
  /// Of each key once. A set with a known size is the kernel's fastest; it is recreated when
  /// the content outgrows it.
  void set(std::string name, std::vector<Field> key, std::vector<Bytes> keys) {
    std::ranges::sort(keys);
    const auto again = std::ranges::unique(keys);
    keys.erase(again.begin(), again.end());
    Set& made = c_.set(std::move(name), std::move(key));
    made.table = Table::bridge;
    // A transaction may add all again before the old ones are gone.
    made.size = std::bit_ceil(std::max(static_cast<std::uint32_t>(2 * keys.size()), kSizeLeast));
    for (Bytes& each : keys) made.elements.push_back({std::move(each), {}, {}, {}, {}});
  }

  Chain chain(std::string name) const { return {std::move(name), {}, {}, false, Table::bridge}; }
  void add(Chain made) { c_.out.chains.push_back(std::move(made)); }

  /// Of two ports that have one address it is that of the one that was made first.
  void ports() {
    std::vector<Bytes> all;
    std::vector<Bytes> known;
    std::vector<Bytes> macs;
    for (const Bridge* bridge : bridges_) {
      for (const BridgePort& port : bridge->ports) {
        all.push_back(u32(port.index));
        if (port.addresses.empty()) continue;
        known.push_back(u32(port.index));
        macs.push_back(concat({u32(port.index), bytes_of(port.mac)}));
        for (fw::Ip ip : port.addresses) {
          const auto [at, fresh] = owners_.try_emplace({bridge, ip}, &port);
          if (!fresh && port.index < at->second->index) at->second = &port;
        }
      }
    }
    set("app_ports", {Field::iif}, std::move(all));
    set("known_ports", {Field::iif}, std::move(known));
    set("port_macs", {Field::iif, Field::ether_saddr}, std::move(macs));
  }

  /// Link-local addresses are distinguished by their bridge; here each is some port's, or none's.
  void addresses() {
    std::array<std::vector<Bytes>, 2> ties;
    std::array<std::vector<Bytes>, 2> owned;
    std::array<std::vector<Bytes>, 2> hosts;
    std::vector<Bytes> targets;
    const auto at = [](fw::Ip ip) { return ip.family == fw::Family::ipv4 ? 0u : 1u; };
    for (const auto& [where, port] : owners_) {
      const fw::Ip ip = where.second;
      ties[at(ip)].push_back(concat({u32(port->index), bytes_of(port->mac), ip_bytes(ip)}));
      owned[at(ip)].push_back(ip_bytes(ip));
      if (at(ip) == 1) targets.push_back(concat({u32(port->index), ip_bytes(ip)}));
    }
    if (c_.policy.discovery.from == fw::Discover::none) {
      // Of an app that does not run nobody else may take the address. The engine's have none then.
      auto take = [&](const std::vector<fw::Ip>& named) {
        for (fw::Ip ip : named) owned[at(ip)].push_back(ip_bytes(ip));
      };
      for (const fw::App& app : c_.policy.apps) take(app.addresses);
      for (const fw::Addon& addon : c_.policy.addons) take(addon.addresses);
    }
    for (const Bridge* bridge : bridges_) {
      for (fw::Ip ip : bridge->addresses) hosts[at(ip)].push_back(ip_bytes(ip));
    }
    set("nd_targets", {Field::iif, Field::nd_target}, std::move(targets));
    set("owned_targets", {Field::nd_target}, owned[1]);
    set("host_targets", {Field::nd_target}, hosts[1]);
    for (fw::Family family : kFamilies) {
      const std::size_t i = family == fw::Family::ipv4 ? 0 : 1;
      set(named("ties", family), {Field::iif, Field::ether_saddr, saddr(family)},
          std::move(ties[i]));
      set(named("owned", family), {saddr(family)}, std::move(owned[i]));
      set(named("hosts", family), {saddr(family)}, std::move(hosts[i]));
    }
  }

  void kinds() {
    set("plain_types", {Field::ether_type}, {u16(0x0800), u16(0x0806), u16(0x86dd)});
    set("bridge_nd", {Field::icmpv6_type}, {u8(133), u8(134), u8(135), u8(136), u8(137)});
    set("router_types", {Field::icmpv6_type}, {u8(134), u8(137)});
    set("neighbour_types", {Field::icmpv6_type}, {u8(135), u8(136)});
  }

  static Key tie(Field address) {
    return {{Field::iif, {}}, {Field::ether_saddr, {}}, {address, {}}};
  }
  static std::vector<Expr> forged() { return {count("bridge_forged"), drop()}; }
  static void forged_rule(Chain& chain, const char* id, std::vector<Expr> exprs) {
    for (Expr& expr : forged()) exprs.push_back(std::move(expr));
    rule(chain, id, {}, std::move(exprs));
  }

  void prerouting() {
    Chain made = chain("bridge_prerouting");
    made.base = BaseHook{Hook::prerouting, kBeforeFilters, VerdictKind::accept, {}};
    // Nearly all frames; the rest is asked who may send it.
    rule(made, "in its own name", {},
         {is_ip(fw::Family::ipv4), in_set(tie(Field::ip_saddr), "ties4"), accept()});
    rule(made, "from an app", {}, {in_set(Field::iif, "app_ports"), go("from_port")});
    add(std::move(made));
  }

  void from_port() {
    Chain made = chain("from_port");
    rule(made, "neighbour discovery", {},
         {is_ip(fw::Family::ipv6), match(Field::l4proto, u8(kIcmpv6)),
          in_set(Field::icmpv6_type, "bridge_nd"), go("neighbours_from_port")});
    rule(made, "in its own name", {},
         {is_ip(fw::Family::ipv6), in_set(tie(Field::ip6_saddr), "ties6"), accept()});
    rule(
        made, "a tag, or no IP", {},
        {not_in_set(Key{{Field::ether_type, {}}}, "plain_types"), count("bridge_foreign"), drop()});
    for (fw::Family family : kFamilies) {
      forged_rule(made, "in the host's name",
                  {is_ip(family), in_set(saddr(family), named("hosts", family))});
    }
    forged_rule(made, "in the host's name", {is_arp(), in_set(Field::arp_saddr_ip, "hosts4")});
    rule(made, "of a container that is not known yet", {},
         {not_in_set(Key{{Field::iif, {}}}, "known_ports"), accept()});
    forged_rule(made, "not its MAC address",
                {not_in_set(Key{{Field::iif, {}}, {Field::ether_saddr, {}}}, "port_macs")});
    rule(made, "in its own name", {},
         {is_arp(), in_set(tie(Field::arp_saddr_ip), "ties4"), accept()});
    forged_rule(made, "in another's name", {is_arp(), in_set(Field::arp_saddr_ip, "owned4")});
    for (fw::Family family : kFamilies) {
      forged_rule(made, "in another's name",
                  {is_ip(family), in_set(saddr(family), named("owned", family))});
    }
    add(std::move(made));
  }

  void neighbours_from_port() {
    const Expr is_icmp = match(Field::l4proto, u8(kIcmpv6));
    const Expr advertises = match(Field::icmpv6_type, u8(kAdvertisement));
    const Expr is_ip6 = is_ip(fw::Family::ipv6);
    Chain made = chain("neighbours_from_port");
    forged_rule(made, "no router", {is_ip6, is_icmp, in_set(Field::icmpv6_type, "router_types")});
    forged_rule(made, "in the host's name", {is_ip6, in_set(Field::ip6_saddr, "hosts6")});
    forged_rule(made, "in the host's name",
                {is_ip6, is_icmp, advertises, in_set(Field::nd_target, "host_targets")});
    rule(made, "of a container that is not known yet", {},
         {not_in_set(Key{{Field::iif, {}}}, "known_ports"), accept()});
    forged_rule(made, "not its MAC address",
                {not_in_set(Key{{Field::iif, {}}, {Field::ether_saddr, {}}}, "port_macs")});
    forged_rule(made, "in another's name",
                {is_ip6, is_icmp, advertises, in_set(Field::nd_target, "owned_targets"),
                 not_in_set(Key{{Field::iif, {}}, {Field::nd_target, {}}}, "nd_targets")});
    forged_rule(
        made, "in another's name",
        {is_ip6, in_set(Field::ip6_saddr, "owned6"), not_in_set(tie(Field::ip6_saddr), "ties6")});
    add(std::move(made));
  }

  void between() {
    Chain base = chain("bridge_forward");
    base.base = BaseHook{Hook::forward, kBeforeFilters, VerdictKind::accept, {}};
    rule(base, "from an app", {}, {in_set(Field::iif, "app_ports"), go("between_ports")});
    rule(base, "to an app", {}, {in_set(Field::oif, "app_ports"), go("between_ports")});
    add(std::move(base));

    Chain made = chain("between_ports");
    rule(made, "to one receiver", {}, {is_ip(fw::Family::ipv4), is_unicast(), accept()});
    rule(
        made, "a tag, or no IP", {},
        {not_in_set(Key{{Field::ether_type, {}}}, "plain_types"), count("bridge_foreign"), drop()});
    rule(made, "who has that address", {}, {is_arp(), accept()});
    rule(made, "who has that address", {},
         {is_ip(fw::Family::ipv6), match(Field::l4proto, u8(kIcmpv6)),
          in_set(Field::icmpv6_type, "neighbour_types"), accept()});
    rule(made, "to a group", {}, {is_group(), count("bridge_group"), drop()});
    forged_rule(made, "no router",
                {is_ip(fw::Family::ipv6), match(Field::l4proto, u8(kIcmpv6)),
                 in_set(Field::icmpv6_type, "bridge_nd")});
    add(std::move(made));
  }

  /// A port gets what is meant for its container. A bridge learns from frames to the address of
  /// LLDP before it asks any hook, so it may believe that another's MAC address is there; and what
  /// it knows no port for goes to all.
  void to_port() {
    Chain made = chain("bridge_postrouting");
    made.base = BaseHook{Hook::postrouting, kBeforeFilters, VerdictKind::accept, {}};
    rule(made, "its own", {},
         {in_set(Key{{Field::oif, {}}, {Field::ether_daddr, {}}}, "port_macs"), accept()});
    rule(made, "another's", {},
         {in_set(Field::oif, "known_ports"), is_unicast(), count("bridge_astray"), drop()});
    add(std::move(made));
  }

  Compilation& c_;
  std::vector<const Bridge*> bridges_;
  std::map<std::pair<const Bridge*, fw::Ip>, const BridgePort*> owners_;
};

}  // namespace

void compile_bridge(Compilation& c) {
  if (!c.isolation) return;
  BridgeTable table(c);
  if (!table.empty()) table.compile();
}

}  // namespace chains
