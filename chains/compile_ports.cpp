// CLOUDRON: which new flows may reach the host.
// SPDX-License-Identifier: GPL-2.0-or-later
#include <algorithm>
#include <functional>
#include <iterator>
#include <map>
#include <optional>

#include "chains/compile_parts.hpp"
#include "fw/base/limits.hpp"

namespace chains {

using namespace build;

namespace {

/// What begins or ends at a port, going up through the port numbers.
struct Border {
  int open = 0;                           ///< ranges that begin less those that end
  std::optional<const fw::Limit*> limit;  ///< the limit from here on (null: none)
  bool single = false;                    ///< named by itself: counted by itself
  const fw::Location* where = nullptr;    ///< of what begins here
};

std::map<std::uint32_t, Border> borders(const std::vector<fw::Located<fw::PortRange>>& open,
                                        const std::vector<fw::Limit>& limits,
                                        fw::Protocol protocol) {
  std::map<std::uint32_t, Border> out;
  for (const auto& [range, where] : open) {
    if (range.protocol != protocol) continue;
    Border& first = out[range.first];
    ++first.open;
    first.single = first.single || range.single();
    first.where = &where;
    --out[range.last + 1u].open;
  }
  if (out.empty()) return out;
  for (const fw::Limit& limit : limits) {
    if (limit.from != fw::Source::outside) continue;
    for (const fw::PortRange& range : limit.ports) {
      if (range.protocol != protocol) continue;
      out[range.first].limit = &limit;
      out[range.last + 1u].limit.emplace(out[range.last + 1u].limit.value_or(nullptr));
    }
  }
  return out;
}

constexpr const char* kOpen = "open_";        // maps: what a new flow to an open port meets
constexpr const char* kSome = "some_";        // maps: the same of ports that are open for some
constexpr const char* kLimited = "limited_";  // sets: those of them that have a limit

std::string set_name(const char* prefix, fw::Protocol protocol, bool ranges) {
  return std::string(prefix) + fw::to_string(protocol) + (ranges ? "_ranges" : "");
}

/// A rule for each set of ports of that prefix which there is: the condition, then what `then`
/// makes of the set's name.
void port_rules(const Compilation& c, Chain& chain, const char* comment, const char* prefix,
                const std::vector<Expr>& condition,
                const std::function<std::vector<Expr>(const std::string&)>& then) {
  for (fw::Protocol protocol : kProtocols) {
    for (const bool ranges : {false, true}) {
      const std::string set = set_name(prefix, protocol, ranges);
      if (find(c.out.sets, set) == nullptr) continue;
      std::vector<Expr> exprs = condition;
      exprs.push_back(is_protocol(protocol));
      for (Expr& expr : then(set)) exprs.push_back(std::move(expr));
      rule(chain, comment, {}, std::move(exprs));
    }
  }
}

/// The keys of a map of open ports that lead to a limit.
void limited_ports(Compilation& c, const Set& open, std::string name) {
  std::vector<Element> limited;
  for (const Element& element : open.elements) {
    const auto* verdict = std::get_if<Verdict>(&element.data);
    if (verdict->kind == VerdictKind::accept) continue;
    limited.push_back({element.key, element.key_last, {}, {}, element.where});
  }
  if (limited.empty()) return;
  Set& set = c.set(std::move(name), open.key);
  set.interval = open.interval;
  set.elements = std::move(limited);
}

/// The open ports of a protocol as two verdict maps, of single ports and of ranges; each element
/// counts. A range is split where the limit changes, and at ports that are named by themselves.
void open_maps(Compilation& c, fw::Protocol protocol) {
  const auto open = fw::all_open_ports(c.policy);
  const auto all = borders(open, c.policy.limits, protocol);
  Set maps[2];
  int depth = 0;
  const fw::Limit* limit = nullptr;
  const fw::Location* where = nullptr;
  for (auto border = all.begin(); border != all.end(); ++border) {
    const auto& [port, here] = *border;
    depth += here.open;
    limit = here.limit.value_or(limit);
    if (here.where != nullptr) where = here.where;
    if (depth == 0) continue;
    const auto first = static_cast<std::uint16_t>(port);
    const auto last = static_cast<std::uint16_t>(std::next(border)->first - 1);
    const Verdict verdict = open_verdict(limit, protocol);
    std::vector<Element>& ranges = maps[1].elements;
    const bool joins = !here.single && !ranges.empty() &&
                       ranges.back().data == ElementData(verdict) &&
                       ranges.back().key_last == u16(static_cast<std::uint16_t>(first - 1));
    if (joins) {
      ranges.back().key_last = u16(last);
    } else {
      maps[first == last ? 0 : 1].elements.push_back(
          {u16(first), first == last ? Bytes{} : u16(last), verdict, {}, *where});
    }
  }
  for (const bool ranges : {false, true}) {
    if (maps[ranges ? 1 : 0].elements.empty()) continue;
    Set& map = c.set(set_name(kOpen, protocol, ranges), {Field::ct_original_dport});
    map.data = Verdict{};
    map.interval = ranges;
    map.counter = true;
    map.elements = std::move(maps[ranges ? 1 : 0].elements);
    limited_ports(c, Set(map), set_name(kLimited, protocol, ranges));
  }
}

/// Flows that somebody's rules keep out of connection tracking: the port is that of the packet.
/// Without a handshake to be seen, a limit counts each SYN and each datagram. Comes back when the
/// port is closed.
void untracked(Compilation& c) {
  Chain& chain = c.chain("untracked");
  for (const bool ranges : {false, true}) {
    const std::string limited = set_name(kLimited, fw::Protocol::tcp, ranges);
    if (find(c.out.sets, limited) == nullptr) continue;
    const Bytes flags = u8(kFin | kSyn | kRst | kAck);
    const Expr is_syn = match_masked(Field::tcp_flags, flags, u8(kSyn));
    const Expr no_syn = match_masked(Field::tcp_flags, flags, u8(kSyn), Compare::not_equal);
    rule(chain, "later packet", {},
         {is_protocol(fw::Protocol::tcp), no_syn, in_set(Field::th_dport, limited), accept()});
    for (const char* counts : {"count_outside_tcp", "count_outside_tcp_ranges"}) {
      if (find(c.out.sets, counts) == nullptr) continue;
      rule(chain, "count", {},
           {is_protocol(fw::Protocol::tcp), is_syn, in_set(Field::th_dport, limited),
            vmap({{Field::th_dport, {}}}, counts)});
    }
  }
  for (fw::Protocol protocol : kProtocols) {
    const Field port = protocol == fw::Protocol::udp ? Field::udp_dport : Field::th_dport;
    for (const bool ranges : {false, true}) {
      for (const auto& [id, kind] : {std::pair{"open port", kOpen}, {"open for some", kSome}}) {
        const std::string open = set_name(kind, protocol, ranges);
        if (find(c.out.sets, open) == nullptr) continue;
        rule(chain, id, {}, {is_protocol(protocol), vmap({{port, {}}}, open)});
      }
    }
  }
}

/// ICMP that is answered; what else a host needs on its links was let in before blocks were asked.
void icmp_rules(Compilation& c, Chain& chain) {
  const bool limited = std::ranges::any_of(c.policy.limits, &fw::Limit::counts_pings);
  const Expr verdict = limited ? jump(std::string(fw::kPingLimit) + ".new") : accept();
  rule(chain, "ping", {},
       {is_family(fw::Family::ipv4), match(Field::l4proto, u8(1)), match(Field::icmp_type, u8(8)),
        verdict});
  rule(chain, "ping", {},
       {is_family(fw::Family::ipv6), match(Field::l4proto, u8(58)),
        match(Field::icmpv6_type, u8(128)), verdict});
  neighbour_rules(chain);
}

/// [ports] discovery: devices and services at home. Questions and announcements go to groups that
/// no router sends on. Answers go from the service's own address to wherever the question came
/// from, and not all of them from the port of the protocol. So it is noted by which ports the host
/// has asked a group lately, and answers come from a private network to one of these.
void discovery_rules(Compilation& c, Chain& chain) {
  if (!c.policy.local_discovery) return;
  constexpr std::uint16_t kMdns = 5353, kSsdp = 1900;
  constexpr const char* kAsked = "discovery_asked";
  const auto range = [](const char* text) { return *fw::parse_ip_range(text); };
  Set& asked = c.set(kAsked, {Field::th_sport});
  asked.content = Content::learned;
  asked.dynamic = true;
  asked.timeout = true;
  asked.size = fw::kDiscoveryAskedMax;
  asked.timeout_default = fw::kDiscoveryAnswers;
  struct Group {
    fw::IpRange address;
    std::uint16_t port;
  };
  Chain asks{"discovery_asks", {}, {}, false};
  for (const auto& [address, port] :
       {Group{range("224.0.0.251"), kMdns}, Group{range("ff02::fb"), kMdns},
        Group{range("239.255.255.250"), kSsdp}, Group{range("ff02::c"), kSsdp},
        Group{range("ff05::c"), kSsdp}}) {
    const std::vector<Expr> to_group{
        is_family(address.family), in_network(daddr(address.family), address),
        is_protocol(fw::Protocol::udp), match(Field::udp_dport, u16(port))};
    std::vector<Expr> in = to_group;
    in.push_back(accept());
    rule(chain, "discovery", {}, std::move(in));
    std::vector<Expr> out = to_group;
    out.push_back(DynSet{DynOp::update, {{Field::th_sport, {}}}, kAsked, {}});
    rule(asks, "a question of discovery", {}, std::move(out));
  }
  for (const char* network : {"10.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16",
                              "fc00::/7", "fe80::/10"}) {
    const fw::IpRange home = range(network);
    rule(chain, "answers of discovery", {},
         {is_family(home.family), in_network(saddr(home.family), home),
          is_protocol(fw::Protocol::udp), in_set(Field::udp_dport, kAsked), accept()});
  }
  const auto output = std::ranges::find(c.out.chains, "output", &Chain::name);
  rule(*output, "questions of discovery", {},
       {is_protocol(fw::Protocol::udp), jump("discovery_asks")});
  c.out.chains.push_back(std::move(asks));
}

}  // namespace

void open_port_rules(const Compilation& c, Chain& chain, const std::vector<Expr>& condition) {
  const auto asked = [](const std::string& map) {
    return std::vector<Expr>{vmap({{Field::ct_original_dport, {}}}, map)};
  };
  port_rules(c, chain, "open port", kOpen, condition, asked);
  port_rules(c, chain, "open for some", kSome, condition, asked);
}

Verdict open_verdict(const fw::Limit* limit, fw::Protocol protocol) {
  if (limit == nullptr) return {VerdictKind::accept, {}};
  return {VerdictKind::jump, limit->name + (protocol == fw::Protocol::tcp ? ".look" : ".new")};
}

void limit_in_the_making(const Compilation& c, Chain& chain, const std::vector<Expr>& condition) {
  port_rules(c, chain, "its limit is being made", kLimited, condition, [](const std::string& set) {
    return std::vector<Expr>{in_set(Field::ct_original_dport, set), accept()};
  });
}

void compile_ports(Compilation& c) {
  for (fw::Protocol protocol : kProtocols) open_maps(c, protocol);
  c.counter("closed");
  for (const char* name : {"CLOUDRON_BEFORE", "CLOUDRON_AFTER"}) c.chain(name).admin = true;

  untracked(c);
  Chain chain{"CLOUDRON", {}, {}, false};
  admin_rules(c, chain, "CLOUDRON_BEFORE");
  open_port_rules(c, chain, {});
  rule(chain, "untracked", {}, {in_state(kStateUntracked), jump("untracked")});
  if (find(c.out.sets, kSomeProtocols) != nullptr) {
    rule(chain, "open for some", {}, {vmap({{Field::l4proto, {}}}, kSomeProtocols)});
  }
  icmp_rules(c, chain);
  discovery_rules(c, chain);
  if (!c.policy.app_networks.empty()) rule(chain, "apps", {}, {jump("apps_to_host")});
  admin_rules(c, chain, "CLOUDRON_AFTER");
  limit_in_the_making(c, chain, {});
  c.log(chain, "closed port", {}, {}, kLogClosed);
  rule(chain, "closed port", {}, {count("closed"), c.note_closed(), drop()});
  c.out.chains.push_back(std::move(chain));
}

}  // namespace chains
