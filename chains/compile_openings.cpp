// [[open]]: ports and IP protocols that are open for some sources.
//
// Verdict maps, like those of ports that are open for everybody, lead from the port to a chain that
// asks for the interface and the source. Ports that the same tables open, and the same limit
// counts, share a chain. Who is not meant comes back from it, and the port is as closed as any
// other.
// SPDX-License-Identifier: GPL-2.0-or-later
#include <array>
#include <bit>
#include <map>
#include <utility>

#include <fmt/format.h>

#include "chains/compile_parts.hpp"
#include "fw/base/limits.hpp"

namespace chains {

using namespace build;

namespace {

using Openings = std::uint64_t;  ///< a set of [[open]] tables
static_assert(fw::kOpeningsMax < 64);
constexpr std::size_t kPortNumbers = 65'536;

/// What decides where a port leads.
struct Meant {
  Openings openings = 0;
  const fw::Limit* limit = nullptr;
  fw::Protocol protocol = fw::Protocol::tcp;  ///< decides how a limit is entered

  bool operator==(const Meant&) const = default;
  auto operator<=>(const Meant&) const = default;
};

std::vector<Meant> meant_by_port(const std::vector<fw::Opening>& openings,
                                 const std::vector<fw::Limit>& limits, fw::Protocol protocol) {
  std::vector<Meant> ports(kPortNumbers, {0, nullptr, protocol});
  const auto each = [&](const std::vector<fw::PortRange>& ranges, const auto& note) {
    for (const fw::PortRange& range : ranges) {
      if (range.protocol != protocol) continue;
      for (std::uint32_t port = range.first; port <= range.last; ++port) note(ports[port]);
    }
  };
  for (std::size_t i = 0; i < openings.size(); ++i) {
    each(openings[i].ports, [i](Meant& meant) { meant.openings |= Openings{1} << i; });
  }
  for (const fw::Limit& limit : limits) {
    if (limit.from != fw::Source::outside) continue;
    each(limit.ports, [&limit](Meant& meant) { meant.limit = &limit; });
  }
  return ports;
}

class Compiling {
 public:
  explicit Compiling(Compilation& c) : c_(c), openings_(fw::all_openings(c.policy)) {}

  void all() {
    if (openings_.empty()) return;
    list_sets();
    for (std::size_t i = 0; i < openings_.size(); ++i) source_sets(i);
    for (fw::Protocol protocol : kProtocols) port_maps(protocol);
    protocol_map();
  }

 private:
  std::string sources(std::size_t opening, fw::Family f) const {
    return fmt::format("open_from{}_{}", digit(f), opening + 1);
  }
  std::vector<fw::IpRange> networks(std::size_t opening, fw::Family f) const {
    std::vector<fw::IpRange> out;
    for (const auto& [range, where] : openings_[opening].from) {
      if (range.family == f) out.push_back(range);
    }
    return fw::merged(std::move(out));
  }
  static bool is_compared(const std::vector<fw::IpRange>& networks) {
    return networks.size() == 1 && is_network(networks.front());
  }

  void source_sets(std::size_t opening) {
    for (fw::Family f : kFamilies) {
      const auto ranges = networks(opening, f);
      if (ranges.empty() || is_compared(ranges)) continue;
      Set& set = c_.set(sources(opening, f), {saddr(f)}, openings_[opening].where);
      set.interval = true;
      for (const fw::IpRange& range : ranges) {
        set.elements.push_back(
            {ip_bytes({f, range.first}), ip_bytes({f, range.last}), {}, {}, set.where});
      }
    }
  }

  void list_sets() {
    for (const std::string& name : fw::source_lists(c_.policy)) {
      const fw::List* list = find(c_.policy.lists, name);
      for (fw::Family f : kFamilies) {
        Set& set = c_.set(source_set(f, name), {saddr(f)}, list ? list->where : fw::Location{});
        set.content = Content::managed;
        set.interval = true;
      }
    }
  }

  /// The tests of one table's sources: one for each family and list that it names, or none at all.
  std::vector<std::vector<Expr>> source_tests(std::size_t opening) const {
    std::vector<std::vector<Expr>> tests;
    for (fw::Family f : kFamilies) {
      const auto ranges = networks(opening, f);
      if (ranges.empty()) continue;
      tests.push_back({is_family(f), is_compared(ranges) ? in_network(saddr(f), ranges.front())
                                                         : in_set(saddr(f), sources(opening, f))});
    }
    for (const auto& [name, where] : openings_[opening].lists) {
      for (fw::Family f : kFamilies)
        tests.push_back({is_family(f), in_set(saddr(f), source_set(f, name))});
    }
    if (tests.empty()) tests.emplace_back();
    return tests;
  }

  std::vector<std::vector<Expr>> interface_tests(std::size_t opening) const {
    std::vector<std::vector<Expr>> tests;
    for (const std::string& name : openings_[opening].interfaces) {
      tests.push_back({match(Field::iifname, interface_bytes(name))});
    }
    if (tests.empty()) tests.emplace_back();
    return tests;
  }

  /// The chain for those ports, made when it is first asked for.
  const std::string& chain_of(const Meant& meant) {
    const auto [it, fresh] = chains_.try_emplace(meant);
    if (!fresh) return it->second;
    it->second = fmt::format("open.{}", chains_.size());
    Chain chain{it->second, {}, {}, false};
    for (std::size_t i = 0; i < openings_.size(); ++i) {
      if ((meant.openings >> i & 1) != 0) rules_of(i, meant, chain);
    }
    c_.out.chains.push_back(std::move(chain));
    return it->second;
  }

  void rules_of(std::size_t opening, const Meant& meant, Chain& chain) const {
    const fw::Location& where = openings_[opening].where;
    const Verdict verdict = open_verdict(meant.limit, meant.protocol);
    for (const auto& interface : interface_tests(opening)) {
      for (const auto& source : source_tests(opening)) {
        std::vector<Expr> exprs = interface;
        exprs.insert(exprs.end(), source.begin(), source.end());
        if (verdict.kind != VerdictKind::accept) {
          std::vector<Expr> limited = exprs;
          limited.push_back(verdict);
          rule(chain, "limit of the port", where, std::move(limited));
        }
        // Behind a limit only while that is in the making.
        exprs.push_back(accept());
        rule(chain, "open for some", where, std::move(exprs));
      }
    }
  }

  Set& map(std::string name, Field key, bool ranges) {
    Set& map = c_.set(std::move(name), {key});
    map.data = Verdict{};
    map.interval = ranges;
    map.counter = true;
    return map;
  }

  void port_maps(fw::Protocol protocol) {
    const auto ports = meant_by_port(openings_, c_.policy.limits, protocol);
    std::array<std::vector<Element>, 2> elements;  // of single ports, of ranges
    for (std::uint32_t first = 1; first < kPortNumbers;) {
      std::uint32_t next = first + 1;
      while (next < kPortNumbers && ports[next] == ports[first]) ++next;
      if (ports[first].openings != 0) {
        const bool range = next - first > 1;
        const auto low = static_cast<std::uint16_t>(first);
        const auto high = static_cast<std::uint16_t>(next - 1);
        elements[range ? 1 : 0].push_back({u16(low),
                                           range ? u16(high) : Bytes{},
                                           Verdict{VerdictKind::jump, chain_of(ports[first])},
                                           {},
                                           where_of(ports[first].openings)});
      }
      first = next;
    }
    for (const bool ranges : {false, true}) {
      if (elements[ranges ? 1 : 0].empty()) continue;
      const std::string name =
          fmt::format("some_{}{}", fw::to_string(protocol), ranges ? "_ranges" : "");
      map(name, Field::ct_original_dport, ranges).elements = std::move(elements[ranges ? 1 : 0]);
    }
  }

  void protocol_map() {
    std::map<std::uint8_t, Openings> meant;
    for (std::size_t i = 0; i < openings_.size(); ++i) {
      for (const std::uint8_t protocol : openings_[i].protocols) {
        meant[protocol] |= Openings{1} << i;
      }
    }
    if (meant.empty()) return;
    std::vector<Element> elements;
    for (const auto& [protocol, openings] : meant) {
      elements.push_back({u8(protocol),
                          {},
                          Verdict{VerdictKind::jump, chain_of({openings})},
                          {},
                          where_of(openings)});
    }
    map(kSomeProtocols, Field::l4proto, false).elements = std::move(elements);
  }

  /// The first of some tables.
  const fw::Location& where_of(Openings openings) const {
    return openings_[static_cast<std::size_t>(std::countr_zero(openings))].where;
  }

  Compilation& c_;
  const std::vector<fw::Opening> openings_;
  std::map<Meant, std::string> chains_;
};

constexpr std::string_view kSourceSets[] = {"open_list4_", "open_list6_"};

}  // namespace

std::string source_set(fw::Family family, std::string_view list) {
  return fmt::format("{}{}", kSourceSets[family == fw::Family::ipv4 ? 0 : 1], list);
}

std::string_view list_of_source_set(std::string_view set) {
  if (set.find('.') != std::string_view::npos) return {};  // of a limit
  for (const std::string_view prefix : kSourceSets) {
    if (set.starts_with(prefix)) return set.substr(prefix.size());
  }
  return {};
}

void compile_openings(Compilation& c) { Compiling(c).all(); }

}  // namespace chains
