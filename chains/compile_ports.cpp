// CLOUDRON: which new flows may reach the host.
#include <algorithm>
#include <map>

#include "chains/compile_parts.hpp"

namespace chains {

using namespace build;

namespace {

/// Open ports as one set of single ports and one of ranges for a protocol; each element counts.
void open_sets(Compilation& c, fw::Protocol protocol) {
  const std::string name = std::string("open_") + fw::to_string(protocol);
  Set singles;
  Set ranges;
  for (const auto& [range, where] : fw::all_open_ports(c.policy)) {
    if (range.protocol != protocol) continue;
    Element element{u16(range.first), range.single() ? Bytes{} : u16(range.last), {}, {}, where};
    Set& set = range.single() ? singles : ranges;
    const bool covered = std::any_of(
        set.elements.begin(), set.elements.end(),
        [&](const Element& e) { return e.key == element.key && e.key_last == element.key_last; });
    if (!covered) set.elements.push_back(std::move(element));
  }
  auto add = [&](Set& filled, const std::string& set_name, bool interval) {
    if (filled.elements.empty()) return;
    Set& set = c.set(set_name, {Field::ct_original_dport});
    set.interval = interval;
    set.counter = true;
    set.elements = std::move(filled.elements);
  };
  // Overlapping ranges become one: the kernel's interval sets are disjoint.
  sort_elements(ranges);
  std::vector<Element> merged;
  for (Element& element : ranges.elements) {
    if (!merged.empty() && element.key <= merged.back().key_last) {
      merged.back().key_last = std::max(merged.back().key_last, element.key_last);
    } else {
      merged.push_back(std::move(element));
    }
  }
  ranges.elements = std::move(merged);
  add(singles, name, false);
  add(ranges, name + "_ranges", true);
}

void icmp(Compilation& c, Chain& chain) {
  constexpr RateLimit kEcho{50, Unit::second, 100};
  c.limit("echo", kEcho);
  rule(chain, "ping", {},
       {is_family(fw::Family::ipv4), match(Field::l4proto, u8(1)), match(Field::icmp_type, u8(8)),
        use_limit("echo"), accept()});
  rule(chain, "ping", {},
       {is_family(fw::Family::ipv6), match(Field::l4proto, u8(58)),
        match(Field::icmpv6_type, u8(128)), use_limit("echo"), accept()});
  auto types = [&c](const char* name, std::initializer_list<std::uint8_t> values) {
    Set& set = c.set(name, {Field::icmpv6_type});
    for (std::uint8_t value : values) set.elements.push_back({u8(value), {}, {}, {}, {}});
  };
  types("nd_types", {133, 134, 135, 136});   // RFC 4861
  types("mld_types", {130, 131, 132, 143});  // RFC 3810
  const Bytes link_local = ip_bytes({fw::Family::ipv6, fw::U128{0xfe80} << 112});
  const Expr from_link =
      match_masked(Field::ip6_saddr, prefix_mask(fw::Family::ipv6, 10), link_local);
  rule(chain, "neighbour discovery", {},
       {is_family(fw::Family::ipv6), match(Field::ip6_hoplimit, u8(255)),
        match(Field::l4proto, u8(58)), in_set(Field::icmpv6_type, "nd_types"), accept()});
  rule(chain, "multicast listeners", {},
       {is_family(fw::Family::ipv6), from_link, match(Field::l4proto, u8(58)),
        in_set(Field::icmpv6_type, "mld_types"), accept()});
  rule(chain, "DHCPv6", {},
       {is_family(fw::Family::ipv6), from_link, is_protocol(fw::Protocol::udp),
        match(Field::udp_dport, u16(546)), accept()});
}

}  // namespace

void compile_ports(Compilation& c) {
  for (fw::Protocol protocol : kProtocols) open_sets(c, protocol);
  c.counter("closed");
  for (const char* name : {"CLOUDRON_BEFORE", "CLOUDRON_AFTER"}) c.chain(name).admin = true;

  Chain chain{"CLOUDRON", {}, {}, false};
  rule(chain, "admin's rules", {}, {jump("CLOUDRON_BEFORE")});
  for (fw::Protocol protocol : kProtocols) {
    const std::string name = std::string("open_") + fw::to_string(protocol);
    for (const std::string& set : {name, name + "_ranges"}) {
      if (find(c.out.sets, set) == nullptr) continue;
      rule(chain, "open port", {},
           {is_protocol(protocol), in_set(Field::ct_original_dport, set), accept()});
    }
  }
  icmp(c, chain);
  if (!c.policy.app_networks.empty()) rule(chain, "apps", {}, {jump("apps_to_host")});
  rule(chain, "admin's rules", {}, {jump("CLOUDRON_AFTER")});
  if (c.policy.nflog_group != 0) {
    rule(chain, "closed port", {},
         {RateLimit{50, Unit::second, 100}, Log{static_cast<std::uint16_t>(c.policy.nflog_group)}});
  }
  rule(chain, "closed port", {}, {count("closed"), drop()});
  c.out.chains.push_back(std::move(chain));
}

}  // namespace chains
