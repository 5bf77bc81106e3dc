// The built-in default policy, and what follows from a policy.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/policy/policy.hpp"

#include <algorithm>
#include <chrono>
#include <initializer_list>
#include <set>
#include <string_view>

#include <fmt/format.h>

namespace fw {
std::vector<PortRange> tcp_ports(std::initializer_list<std::uint16_t> ports) {
  std::vector<PortRange> ranges;
  for (const std::uint16_t port : ports) ranges.push_back({Protocol::tcp, port, port});
  return ranges;
}

Limit default_limit(std::string_view name, std::vector<PortRange> ports, Source from, Rate rate) {
  Limit made;
  made.name = name;
  made.ports = std::move(ports);
  made.from = from;
  made.per = from == Source::apps ? LimitKey::app : LimitKey::ip;
  made.rate = rate;
  made.burst = rate.count;
  return made;
}

HttpLimit default_http_limit(std::string_view name, Rate rate) {
  HttpLimit made;
  made.name = name;
  made.rate = rate;
  made.burst = rate.count;
  return made;
}

std::string_view to_string(HttpKey key) {
  switch (key) {
    case HttpKey::client:
      return "client";
    case HttpKey::client_account:
      return "client+account";
    case HttpKey::account:
      return "account";
    case HttpKey::site:
      return "site";
  }
  return {};
}

Policy core_policy() {
  using std::chrono::seconds;
  Policy policy;
  for (const PortRange& port : tcp_ports({22, 80, 202, 443}))
    policy.open_ports.push_back({port, {}});
  policy.app_networks.push_back({{Family::ipv4, 0xac120000u, 0xac12ffffu}, {}});  // 172.18.0.0/16
  constexpr U128 kTranslated = U128{0x64ff9b} << 96;                              // 64:ff9b::
  constexpr U128 kTranslatedHere = kTranslated | U128{1} << 80;                   // 64:ff9b:1::
  policy.translated = {
      {{Family::ipv6, kTranslated, kTranslated | 0xffffffffu}, {}},  // /96, RFC 6052
      {{Family::ipv6, kTranslatedHere, kTranslatedHere | ((U128{1} << 80) - 1)}, {}}};  // RFC 8215

  const auto outside = Source::outside;
  const auto apps = Source::apps;
  policy.limits = {
      default_limit("web", tcp_ports({80, 443}), outside, {5000, seconds{1}}),  // L2
      default_limit("ssh", tcp_ports({22, 202}), outside, {5, seconds{10}}),    // L3
      default_limit("database", tcp_ports({3306, 5432, 6379, 27017}), apps,
                    {5000, seconds{1}}),                                  // L5
      default_limit("auth", tcp_ports({3002}), apps, {500, seconds{1}}),  // L8
      default_limit(kPingLimit, {}, outside, {50, seconds{1}}),           // N1
  };
  policy.http_limits = {
      default_http_limit("password", {10, seconds{1}}),  // L1
      default_http_limit("http", {5000, seconds{1}}),    // L2
  };
  return policy;
}

std::vector<Located<PortRange>> all_open_ports(const Policy& policy) {
  std::vector<Located<PortRange>> open = policy.open_ports;
  open.insert(open.end(), policy.contributed_ports.begin(), policy.contributed_ports.end());
  for (const App& app : policy.apps) {
    for (const PortRange& port : app.publishes) open.push_back({port, app.where});
  }
  return open;
}

std::vector<Opening> all_openings(const Policy& policy) {
  std::vector<Opening> all = policy.openings;
  if (policy.guests.empty()) return all;
  Opening guests;  // what a bridge's own DHCP and DNS server listens on
  guests.ports = tcp_ports({53});
  for (const std::uint16_t port : {std::uint16_t{53}, std::uint16_t{67}, std::uint16_t{547}})
    guests.ports.push_back({Protocol::udp, port, port});
  guests.interfaces = policy.guests;
  guests.where = policy.guests_where;
  all.push_back(std::move(guests));
  return all;
}

std::string_view to_string(ListAction action) {
  switch (action) {
    case ListAction::block:
      return "block";
    case ListAction::allow:
      return "allow";
    case ListAction::open:
      return "open";
  }
  return {};
}

std::vector<std::string> source_lists(const Policy& policy) {
  std::set<std::string> names;
  for (const Opening& opening : policy.openings) {
    for (const auto& [name, where] : opening.lists) names.insert(name);
  }
  return {names.begin(), names.end()};
}

std::string audience(const Opening& opening) {
  std::vector<std::string> networks;
  for (const auto& [name, where] : opening.lists) networks.push_back(name);
  for (const auto& [network, where] : opening.from) networks.push_back(to_string(network));
  constexpr std::size_t kShownMax = 4;
  const std::size_t left_out = networks.size() - std::min(networks.size(), kShownMax);
  networks.resize(networks.size() - left_out);
  std::string text;
  if (!networks.empty()) text = fmt::format("from {}", fmt::join(networks, ", "));
  if (left_out != 0) text += fmt::format(" and {} more", left_out);
  if (opening.interfaces.empty()) return text;
  return text +
         fmt::format("{}by {}", text.empty() ? "" : " ", fmt::join(opening.interfaces, ", "));
}

bool is_translated(const std::vector<Located<IpRange>>& translated, Ip ip) {
  return std::ranges::any_of(translated, [ip](const auto& network) {
    return network.value.contains({ip.family, ip.bits, ip.bits});
  });
}

int client_bits(const std::vector<Located<IpRange>>& translated, const Limit& limit, Ip source) {
  if (source.family == Family::ipv4) return limit.prefix4;
  const bool shared = is_translated(translated, source);
  return shared ? address_bits(Family::ipv6) : limit.prefix6;
}

HttpRules http_rules(const Policy& policy) {
  HttpRules rules{policy.http_limits, {}, {}};
  for (const auto& network : policy.translated) rules.translated.push_back(network.value);
  for (const Offender& offender : policy.offenders) {
    if (!offender.refused) continue;
    HttpOffender of_requests{*offender.refused, {}, offender.block, offender.max};
    std::ranges::copy_if(offender.limits, std::back_inserter(of_requests.limits),
                         [&policy](const std::string& name) {
                           return std::ranges::find(policy.http_limits, name, &HttpLimit::name) !=
                                  policy.http_limits.end();
                         });
    if (!of_requests.limits.empty()) rules.offenders.push_back(std::move(of_requests));
  }
  return rules;
}

std::vector<PortRange> ssh_ports(const Policy& policy) {
  std::vector<PortRange> ports;
  const auto ssh = std::ranges::find(policy.limits, "ssh", &Limit::name);
  if (ssh != policy.limits.end()) {
    std::ranges::copy_if(ssh->ports, std::back_inserter(ports),
                         [](const PortRange& port) { return port.protocol == Protocol::tcp; });
  }
  return ports.empty() ? tcp_ports({22, 202}) : ports;
}

}  // namespace fw
