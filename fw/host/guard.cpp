// Whom a block must not hit, unless forced.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/host/guard.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "fw/base/endpoint.hpp"
#include "fw/base/file.hpp"
#include "fw/base/limits.hpp"

namespace fw {
namespace {

using Kind = Objection::Kind;

IpRange single(Ip ip) { return {ip.family, ip.bits, ip.bits}; }

/// The largest that a registry gives to one organisation: 2^24 IPv4 addresses are a /8; in IPv6 it
/// is a /16.
bool is_too_wide(const IpRange& range) {
  const int bits = range.family == Family::ipv4 ? 24 : 112;
  return range.last - range.first >= U128{1} << bits;
}

/// Is an address of `ranges`, merged ones, in the range?
bool reaches(const std::vector<IpRange>& ranges, const IpRange& range) {
  const auto near = std::ranges::partition_point(ranges, [&range](const IpRange& one) {
    return one.family != range.family ? one.family < range.family : one.last < range.first;
  });
  return near != ranges.end() && near->overlaps(range);
}

/// The servers that a file names; none where it cannot be read.
void read_resolvers(const char* path, std::vector<Ip>& out) {
  const auto open = open_regular(path);
  if (!open) return;
  std::string text(kResolvConfBytesMax, '\0');
  const auto size = read_some(open->file, text.data(), text.size());
  if (!size) return;
  for (const Ip ip : parse_resolvers(std::string_view(text).substr(0, *size))) {
    if (!is_loopback(ip) && std::ranges::find(out, ip) == out.end()) out.push_back(ip);
  }
}

}  // namespace

std::vector<Ip> parse_resolvers(std::string_view text) {
  std::vector<Ip> out;
  constexpr std::string_view kBlank = " \t\r";
  while (!text.empty() && out.size() < kResolversMax) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    constexpr std::string_view kWord = "nameserver";
    if (!line.starts_with(kWord)) continue;
    line.remove_prefix(kWord.size());
    const std::size_t begin = line.find_first_not_of(kBlank);
    if (begin == 0 || begin == line.npos) continue;
    line.remove_prefix(begin);
    line = line.substr(0, line.find_first_of(" \t\r%#;"));  // "fe80::1%eth0"
    if (const auto ip = parse_ip(line)) out.push_back(*ip);
  }
  return out;
}

OwnNetwork read_own_network() {
  OwnNetwork out;
  if (auto network = chains::read_own_network()) out.network = std::move(*network);
  read_resolvers("/etc/resolv.conf", out.resolvers);
  // Behind the stub on loopback that the first names.
  read_resolvers("/run/systemd/resolve/resolv.conf", out.resolvers);
  return out;
}

std::string to_string(const Objection& objection) {
  return to_string(objection.range) + " " + objection.why;
}

BlockGuard::BlockGuard(const Policy& policy, const OwnNetwork& own)
    : translated_(policy.translated) {
  for (const auto& [network, where] : policy.trusted) {
    kept_.push_back(
        {network, Kind::trusted,
         fmt::format("the trusted network {} ({})", to_string(network), to_string(where))});
  }
  for (const auto& [network, where] : policy.proxies) {
    kept_.push_back({network, Kind::trusted,
                     fmt::format("the proxy {} ({}), by which other clients come",
                                 to_string(network), to_string(where))});
  }
  keep_own(own);
  for (const auto& [network, where] : policy.app_networks) {
    const std::string line = to_string(where);
    kept_.push_back({network, Kind::apps,
                     fmt::format("the app network {}{}", to_string(network),
                                 line.empty() ? "" : " (" + line + ")")});
  }
  std::vector<chains::Link> links;  // link-local addresses are on every link
  for (const char* text : {"169.254.0.0/16", "fe80::/10"})
    links.push_back({*parse_ip_range(text), ""});
  const auto link_local = links;
  for (const chains::Link& link : own.network.links) {
    const auto overlaps = [&link](const chains::Link& of) {
      return of.network.overlaps(link.network);
    };
    links.push_back(link);
    if (!link.containers || std::ranges::any_of(link_local, overlaps)) continue;
    kept_.push_back(
        {link.network, Kind::apps,
         fmt::format("the containers' network {} ({})", to_string(link.network), link.device)});
  }
  for (const chains::Link& link : links) {
    links_.push_back(
        {link.network, Kind::own_link,
         link.device.empty()
             ? fmt::format("the link-local network {}", to_string(link.network))
             : fmt::format("this host's own link {} ({})", to_string(link.network), link.device)});
    links_all_.push_back(link.network);
  }
  for (const Kept& kept : kept_) kept_all_.push_back(kept.range);
  kept_all_ = merged(std::move(kept_all_));
  links_all_ = merged(std::move(links_all_));
}

void BlockGuard::keep_own(const OwnNetwork& own) {
  const auto device = [](const chains::PlacedAddress& of) {
    return of.device.empty() ? "" : " (" + of.device + ")";
  };
  for (const char* text : {"127.0.0.0/8", "::1"}) {
    kept_.push_back({*parse_ip_range(text), Kind::own_address, "this host"});
  }
  for (const char* text : {"0.0.0.0", "::"}) {  // DHCP, duplicate address detection
    kept_.push_back({*parse_ip_range(text), Kind::own_address, "a host without an address yet"});
  }
  for (const auto& address : own.network.addresses) {
    if (is_loopback(address.ip)) continue;
    kept_.push_back(
        {single(address.ip), Kind::own_address, "an address of this host" + device(address)});
  }
  for (const auto& router : own.network.routers) {
    kept_.push_back({single(router.ip), Kind::router, "a router of this host" + device(router)});
  }
  for (const Ip resolver : own.resolvers) {
    kept_.push_back({single(resolver), Kind::resolver, "a DNS resolver of this host"});
  }
}

std::string BlockGuard::reason(const IpRange& range, const Kept& kept) const {
  if (kept.range.single()) {
    return range.single() ? "is " + kept.name
                          : fmt::format("holds {}, {}", to_string(kept.range), kept.name);
  }
  if (kept.kind == Kind::own_address && kept.range.contains(range)) return "is " + kept.name;
  return (kept.range.contains(range) ? "is in " : "holds addresses of ") + kept.name;
}

std::optional<Objection> BlockGuard::objection(const IpRange& range,
                                               std::optional<Ip> caller) const {
  if (reaches(kept_all_, range)) {
    for (const Kept& kept : kept_) {
      if (kept.range.overlaps(range)) return Objection{range, kept.kind, reason(range, kept)};
    }
  }
  if (caller && range.contains(single(*caller))) {
    return Objection{range, Kind::session,
                     fmt::format("holds {}, the address of this SSH session", to_string(*caller))};
  }
  if (is_too_wide(range)) {
    return Objection{range, Kind::too_wide,
                     fmt::format("is wider than a /{}", range.family == Family::ipv4 ? 8 : 16)};
  }
  if (!range.single() && reaches(links_all_, range)) {
    for (const Kept& link : links_) {
      if (!link.range.overlaps(range)) continue;
      return Objection{range, Kind::own_link,
                       reason(range, link) + ", where single addresses can be blocked"};
    }
  }
  return {};
}

std::vector<Objection> BlockGuard::objections(const std::vector<IpRange>& ranges,
                                              std::optional<Ip> caller) const {
  std::vector<Objection> out;
  for (const IpRange& range : ranges) {
    if (auto one = objection(range, caller)) out.push_back(std::move(*one));
  }
  return out;
}

IpRange BlockGuard::client(Ip ip, int length) const {
  if (is_translated(translated_, ip)) return single(ip);
  const int bits = address_bits(ip.family);
  for (; length < bits; ++length) {
    const U128 hosts = address_max(ip.family) >> length;
    const IpRange network{ip.family, ip.bits & ~hosts, ip.bits | hosts};
    if (!reaches(links_all_, network)) return network;
  }
  return single(ip);
}

}  // namespace fw
