// Rulesets as nft text.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "chains/text.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <utility>

#include <fmt/format.h>

#include "fw/base/address.hpp"

namespace chains {
namespace {

using Names = std::pair<std::uint32_t, const char*>;
constexpr std::array kStates{Names{1, "invalid"}, Names{2, "established"}, Names{4, "related"},
                             Names{8, "new"}, Names{64, "untracked"}};
constexpr std::array kTcpFlags{Names{1, "fin"}, Names{2, "syn"}, Names{4, "rst"}, Names{16, "ack"}};
constexpr std::array kStatus{Names{16, "snat"}, Names{32, "dnat"}};
constexpr std::array kProtocols{Names{1, "icmp"}, Names{6, "tcp"}, Names{17, "udp"},
                                Names{58, "icmpv6"}};
constexpr std::array kEtherTypes{Names{0x0800, "ip"}, Names{0x0806, "arp"}, Names{0x86dd, "ip6"}};
constexpr std::array kIcmpTypes{Names{8, "echo-request"}};
constexpr std::array kIcmpv6Types{
    Names{128, "echo-request"},        Names{130, "mld-listener-query"},
    Names{131, "mld-listener-report"}, Names{132, "mld-listener-done"},
    Names{133, "nd-router-solicit"},   Names{134, "nd-router-advert"},
    Names{135, "nd-neighbor-solicit"}, Names{136, "nd-neighbor-advert"},
    Names{137, "nd-redirect"},         Names{143, "mld2-listener-report"}};

template <std::size_t N>
std::string name_of(const std::array<Names, N>& names, std::uint32_t value) {
  for (const auto& [number, name] : names) {
    if (number == value) return name;
  }
  return std::to_string(value);
}

template <std::size_t N>
std::string flags_of(const std::array<Names, N>& names, std::uint32_t value) {
  std::string text;
  std::uint32_t left = value;
  for (const auto& [number, name] : names) {
    if ((left & number) == 0) continue;
    if (!text.empty()) text += '|';
    text += name;
    left &= ~number;
  }
  if (left != 0 || text.empty()) return fmt::format("{:#x}", value);
  return text.find('|') == std::string::npos ? text : "(" + text + ")";
}

std::uint32_t host_u32(const Bytes& value) {
  std::uint32_t number = 0;
  std::copy_n(value.begin(), std::min<std::size_t>(value.size(), sizeof number),
              reinterpret_cast<std::uint8_t*>(&number));
  return number;
}

/// Of a stranger's rule or element it may be shorter than an address: the rest counts as zero.
fw::Ip address_of(fw::Family family, Bytes value) {
  value.resize(16);
  return fw::ip_from_bytes(family, value.data());
}

std::uint32_t big_endian(const Bytes& value) {
  std::uint32_t number = 0;
  for (std::uint8_t byte : value) number = number << 8 | byte;
  return number;
}

/// As nft prints it, from the system's table of protocols.
std::string protocol_name(std::uint8_t number) { return name_of(kProtocols, number); }

/// "eth0", or of a name's beginning "wg*".
std::string interface_text(const Bytes& value) {
  const auto end = std::find(value.begin(), value.end(), 0);
  return fmt::format("\"{}{}\"", std::string(value.begin(), end), end == value.end() ? "*" : "");
}

/// The numbers of the bits that are set: "(104|105)".
std::string bits_text(const Bytes& value) {
  std::string text;
  int count = 0;
  for (std::size_t bit = 0; bit < value.size() * 8; ++bit) {
    if ((value[bit / 8] >> bit % 8 & 1) == 0) continue;
    if (count++ > 0) text += '|';
    text += std::to_string(bit);
  }
  return count > 1 ? "(" + text + ")" : text;
}

std::string value_text(Field field, const Bytes& value) {
  switch (field) {
    case Field::nfproto:
      return value == Bytes{2} ? "ipv4" : "ipv6";
    case Field::l4proto:
      return protocol_name(static_cast<std::uint8_t>(host_u32(value)));
    case Field::iif:
    case Field::oif:
      return host_u32(value) == 1 ? "\"lo\"" : std::to_string(host_u32(value));
    case Field::ip_saddr:
    case Field::ip_daddr:
    case Field::arp_saddr_ip:
      return fw::to_string(address_of(fw::Family::ipv4, value));
    case Field::ip6_saddr:
    case Field::ip6_daddr:
      return fw::to_string(address_of(fw::Family::ipv6, value));
    case Field::tcp_flags:
      return flags_of(kTcpFlags, host_u32(value));
    case Field::udp_dport:
    case Field::th_dport:
    case Field::th_sport:
    case Field::ct_original_dport:
      return std::to_string(big_endian(value));
    case Field::icmp_type:
      return name_of(kIcmpTypes, host_u32(value));
    case Field::icmpv6_type:
      return name_of(kIcmpv6Types, host_u32(value));
    case Field::ct_state:
      return name_of(kStates, host_u32(value));
    case Field::ct_status:
      return flags_of(kStatus, host_u32(value));
    case Field::ct_direction:
      return value == Bytes{0} ? "original" : "reply";
    case Field::ct_mark:
    case Field::mark:
      return fmt::format("{:#010x}", host_u32(value));
    case Field::iifname:
    case Field::oifname:
    case Field::iifkind:
    case Field::oifkind:
      return interface_text(value);
    case Field::route_back:
    case Field::tcp_fast_open:
    case Field::tcp_experimental:
      return host_u32(value) == 0 ? "missing" : "exists";
    case Field::tcp_payload:
      return fmt::format("{:#x}", host_u32(value));
    case Field::ct_label:
      return bits_text(value);
    case Field::ct_id:
      return std::to_string(big_endian(value));
    case Field::ip6_hoplimit:
      return std::to_string(host_u32(value));
    case Field::ether_type:
      return name_of(kEtherTypes, big_endian(value));
    case Field::ether_saddr:
    case Field::ether_daddr:
      return fmt::format("{:02x}", fmt::join(value, ":"));
    case Field::nd_target:  // a raw number to nft
      return fmt::format("0x{:02x}", fmt::join(value, ""));
  }
  return "?";
}

std::string key_text(const Key& key) {
  std::string text;
  for (const KeyPart& part : key) {
    if (!text.empty()) text += " . ";
    text += info(part.field).text;
    if (!part.mask.empty()) text += " & " + value_text(part.field, part.mask);
  }
  return text;
}

const char* unit_text(Unit unit) {
  switch (unit) {
    case Unit::second:
      return "second";
    case Unit::minute:
      return "minute";
    case Unit::hour:
      return "hour";
    case Unit::day:
      return "day";
    case Unit::week:
      return "week";
  }
  return "?";
}

std::string verdict_text(const Verdict& verdict) {
  switch (verdict.kind) {
    case VerdictKind::drop:
      return "drop";
    case VerdictKind::accept:
      return "accept";
    case VerdictKind::return_:
      return "return";
    case VerdictKind::jump:
      return "jump " + verdict.chain;
    case VerdictKind::go_to:
      return "goto " + verdict.chain;
  }
  return "?";
}

std::string limit_text(const RateLimit& limit) {
  return fmt::format("limit rate {}/{} burst {} packets", limit.count, unit_text(limit.unit),
                     limit.burst);
}

const char* object_text(ObjectKind kind) {
  return kind == ObjectKind::counter ? "counter" : "limit";
}

bool is_address(Field field) {
  return field == Field::ip_saddr || field == Field::ip_daddr || field == Field::ip6_saddr ||
         field == Field::ip6_daddr;
}

/// "172.18.0.0/16": nft makes its shortest code of this form, and so do we.
std::string network_text(const Match& e) {
  int length = 0;
  for (std::uint8_t byte : e.what.mask) length += std::popcount(byte);
  return fmt::format("{}/{}", value_text(e.what.field, e.value), length);
}

struct ExprText {
  std::string operator()(const Match& e) const {
    std::string text = info(e.what.field).text;
    if (is_address(e.what.field) && !e.what.mask.empty()) {
      return text + (e.op == Compare::equal ? " " : " != ") + network_text(e);
    }
    const bool is_flags = e.what.field == Field::ct_status || e.what.field == Field::ct_state;
    if (is_flags && e.op == Compare::not_equal && host_u32(e.value) == 0) {
      return text + " " + value_text(e.what.field, e.what.mask);
    }
    if (!e.what.mask.empty()) text += " & " + value_text(e.what.field, e.what.mask);
    if (e.op == Compare::not_equal) text += " !=";
    if (e.op == Compare::equal && !e.what.mask.empty()) text += " ==";
    return text + " " +
           (e.what.field == Field::tcp_flags && host_u32(e.value) == 0
                ? "0"
                : value_text(e.what.field, e.value));
  }
  std::string operator()(const Lookup& e) const {
    return key_text(e.key) + (e.verdict ? " vmap @" : e.inverted ? " != @" : " @") + e.set;
  }
  std::string operator()(const DynSet& e) const {
    std::string text = e.op == DynOp::add      ? "add @"
                       : e.op == DynOp::update ? "update @"
                                               : "delete @";
    text += e.set + " { " + key_text(e.key);
    struct Visitor {
      std::string operator()(std::monostate) const { return ""; }
      std::string operator()(const RateLimit& limit) const { return " " + limit_text(limit); }
      std::string operator()(const ConnLimit& most) const {
        return fmt::format(" ct count over {}", most.count);
      }
    };
    return text + std::visit(Visitor{}, e.state) + " }";
  }
  std::string operator()(const RateLimit& e) const { return limit_text(e); }
  std::string operator()(const ObjectRef& e) const {
    return fmt::format("{} name \"{}\"", object_text(e.kind), e.name);
  }
  std::string operator()(const ObjectMap& e) const {
    return fmt::format("{} name {} map @{}", object_text(e.kind), key_text(e.key), e.map);
  }
  std::string operator()(const CtLabelSet& e) const { return "ct label set " + bits_text(e.bits); }
  std::string operator()(const Log& e) const {
    return fmt::format("log prefix \"{}\" group {}", e.prefix, e.group);
  }
  std::string operator()(const StripTcpOption& e) const {
    return e.kind == kTcpFastOpen ? "reset tcp option fastopen"
                                  : fmt::format("reset tcp option {}", e.kind);
  }
  std::string operator()(const RejectTcpReset&) const { return "reject with tcp reset"; }
  std::string operator()(const KernelLog& e) const {
    constexpr const char* kWords[] = {"emerg", "alert",  "crit", "err",
                                      "warn",  "notice", "info", "debug"};
    const std::string prefix = e.prefix.empty() ? "" : fmt::format(" prefix \"{}\"", e.prefix);
    return fmt::format("log{} level {}", prefix, kWords[std::min<std::uint32_t>(e.level, 7)]);
  }
  std::string operator()(const Count&) const { return "counter"; }
  std::string operator()(const Reject&) const { return "reject"; }
  std::string operator()(const Verdict& e) const { return verdict_text(e); }
  std::string operator()(const Foreign& e) const { return "[" + e.text + "]"; }
};

std::vector<Field> fields_of(const Expr& expr) {
  struct Visitor {
    Key operator()(const Match& e) const { return {e.what}; }
    Key operator()(const Lookup& e) const { return e.key; }
    Key operator()(const DynSet& e) const { return e.key; }
    Key operator()(const RateLimit&) const { return {}; }
    Key operator()(const ObjectRef&) const { return {}; }
    Key operator()(const ObjectMap& e) const { return e.key; }
    Key operator()(const CtLabelSet&) const { return {}; }
    Key operator()(const Log&) const { return {}; }
    Key operator()(const StripTcpOption&) const { return {}; }
    Key operator()(const RejectTcpReset&) const { return {}; }
    Key operator()(const KernelLog&) const { return {}; }
    Key operator()(const Count&) const { return {}; }
    Key operator()(const Reject&) const { return {}; }
    Key operator()(const Verdict&) const { return {}; }
    Key operator()(const Foreign&) const { return {}; }
  };
  std::vector<Field> fields;
  for (const KeyPart& part : std::visit(Visitor{}, expr)) fields.push_back(part.field);
  return fields;
}

/// nft writes "ip saddr" alone and adds the protocol test itself; so do we.
bool implies(Field later, const Match& dependency) {
  const Bytes& value = dependency.value;
  if (dependency.what.field == Field::nfproto) {
    if (value == Bytes{2}) {
      return later == Field::ip_saddr || later == Field::ip_daddr || later == Field::icmp_type;
    }
    return later == Field::ip6_saddr || later == Field::ip6_daddr || later == Field::ip6_hoplimit ||
           later == Field::icmpv6_type;
  }
  if (dependency.what.field != Field::l4proto) return false;
  switch (later) {
    case Field::tcp_flags:
      return value == Bytes{6};
    case Field::udp_dport:
      return value == Bytes{17};
    case Field::icmp_type:
      return value == Bytes{1};
    case Field::icmpv6_type:
      return value == Bytes{58};
    default:
      return false;
  }
}

bool hidden(const std::vector<Expr>& exprs, std::size_t index) {
  const auto* match = std::get_if<Match>(&exprs[index]);
  if (match == nullptr || match->op != Compare::equal) return false;
  for (std::size_t i = index + 1; i < exprs.size(); ++i) {
    for (Field later : fields_of(exprs[i])) {
      if (implies(later, *match)) return true;
    }
  }
  return false;
}

std::string part_text(Field field, const Bytes& first, const Bytes& last) {
  if (last.empty() || last == first) return value_text(field, first);
  const auto length = info(field).length;
  if (field == Field::ip_saddr || field == Field::ip6_saddr) {
    const auto family = length == 4 ? fw::Family::ipv4 : fw::Family::ipv6;
    return fw::to_string(
        fw::IpRange{family, address_of(family, first).bits, address_of(family, last).bits});
  }
  return value_text(field, first) + "-" + value_text(field, last);
}

std::string set_flags(const Set& set) {
  std::string flags;
  auto add = [&flags](bool on, const char* name) {
    if (!on) return;
    if (!flags.empty()) flags += ',';
    flags += name;
  };
  add(set.interval, "interval");
  add(set.dynamic, "dynamic");
  add(set.timeout, "timeout");
  return flags;
}

/// "type ipv4_addr"; of a field that nft has no name for "typeof iif . @th,64,128".
std::string type_of(const Set& set) {
  const bool raw = std::any_of(set.key.begin(), set.key.end(), [](Field field) {
    return field == Field::nd_target || field == Field::ct_id;
  });
  std::string type;
  for (Field field : set.key) {
    if (!type.empty()) type += " . ";
    type += raw ? info(field).text : info(field).type_text;
  }
  return (raw ? "typeof " : "type ") + type;
}

/// The lines of a set's definition, each ended by `end`.
std::string set_lines(const Set& set, const std::string& indent, const char* end) {
  std::string type = type_of(set);
  if (std::holds_alternative<Verdict>(set.data)) type += " : verdict";
  if (const auto* kind = std::get_if<ObjectKind>(&set.data)) {
    type += std::string(" : ") + object_text(*kind);
  }
  std::string text;
  auto line = [&](const std::string& content) { text += indent + content + end; };
  line(type);
  if (set.size != 0) line(fmt::format("size {}", set.size));
  if (const std::string flags = set_flags(set); !flags.empty()) line("flags " + flags);
  if (set.counter) line("counter");
  if (set.timeout_default.count() != 0) line("timeout " + duration_text(set.timeout_default));
  if (set.gc_interval.count() != 0) line("gc-interval " + duration_text(set.gc_interval));
  if (!set.comment.empty()) line("comment \"" + set.comment + "\"");
  return text;
}

const char* hook_text(Hook hook) {
  switch (hook) {
    case Hook::ingress:
      return "ingress";
    case Hook::prerouting:
      return "prerouting";
    case Hook::input:
      return "input";
    case Hook::forward:
      return "forward";
    case Hook::postrouting:
      return "postrouting";
    case Hook::output:
      return "output";
  }
  return "?";
}

}  // namespace

std::string duration_text(std::chrono::milliseconds duration) {
  auto left = duration.count();
  std::string text;
  for (const auto& [unit, name] :
       {std::pair{86'400'000L, "d"}, {3'600'000L, "h"}, {60'000L, "m"}, {1000L, "s"}, {1L, "ms"}}) {
    if (left < unit) continue;
    text += std::to_string(left / unit) + name;
    left %= unit;
  }
  return text.empty() ? "0s" : text;
}

std::string to_text(const Expr& expr) { return std::visit(ExprText{}, expr); }

std::string to_text(const Rule& rule) {
  std::string text;
  for (std::size_t i = 0; i < rule.exprs.size(); ++i) {
    if (hidden(rule.exprs, i)) continue;
    if (!text.empty()) text += ' ';
    text += to_text(rule.exprs[i]);
  }
  return text;
}

std::string to_text(const Set& set, const Element& element) {
  std::string text;
  std::size_t at = 0;
  auto slice = [](const Bytes& bytes, std::size_t from, std::size_t length) {
    if (from + length > bytes.size()) return Bytes{};
    return Bytes(bytes.begin() + static_cast<std::ptrdiff_t>(from),
                 bytes.begin() + static_cast<std::ptrdiff_t>(from + length));
  };
  for (Field field : set.key) {
    const std::size_t length = info(field).length;
    if (at != 0) text += " . ";
    text += part_text(field, slice(element.key, at, length), slice(element.key_last, at, length));
    at += (length + 3) / 4 * 4;
  }
  if (!element.comment.empty()) text += " comment \"" + element.comment + "\"";
  if (const auto* verdict = std::get_if<Verdict>(&element.data)) {
    text += " : " + verdict_text(*verdict);
  }
  if (const auto* name = std::get_if<std::string>(&element.data)) text += " : \"" + *name + "\"";
  return text;
}

std::string to_text(const Set& set) {
  return fmt::format("{} {} {{ {}}}", set.is_map() ? "map" : "set", set.name,
                     set_lines(set, "", "; "));
}

std::string to_text(const Object& object) {
  if (!object.limit) return "counter " + object.name;
  const std::string comment = object.comment.empty() ? "" : "; comment \"" + object.comment + "\"";
  return "limit " + object.name + " { " + limit_text(*object.limit).substr(6) + comment + " }";
}

std::string to_text(const BaseHook& base) {
  std::string devices;
  if (base.hook == Hook::ingress) {
    devices = " devices = { ";
    for (std::size_t i = 0; i < base.devices.size(); ++i) {
      if (i != 0) devices += ", ";
      devices += "\"" + base.devices[i] + "\"";
    }
    devices += " }";
  }
  return fmt::format("type filter hook {}{} priority {}; policy {};", hook_text(base.hook), devices,
                     base.priority, base.policy == VerdictKind::drop ? "drop" : "accept");
}

namespace {

void write_elements(const Set& set, const ManagedElements& managed,
                    const std::function<void(std::string_view)>& write) {
  bool first = true;
  const auto element = [&](const std::string& text) {
    write(first ? "\t\telements = { " : ",\n\t\t\t     ");
    write(text);
    first = false;
  };
  for (const Element& e : set.elements) element(to_text(set, e));
  if (set.content == Content::managed && managed) managed(set, element);
  if (!first) write(" }\n");
}

}  // namespace

namespace {

void write_table(const Ruleset& ruleset, Table table, const ManagedElements& managed,
                 const std::function<void(std::string_view)>& write) {
  write(fmt::format("{0}\ndelete {0}\n{0} {{\n", name_of(table)));
  for (const Object& object : ruleset.objects) {
    if (object.table != table) continue;
    std::string body = object.limit ? "\t\t" + limit_text(*object.limit).substr(6) + "\n" : "";
    if (!object.comment.empty()) body += "\t\tcomment \"" + object.comment + "\"\n";
    write(
        fmt::format("\t{} {} {{\n{}\t}}\n", object.limit ? "limit" : "counter", object.name, body));
  }
  for (const Chain& chain : ruleset.chains) {  // first of all, for maps lead to them
    if (chain.table != table) continue;
    const std::string base = chain.base ? "\t\t" + to_text(*chain.base) + "\n" : "";
    write(fmt::format("\tchain {} {{\n{}\t}}\n", chain.name, base));
  }
  for (const Set& set : ruleset.sets) {
    if (set.table != table) continue;
    write(fmt::format("\t{} {} {{\n{}", set.is_map() ? "map" : "set", set.name,
                      set_lines(set, "\t\t", "\n")));
    write_elements(set, managed, write);
    write("\t}\n");
  }
  for (const Chain& chain : ruleset.chains) {
    if (chain.table != table || chain.rules.empty()) continue;
    write(fmt::format("\tchain {} {{\n", chain.name));
    for (const Rule& rule : chain.rules) {
      const std::string comment = rule.id.empty() ? "" : " comment \"" + rule.id + "\"";
      write("\t\t" + to_text(rule) + comment + "\n");
    }
    write("\t}\n");
  }
  write("}\n");
}

}  // namespace

void write_nft(const Ruleset& ruleset, const ManagedElements& managed,
               const std::function<void(std::string_view)>& write) {
  write("# Made by cloudron-fw; for reading and for nft -f.\n");
  write_table(ruleset, Table::inet, managed, write);
  if (ruleset.bridge) write_table(ruleset, Table::bridge, managed, write);
}

}  // namespace chains
