// The few rules that stand in for our tables after another program has removed them.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "chains/compile_stand_in.hpp"

#include <algorithm>

#include "chains/compile_parts.hpp"

namespace chains {

using namespace build;

namespace {

constexpr std::uint32_t kConfirmed = 1u << 3;             // IPS_CONFIRMED
constexpr std::int32_t kStandInPriority = kPriority + 1;  // behind the hooks that come back

std::string open_set(fw::Protocol protocol) {
  return std::string("stand_in_") + fw::to_string(protocol);
}

/// Disjoint, ascending.
Set open_ports(const std::vector<fw::Located<fw::PortRange>>& open, fw::Protocol protocol) {
  std::vector<fw::PortRange> ranges;
  for (const auto& port : open) {
    if (port.value.protocol == protocol) ranges.push_back(port.value);
  }
  std::ranges::sort(ranges, {}, &fw::PortRange::first);
  Set set;
  set.name = open_set(protocol);
  set.key = {Field::th_dport};
  set.interval = true;
  std::uint32_t next = 0;  // the first port that is in none yet
  for (const fw::PortRange& range : ranges) {
    const std::uint32_t first = std::max<std::uint32_t>(range.first, next);
    if (first > range.last) continue;
    Element element;
    element.key = u16(static_cast<std::uint16_t>(first));
    element.key_last = u16(range.last);
    set.elements.push_back(std::move(element));
    next = range.last + 1u;
  }
  return set;
}

}  // namespace

Ruleset compile_stand_in(const fw::Policy& policy, StandInOpen open) {
  const HostFacts nothing;
  Compilation c{policy, nothing, Admission(policy.label_bit), false, {}};
  const Bytes seen = c.admission.seen();
  const Expr let_in = match_masked(Field::ct_label, seen | c.admission.closed(), seen);
  const auto passes = [&](Chain& chain) {
    rule(chain, "of a known flow", {}, {in_state(kStateEstablished | kStateRelated), accept()});
    rule(chain, "let in by our own table", {}, {let_in, accept()});
    // Nothing can be noted of these.
    rule(chain, "untracked", {}, {in_state(kStateUntracked), accept()});
  };
  Chain& input = c.chain("input");
  input.base = BaseHook{Hook::input, kStandInPriority, VerdictKind::drop, {}};
  passes(input);
  rule(input, "loopback", {}, {match(Field::iif, u32(1)), accept()});
  before_blocks(input);
  if (open == StandInOpen::open_ports) {
    for (const fw::Protocol protocol : kProtocols) {
      Set set = open_ports(all_open_ports(policy), protocol);
      if (set.elements.empty()) continue;
      rule(input, "open", {}, {is_protocol(protocol), in_set(Field::th_dport, set.name), accept()});
      c.out.sets.push_back(std::move(set));
    }
  }
  Chain& forward = c.chain("forward");
  forward.base = BaseHook{Hook::forward, kStandInPriority, VerdictKind::accept, {}};
  passes(forward);
  rule(forward, "published", {}, {is_published(), drop()});
  compile_link(c);
  for (Set& set : c.out.sets) set.table = Table::stand_in;
  for (Chain& chain : c.out.chains) chain.table = Table::stand_in;
  return std::move(c.out);
}

}  // namespace chains
