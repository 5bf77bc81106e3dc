// The parts of compile(), one per concern; each adds its chains, sets and objects.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "chains/admission.hpp"
#include "chains/build.hpp"
#include "chains/compile.hpp"

namespace chains {

/// What every part sees and adds to.
struct Compilation {
  const fw::Policy& policy;
  const HostFacts& facts;
  Admission admission;
  bool isolation;  ///< apps are known, so they are kept apart
  Ruleset out;

  /// Do refusals of the limit lead to blocks?
  bool has_offenders(const fw::Limit& limit) const;

  Chain& chain(std::string name);
  Set& set(std::string name, std::vector<Field> key, const fw::Location& where = {});
  /// Of names of devices; none is made for no names.
  void device_set(std::string name, const std::vector<std::string>& names);
  void counter(std::string name, const fw::Location& where = {});
  void limit(std::string name, RateLimit rate, const fw::Location& where = {});

  /// A rule that copies packets to the policy's nflog group, if there is one: 50 a second at most
  /// of those that meet the condition.
  void log(Chain& chain, std::string id, const fw::Location& where, std::vector<Expr> condition,
           std::string prefix) const;

  /// Bridges of apps, bridges of containers (those of apps among them, unless they are routed), and
  /// bridges that have an address of an app network and yet are not of apps: their names.
  std::vector<std::string> app_bridges() const;
  std::vector<std::string> container_bridges() const;
  std::vector<std::string> other_bridges() const;

  /// Are there app networks of a family; is this one of their addresses?
  bool has_apps(fw::Family family) const;
  Expr in_app_networks(Field field) const;

  Expr admitted() const;      ///< the flow is, and is the entry's first connection
  Expr unlabelled() const;    ///< its first packet was not seen
  Expr note_seen() const;     ///< it was
  Expr note_closed() const;   ///< and it came to what is not open
  Expr note_counted() const;  ///< a flow without a handshake is admitted, and the packet goes on
  Expr not_counted() const;   ///< it is not
};

inline constexpr std::int32_t kPriority = -10;  // just before the filter of every other tool

/// One rule for each family that has app networks: packets of apps get the verdict.
void app_rules(const Compilation& c, Chain& chain, const std::string& id, const Expr& verdict);

/// The same by the source address alone, which anybody can write.
void app_address_rules(const Compilation& c, Chain& chain, const std::string& id,
                       const Expr& verdict);

/// One rule for each map of open ports, and of ports that are open for some: what the port's
/// element says, if the condition holds.
void open_port_rules(const Compilation& c, Chain& chain, const std::vector<Expr>& condition);

/// A packet that is on its way when a transaction takes effect may meet the old rules, and in them
/// the new elements: an open port then leads to a limit whose chain is still empty. It comes back
/// from there, and passes: the limit asks again when the handshake is complete.
void limit_in_the_making(const Compilation& c, Chain& chain, const std::vector<Expr>& condition);

/// Accepts neighbour discovery and multicast listener messages, without which IPv6 stops.
void neighbour_rules(Chain& chain);

/// What a new flow to an open port meets: the limit of the port, or nothing more.
Verdict open_verdict(const fw::Limit* limit, fw::Protocol protocol);

/// At ingress of a blocked source's packets: a verdict for the most of what is not among the below.
void not_needed_at_ingress(Chain& chain, const std::string& id, const std::vector<Expr>& verdict);

/// Accepts what a host needs on its own links, regardless of blocks: at ingress of a blocked
/// source's packets alone; on the input and forward hook before those ask whether the source is
/// blocked. TCP pays one test for it.
void needed_at_ingress(Chain& chain);
void before_blocks(Chain& chain);
void forwarded_before_blocks(Chain& chain);

/// Drops what is related to a known flow, as errors of ICMP are, from one app to another.
void errors_between_apps(const Compilation& c, Chain& forward);

/// The first packet came to an address and port of the host and was sent on by NAT.
Expr is_published();

/// Later packets of flows that are not the entry's first connection, and admitted: what is
/// undecided goes on in that chain.
void known_flow_rules(const Compilation& c, Chain& chain, const std::string& undecided);

/// What of a SYN could take data past the handshake: it is asked whether the port has a limit. To
/// stand in front of all that may accept a SYN.
void fast_open_rules(const Compilation& c, Chain& chain, Hook hook);

void compile_admission(Compilation& c);  ///< what was decided about a flow
void compile_fast_open(Compilation& c);  ///< before compile_base, which asks for its chains
void compile_bridges(Compilation& c);    ///< sets that identify bridges and app networks
void compile_base(Compilation& c);       ///< hooks, states, what every host needs
void compile_link(Compilation& c);       ///< what passes, regardless of blocks
void compile_blocked(Compilation& c);    ///< blocks and lists, early drop, manifest
void compile_panic(Compilation& c);      ///< what of new flows goes on in a panic
void compile_openings(Compilation& c);   ///< maps of what is open for some, a chain for each group
void compile_ports(Compilation& c);      ///< CLOUDRON: what is open
void compile_limits(Compilation& c);     ///< CLOUDRON_RATELIMIT and a few chains for each limit
void compile_apps(Compilation& c);       ///< CLOUDRON_FORWARD: published ports and isolation
void compile_rules(Compilation& c);      ///< rules.d; before those who ask for its chains
void compile_bridge(Compilation& c);     ///< the table of the family bridge

/// Jumps to the admin's rules of that chain: those that were added by hand, then those of rules.d.
void admin_rules(const Compilation& c, Chain& chain, const std::string& admin_chain);

/// Of the last two what is of apps alone.
void limits_of_apps(Compilation& c);
void addons_of_apps(Compilation& c);

}  // namespace chains
