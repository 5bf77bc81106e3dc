// TCP Fast Open on limited ports: a SYN's data never reaches a program uncounted.
//
// A server that uses Fast Open (RFC 7413) hands the data of a SYN to its program at once, and the
// limit, which counts at the end of the handshake, never hears of it. So on the ports of limits
// the option is taken off. The server then does not offer Fast Open, and the client shakes hands.
//
// Three things remain that are no honest client's first try: a second copy of the option (the
// kernel takes off the first alone), the option's experimental form likewise, and data, which a
// server that asks for no cookie takes without any option. Such a SYN is dropped. A client that
// has a cookie from before sends its SYN again without data after a second.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "chains/compile_parts.hpp"

namespace chains {

using namespace build;

namespace {

std::string ports_name(fw::Source side) {
  return side == fw::Source::apps ? "counted_apps" : "counted_outside";
}

bool has_ports(const Compilation& c, fw::Source side) {
  return find(c.out.sets, ports_name(side)) != nullptr;
}

/// The TCP ports of all limits of a side.
void counted_ports(Compilation& c, fw::Source side) {
  std::vector<Element> ports;
  for (const fw::Limit& limit : c.policy.limits) {
    if (limit.from != side) continue;
    for (const fw::PortRange& range : limit.ports) {
      if (range.protocol != fw::Protocol::tcp) continue;
      ports.push_back({u16(range.first), u16(range.last), {}, {}, limit.where});
    }
  }
  if (ports.empty()) return;
  Set& set = c.set(ports_name(side), {Field::ct_original_dport});
  set.interval = true;
  set.elements = std::move(ports);
}

Expr in_ports(fw::Source side) { return in_set(Field::ct_original_dport, ports_name(side)); }

/// The first byte is there, whatever it says.
Expr has_payload() { return match_masked(Field::tcp_payload, u8(0), u8(0)); }

void strip_chain(Compilation& c) {
  c.counter("syn_data");
  Chain& strip = c.chain("no_fast_open");
  rule(strip, "no Fast Open", {}, {StripTcpOption{kTcpFastOpen}, StripTcpOption{kTcpExperimental}});
  for (const Field option : {Field::tcp_fast_open, Field::tcp_experimental}) {
    rule(strip, "a second one", {}, {match(option, u8(1)), count("syn_data"), drop()});
  }
  rule(strip, "data", {},
       {is_protocol(fw::Protocol::tcp), has_payload(), count("syn_data"), drop()});
}

}  // namespace

void compile_fast_open(Compilation& c) {
  counted_ports(c, fw::Source::outside);
  if (!c.policy.app_networks.empty()) counted_ports(c, fw::Source::apps);
  const bool outside = has_ports(c, fw::Source::outside);
  const bool apps = has_ports(c, fw::Source::apps);
  if (!outside && !apps) return;
  strip_chain(c);
  Chain of_app{"fast_open_apps", {}, {}, false};
  if (apps)
    rule(of_app, "a limit's port", {},
         {is_protocol(fw::Protocol::tcp), in_ports(fw::Source::apps), go("no_fast_open")});
  Chain host{"fast_open", {}, {}, false};
  app_rules(c, host, "an app", go("fast_open_apps"));
  if (outside)
    rule(host, "a limit's port", {},
         {is_protocol(fw::Protocol::tcp), in_ports(fw::Source::outside), go("no_fast_open")});
  // As in forward_count: what this host routes for others is not counted.
  Chain through{"fast_open_forward", {}, {}, false};
  rule(through, "published", {}, {is_published(), go("fast_open")});
  app_rules(c, through, "an app", go("fast_open_apps"));
  for (Chain* chain : {&of_app, &host, &through}) c.out.chains.push_back(std::move(*chain));
}

void fast_open_rules(const Compilation& c, Chain& chain, Hook hook) {
  if (find(c.out.chains, "no_fast_open") == nullptr) return;
  const Expr ask = jump(hook == Hook::input ? "fast_open" : "fast_open_forward");
  for (const Field option : {Field::tcp_fast_open, Field::tcp_experimental}) {
    rule(chain, "Fast Open", {}, {match(option, u8(1)), ask});
  }
  std::vector<Expr> exprs{is_protocol(fw::Protocol::tcp)};
  // On the way through the host, connections are taken up in their middle.
  if (hook == Hook::forward) exprs.push_back(match_masked(Field::tcp_flags, u8(kSyn), u8(kSyn)));
  exprs.push_back(has_payload());
  exprs.push_back(ask);
  rule(chain, "data in a SYN", {}, std::move(exprs));
}

}  // namespace chains
