// What another policy would have done with the same packets.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/simulate/compare.hpp"

#include <algorithm>
#include <map>

namespace simulate {

namespace {

const Tally* named(const Firewall& firewall, const std::string& name) {
  for (const Tally& tally : firewall.tallies()) {
    if (tally.limit().name == name) return &tally;
  }
  return nullptr;
}

using Refusals = std::map<std::pair<std::string, std::string>, std::uint64_t>;

Refusals refusals(const Firewall& firewall) {
  Refusals all;
  for (const Tally& tally : firewall.tallies()) {
    for (const ClientTally& c : tally.refused_clients()) {
      all[{tally.limit().name, to_string(c.client, tally.limit(), firewall.rules().policy())}] =
          c.refused;
    }
  }
  return all;
}

std::vector<ClientChange> clients(const Firewall& before, const Firewall& after) {
  std::vector<ClientChange> changes;
  const Refusals first = refusals(before);
  const Refusals second = refusals(after);
  for (const auto& [who, count] : first) {
    if (!second.contains(who)) changes.push_back({who.first, who.second, count, 0});
  }
  for (const auto& [who, count] : second) {
    if (!first.contains(who)) changes.push_back({who.first, who.second, 0, count});
  }
  std::stable_sort(changes.begin(), changes.end(), [](const auto& a, const auto& b) {
    return a.before + a.after > b.before + b.after;
  });
  return changes;
}

std::vector<PortChange> ports(const Firewall& before, const Firewall& after) {
  std::map<std::pair<fw::Protocol, std::uint16_t>, PortChange> changes;
  for (const PortTally& p : before.closed_ports()) {
    changes[{p.protocol, p.port}] = {p.protocol, p.port, p.packets, 0};
  }
  for (const PortTally& p : after.closed_ports()) {
    PortChange& change = changes[{p.protocol, p.port}];
    change = {p.protocol, p.port, change.before, p.packets};
  }
  std::vector<PortChange> out;
  for (const auto& [port, change] : changes) {
    const bool same = before.rules().is_open(change.protocol, change.port) ==
                      after.rules().is_open(change.protocol, change.port);
    if (!same) out.push_back(change);
  }
  std::stable_sort(out.begin(), out.end(), [](const auto& a, const auto& b) {
    return a.before + a.after > b.before + b.after;
  });
  return out;
}

}  // namespace

Comparison compare(const Firewall& before, const Firewall& after) {
  Comparison out;
  for (const Tally& tally : before.tallies()) {
    out.limits.push_back({tally.limit().name, &tally, named(after, tally.limit().name)});
  }
  for (const Tally& tally : after.tallies()) {
    const std::string& name = tally.limit().name;
    if (named(before, name) == nullptr) out.limits.push_back({name, nullptr, &tally});
  }
  out.clients = clients(before, after);
  out.ports = ports(before, after);
  out.before = before.drops();
  out.after = after.drops();
  return out;
}

std::string to_string(const Client& client, const fw::Limit& limit, const fw::Policy& policy) {
  if (client.app >= 0) return "app " + policy.apps[static_cast<std::size_t>(client.app)].name;
  const fw::Ip first = client.address;
  if (limit.per == fw::LimitKey::app) return fw::to_string(first);
  const int length = fw::client_bits(policy.translated, limit, first);
  const int host_bits = fw::address_bits(first.family) - length;
  const fw::U128 last = first.bits | ((fw::U128{1} << host_bits) - 1);
  return fw::to_string(fw::IpRange{first.family, first.bits, last});
}

}  // namespace simulate
