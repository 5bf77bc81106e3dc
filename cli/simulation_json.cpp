// What `simulate` found, for programs.
// SPDX-License-Identifier: GPL-2.0-or-later
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <fmt/format.h>

#include "cli/plot.hpp"
#include "cli/simulation.hpp"
#include "fw/base/suggest.hpp"

namespace cli {

namespace json = boost::json;
using simulate::Firewall;
using simulate::Tally;

namespace {

constexpr std::size_t kListed = 10'000;  // of clients and ports

template <class Values>
json::array array_of(const Values& values) {
  json::array array;
  for (const auto& value : values) array.emplace_back(value);
  return array;
}

/// Seconds since 1970.
double seconds(simulate::Nanoseconds time) { return static_cast<double>(time) / 1e9; }

json::value tally_json(const Tally& tally, const fw::Policy& policy) {
  const simulate::LimitTotals& t = tally.totals;
  json::array refused;
  for (const simulate::ClientTally& c : tally.refused_clients()) {
    if (refused.size() == kListed) break;
    refused.push_back(json::object{{"client", to_string(c.client, tally.limit(), policy)},
                                   {"refused", c.refused},
                                   {"connections", c.connections},
                                   {"first", seconds(c.first)},
                                   {"last", seconds(c.last)},
                                   {"longest_s", seconds(c.longest)}});
  }
  const simulate::Smallest smallest = tally.smallest();
  json::value enough = nullptr;
  if (smallest.count != 0) {
    enough = json::object{{"rate", to_string(fw::Rate{smallest.count, tally.limit().rate.period})},
                          {"burst_at_this_rate", smallest.burst != 0 ? json::value(smallest.burst)
                                                                     : json::value(nullptr)},
                          {"exact", smallest.exact},
                          {"concurrent", smallest.concurrent != 0 ? json::value(smallest.concurrent)
                                                                  : json::value(nullptr)},
                          {"concurrent_exact", smallest.concurrent_exact}};
  }
  const Curve curve = curve_of(tally);
  return json::object{{"name", tally.limit().name},
                      {"rate", to_string(tally.limit().rate)},
                      {"burst", tally.limit().burst},
                      {"clients", t.clients},
                      {"clients_refused", t.clients_refused},
                      {"connections", t.connections},
                      {"admitted", t.admitted},
                      {"refused", t.refused},
                      {"refused_concurrent", t.refused_concurrent},
                      {"connections_refused", t.refused_shaken},
                      {"overflowed", t.overflowed},
                      {"uncounted", t.uncounted},
                      {"not_remembered", tally.unknown()},
                      {"enough_for_all", std::move(enough)},
                      {"refused_clients", std::move(refused)},
                      {"series", json::object{{"begin", seconds(curve.begin)},
                                              {"width_s", curve.width},
                                              {"admitted_per_s", array_of(curve.admitted)},
                                              {"refused_per_s", array_of(curve.refused)},
                                              {"busiest_client", array_of(curve.busiest)}}}};
}

json::array senders_json(const std::vector<Firewall::Sender>& senders) {
  json::array array;
  for (const Firewall::Sender& sender : senders) {
    array.push_back(
        json::object{{"address", fw::to_string(sender.address)}, {"packets", sender.packets}});
  }
  return array;
}

json::value firewall_json(const Firewall& firewall, const std::string& policy) {
  json::array limits;
  for (const Tally& tally : firewall.tallies()) {
    limits.push_back(tally_json(tally, firewall.rules().policy()));
  }
  json::array ports;
  for (const simulate::PortTally& p : firewall.closed_ports()) {
    if (ports.size() == kListed) break;
    ports.push_back(json::object{{"port", fmt::format("{}/{}", fw::to_string(p.protocol), p.port)},
                                 {"packets", p.packets},
                                 {"first", seconds(p.first)},
                                 {"last", seconds(p.last)}});
  }
  const simulate::Drops& drops = firewall.drops();
  return json::object{{"policy", policy},
                      {"limits", std::move(limits)},
                      {"dropped", json::object{{"blocked", drops.blocked},
                                               {"listed", drops.listed},
                                               {"closed", drops.closed},
                                               {"isolated", drops.isolated},
                                               {"syn_data", drops.syn_data},
                                               {"pings", drops.pings},
                                               {"other_protocols", drops.others}}},
                      {"closed_ports", std::move(ports)},
                      {"closed_port_senders", senders_json(firewall.closed_senders(100))},
                      {"blocked_senders", senders_json(firewall.blocked_senders(100))}};
}

json::object comparison_json(const simulate::Comparison& comparison) {
  json::array clients;
  for (const simulate::ClientChange& c : comparison.clients) {
    if (clients.size() == kListed) break;
    clients.push_back(json::object{{"limit", c.limit},
                                   {"client", c.client},
                                   {"refused_before", c.before},
                                   {"refused_after", c.after}});
  }
  json::array ports;
  for (const simulate::PortChange& p : comparison.ports) {
    ports.push_back(json::object{{"port", fmt::format("{}/{}", fw::to_string(p.protocol), p.port)},
                                 {"dropped_before", p.before},
                                 {"dropped_after", p.after}});
  }
  json::array limits;
  for (const simulate::LimitChange& l : comparison.limits) {
    auto refused = [](const Tally* t) {
      return t != nullptr ? json::value(t->totals.refused) : json::value(nullptr);
    };
    limits.push_back(json::object{{"name", l.limit},
                                  {"refused_before", refused(l.before)},
                                  {"refused_after", refused(l.after)}});
  }
  return {
      {"limits", std::move(limits)}, {"clients", std::move(clients)}, {"ports", std::move(ports)}};
}

}  // namespace

json::value to_json(const Simulated& s) {
  const simulate::Seen seen = s.firewall->seen();
  json::array hosts;
  for (const fw::Ip ip : s.hosts.addresses) hosts.emplace_back(fw::to_string(ip));
  json::array broken;
  for (const fw::Error& error : s.broken) {
    const std::string text = to_string(error);
    broken.emplace_back(fw::printable(text, text.size()));
  };
  json::object out{{"frames", s.counts.frames},
                   {"bytes", s.counts.bytes},
                   {"packets", seen.packets},
                   {"first", seconds(s.firewall->first())},
                   {"last", seconds(s.firewall->last())},
                   {"hosts", std::move(hosts)},
                   {"hosts_share", s.hosts.share},
                   {"broken", std::move(broken)},
                   {"not_judged", json::object{{"flows_of_host", seen.of_host},
                                               {"tcp_without_begin", seen.unknown_tcp},
                                               {"foreign", seen.foreign},
                                               {"icmp", seen.icmp},
                                               {"incomplete", seen.incomplete},
                                               {"malformed", s.counts.malformed},
                                               {"not_ip", s.counts.not_ip},
                                               {"flows_forgotten", seen.forgotten},
                                               {"clock_back", seen.clock_back}}},
                   {"result", firewall_json(*s.firewall, s.policy)}};
  if (s.other != nullptr) {
    out["other"] = firewall_json(*s.other, s.other_policy);
    out["comparison"] = comparison_json(compare(*s.firewall, *s.other));
  }
  return out;
}

}  // namespace cli
