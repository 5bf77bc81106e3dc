// The few rules that are in force between the loss of the table and its repair.
#include "chains/compile_shut.hpp"

#include <algorithm>

#include "chains/compile_parts.hpp"

namespace chains {

using namespace build;

namespace {

constexpr std::int32_t kShutPriority = -10;  // of the hooks that come back

std::string open_set(fw::Protocol protocol) {
  return std::string("shut_") + fw::to_string(protocol);
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

Ruleset compile_shut(const fw::Policy& policy, ShutBut but) {
  const Surroundings nothing;
  Compilation c{policy, nothing, Admission(policy.label_bit), false, {}};
  const auto open = but == ShutBut::open_ports ? all_open_ports(policy)
                                               : std::vector<fw::Located<fw::PortRange>>{};
  Chain& input = c.chain("input");
  input.base = BaseHook{Hook::input, kShutPriority, VerdictKind::drop, {}};
  rule(input, "of a known flow", {}, {in_state(kStateEstablished | kStateRelated), accept()});
  rule(input, "loopback", {}, {match(Field::iif, u32(1)), accept()});
  for (const int type : {133, 134, 135, 136}) {  // RFC 4861
    rule(input, "neighbour discovery", {},
         {is_family(fw::Family::ipv6), match(Field::ip6_hoplimit, u8(255)),
          match(Field::l4proto, u8(58)),
          match(Field::icmpv6_type, u8(static_cast<std::uint8_t>(type))), accept()});
  }
  for (const fw::Protocol protocol : kProtocols) {
    Set set = open_ports(open, protocol);
    if (set.elements.empty()) continue;
    rule(input, "open", {}, {is_protocol(protocol), in_set(Field::th_dport, set.name), accept()});
    c.out.sets.push_back(std::move(set));
  }
  Chain& forward = c.chain("forward");
  forward.base = BaseHook{Hook::forward, kShutPriority, VerdictKind::accept, {}};
  rule(forward, "of a known flow", {}, {in_state(kStateEstablished | kStateRelated), accept()});
  rule(forward, "published", {}, {is_published(), drop()});
  return std::move(c.out);
}

}  // namespace chains
