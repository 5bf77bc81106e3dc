// The chain `panic`: of first packets, only SSH from trusted networks and the callers passes.
//
// It stands in front of all that asks whether a first packet may pass, and only lets through to
// that. Flows that are known, neighbour discovery and loopback do not come here.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "chains/compile_parts.hpp"

namespace chains {

using namespace build;

namespace {

constexpr const char* kPorts = "panic_ssh";

std::string sources(fw::Family f) { return std::string("panic_from") + digit(f); }

void ssh_ports(Compilation& c) {
  Set& set = c.set(kPorts, {Field::ct_original_dport});
  set.interval = true;
  for (const fw::PortRange& range : fw::ssh_ports(c.policy)) {
    if (range.protocol != fw::Protocol::tcp) continue;
    set.elements.push_back({u16(range.first), u16(range.last), {}, {}, {}});
  }
}

void ssh_sources(Compilation& c) {
  for (fw::Family f : kFamilies) {
    std::vector<fw::IpRange> ranges;
    for (const auto& [range, where] : c.policy.trusted) {
      if (range.family == f) ranges.push_back(range);
    }
    for (fw::Ip caller : c.facts.panic->callers) {
      if (caller.family == f) ranges.push_back({f, caller.bits, caller.bits});
    }
    Set& set = c.set(sources(f), {saddr(f)});
    set.interval = true;
    for (const fw::IpRange& range : fw::merged(std::move(ranges))) {
      set.elements.push_back({ip_bytes({f, range.first}), ip_bytes({f, range.last}), {}, {}, {}});
    }
  }
}

}  // namespace

void compile_panic(Compilation& c) {
  if (!c.facts.panic) return;
  c.counter("panic");
  ssh_ports(c);
  ssh_sources(c);
  Chain& chain = c.chain("panic");
  for (fw::Family f : kFamilies) {
    rule(chain, "SSH from who may", {},
         {is_family(f), is_protocol(fw::Protocol::tcp), in_set(Field::ct_original_dport, kPorts),
          in_set(saddr(f), sources(f)), ret()});
  }
  rule(chain, "anything else", {}, {count("panic"), c.note_closed(), drop()});
}

}  // namespace chains
