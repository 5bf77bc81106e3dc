// What a host needs on its own links passes, even from blocked or listed sources: neighbours,
// routers, leases, multicast groups, the sizes that paths take.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "chains/compile_parts.hpp"

namespace chains {

using namespace build;

namespace {

constexpr std::uint8_t kIgmp = 2;
constexpr std::uint16_t kDhcpClient = 68;
constexpr std::uint16_t kDhcpV6Client = 546;

void neighbour_sets(Compilation& c) {
  auto types = [&c](const char* name, std::initializer_list<std::uint8_t> values) {
    Set& set = c.set(name, {Field::icmpv6_type});
    for (std::uint8_t value : values) set.elements.push_back({u8(value), {}, {}, {}, {}});
  };
  types("nd_types", {133, 134, 135, 136});   // RFC 4861
  types("mld_types", {130, 131, 132, 143});  // RFC 3810
}

/// A server answers from any address what was asked by broadcast or multicast, and may answer to
/// the address that it gives. Of IPv6 it answers on the link.
void lease_rules(Chain& chain) {
  rule(chain, "DHCP", {},
       {is_family(fw::Family::ipv4), is_protocol(fw::Protocol::udp),
        match(Field::udp_dport, u16(kDhcpClient)), accept()});
  rule(chain, "DHCPv6", {},
       {is_family(fw::Family::ipv6), in_network(Field::ip6_daddr, kLinkLocal),
        is_protocol(fw::Protocol::udp), match(Field::udp_dport, u16(kDhcpV6Client)), accept()});
}

/// Errors about a packet of the host's, from whatever is on its path: of a known flow, where that
/// can be known.
void path_rules(Chain& chain, const std::vector<Expr>& condition) {
  for (const fw::Family family : kFamilies) {
    const bool v4 = family == fw::Family::ipv4;
    std::vector<Expr> exprs = condition;
    exprs.push_back(is_family(family));
    exprs.push_back(match(Field::l4proto, u8(v4 ? 1 : 58)));
    exprs.push_back(v4 ? match(Field::icmp_type, u8(3)) : match(Field::icmpv6_type, u8(2)));
    exprs.push_back(accept());
    rule(chain, "path MTU", {}, std::move(exprs));
  }
}

void link_only_rules(Chain& chain) {
  neighbour_rules(chain);
  rule(chain, "multicast groups", {},
       {is_family(fw::Family::ipv4), match(Field::l4proto, u8(kIgmp)),
        in_network(Field::ip_daddr, kMulticast4), accept()});
  lease_rules(chain);
}

}  // namespace

void neighbour_rules(Chain& chain) {
  rule(chain, "neighbour discovery", {},
       {is_family(fw::Family::ipv6), match(Field::ip6_hoplimit, u8(255)),
        match(Field::l4proto, u8(58)), in_set(Field::icmpv6_type, "nd_types"), accept()});
  rule(chain, "multicast listeners", {},
       {is_family(fw::Family::ipv6), in_network(Field::ip6_saddr, kLinkLocal),
        match(Field::l4proto, u8(58)), in_set(Field::icmpv6_type, "mld_types"), accept()});
}

void not_needed_at_ingress(Chain& chain, const std::string& id, const std::vector<Expr>& verdict) {
  const auto add_rule = [&](std::vector<Expr> exprs) {
    exprs.insert(exprs.end(), verdict.begin(), verdict.end());
    rule(chain, id, {}, std::move(exprs));
  };
  add_rule({is_protocol(fw::Protocol::tcp)});
  add_rule({is_protocol(fw::Protocol::udp),
            match_masked(Field::udp_dport, {}, u16(kDhcpClient), Compare::not_equal),
            match_masked(Field::udp_dport, {}, u16(kDhcpV6Client), Compare::not_equal)});
}

void needed_at_ingress(Chain& chain) {
  link_only_rules(chain);
  path_rules(chain, {});
}

void before_blocks(Chain& chain) {
  constexpr std::uint8_t kTcp = 6;
  rule(chain, "needed on a link", {},
       {match_masked(Field::l4proto, {}, u8(kTcp), Compare::not_equal), jump("on_link")});
}

void forwarded_before_blocks(Chain& chain) {
  neighbour_rules(chain);
  path_rules(chain, {in_state(kStateRelated)});
}

void compile_link(Compilation& c) {
  neighbour_sets(c);
  Chain& chain = c.chain("on_link");
  link_only_rules(chain);
  path_rules(chain, {in_state(kStateRelated)});
}

}  // namespace chains
