// The policy file as plain values, defaults filled in.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "fw/base/address.hpp"
#include "fw/base/endpoint.hpp"
#include "fw/base/limits.hpp"
#include "fw/base/port.hpp"
#include "fw/base/rate.hpp"
#include "fw/base/result.hpp"
#include "fw/policy/http_limit.hpp"
#include "fw/policy/rule_files.hpp"
#include "fw/policy/sites.hpp"

namespace fw {

/// A value and the line of the policy that it came from (file empty: a built-in default).
template <class T>
struct Located {
  T value{};
  Location where;

  bool operator==(const Located&) const = default;
};

enum class Source : std::uint8_t { outside, apps };  ///< who a limit counts
enum class LimitKey : std::uint8_t { ip, app };      ///< what shares one budget

/// The limit of this name counts echo requests: it has no ports.
inline constexpr const char* kPingLimit = "ping";

struct Limit {
  std::string name;
  std::vector<PortRange> ports;
  Source from = Source::outside;
  LimitKey per = LimitKey::ip;
  Rate rate;
  std::uint64_t burst = 0;  ///< token bucket size; parse fills in the default, rate.count
  std::optional<std::uint32_t> concurrent;  ///< connections open at once
  int prefix4 = 32;
  int prefix6 = 64;
  Location where;

  bool counts_pings() const { return name == kPingLimit; }
  bool operator==(const Limit&) const = default;
};

/// [[open]]: what is open for some sources, some interfaces, or some sources by some interfaces.
struct Opening {
  std::vector<PortRange> ports;
  std::vector<std::uint8_t> protocols;      ///< of IP, by number
  std::vector<Located<IpRange>> from;       ///< neither these nor lists: every source
  std::vector<Located<std::string>> lists;  ///< [[list]]s in `from`, by name
  std::vector<std::string> interfaces;  ///< none: all; "wg*" means all whose names begin with wg
  Location where;

  bool opens(Protocol protocol, std::uint16_t port) const {
    return std::ranges::any_of(ports,
                               [&](const PortRange& r) { return r.contains(protocol, port); });
  }
  bool for_all_sources() const { return from.empty() && lists.empty(); }
  bool operator==(const Opening&) const = default;
};

enum class ListAction : std::uint8_t {
  block,
  allow,
  open,  ///< nothing but to be named by an [[open]]
};
std::string_view to_string(ListAction action);

struct List {
  std::string name;
  std::string file;  ///< as written; relative to the policy file's folder
  ListAction action = ListAction::block;
  Location where;

  bool operator==(const List&) const = default;
};

/// [apps] discover: where apps and addons are learned from, besides the tables that name them.
enum class Discover : std::uint8_t { none, docker };

struct Discovery {
  Discover from = Discover::none;
  std::string docker = "/run/docker.sock";  ///< [apps] docker: the engine's socket
  bool labels_open = false;                 ///< [apps] labels_open: labels may open ports

  bool operator==(const Discovery&) const = default;
};

struct App {
  std::string name;
  std::vector<Ip> addresses;  ///< none: those of the container of that name, once it is discovered
  std::vector<PortRange> publishes;
  std::optional<std::vector<std::string>> addons;  ///< absent: all
  Location where;

  bool operator==(const App&) const = default;
};

struct Addon {
  std::string name;
  std::vector<Ip> addresses;
  std::vector<PortRange> ports;
  Location where;

  bool operator==(const Addon&) const = default;
};

/// Who is refused so often is blocked.
struct Offender {
  std::optional<Rate> refused;       ///< connections
  std::optional<Rate> closed_ports;  ///< different ports that are closed; anybody can forge it
  std::vector<std::string> limits;   ///< whose refusals count; none named: those of all
  std::chrono::seconds block{3600};  ///< doubled at each repetition, up to `max`
  std::chrono::seconds max{7 * 86'400};
  Location where;

  bool operator==(const Offender&) const = default;
};

/// [activity]: what the activity log keeps.
struct ActivityKeep {
  std::chrono::seconds keep = kActivityKeep;
  std::uint64_t bytes = kActivityBytes;

  bool operator==(const ActivityKeep&) const = default;
};

/// Ports that a plugin would open.
struct Offer {
  std::vector<PortRange> ports;
  std::string asked_by;  ///< what the policy would have to say: "[mail] enabled = true"

  bool operator==(const Offer&) const = default;
};

/// All of a policy but what discovery adds to.
struct PolicyBase {
  std::string file;                            ///< "" for the built-in default
  std::vector<Located<PortRange>> open_ports;  ///< [ports] tcp, udp as written
  Location ports_where;                        ///< of [ports] tcp
  bool local_discovery = false;                ///< [ports] discovery: mDNS and SSDP
  bool mail_enabled = false;                   ///< [mail] enabled
  Location mail_where;
  std::vector<Located<PortRange>>
      contributed_ports;            ///< that plugins open, with what asks for them
  std::vector<Offer> offers;        ///< of plugins that are not asked for
  std::vector<Opening> openings;    ///< [[open]]
  std::vector<std::string> guests;  ///< [guests] bridges, as Opening::interfaces
  Location guests_where;
  std::vector<Located<IpRange>> trusted;  ///< [trusted] networks
  std::vector<Located<IpRange>> proxies;  ///< [trusted] proxies: who says for whom it asks
  Tls tls;
  std::vector<Site> sites;
  Discovery discovery;
  std::vector<std::string> routed;  ///< [apps] routed: bridges that the outside may reach; "br-*"
  std::vector<Limit> limits;        ///< defaults first, each replaced by its namesake
  std::vector<HttpLimit> http_limits;  ///< the same of layer = "http"
  std::vector<List> lists;
  std::vector<Offender> offenders;
  std::vector<RuleFile> rules;  ///< rules.d: of the admin's own, as text
  ActivityKeep activity;
  std::optional<Endpoint> metrics;  ///< [metrics] listen: a loopback address
  /// [advanced] ct_label_bit: the first of the bits of connection labels that are ours
  int label_bit = kLabelBitDefault;
  /// [advanced] nflog_group: where refused packets are copied, for the daemon; 0: nowhere
  int nflog_group = 2828;
  /// [advanced] translated: IPv6 networks in which each address stands for an IPv4 host (NAT64).
  std::vector<Located<IpRange>> translated;

  bool operator==(const PolicyBase&) const = default;
};

struct Policy : PolicyBase {
  std::vector<Located<IpRange>> app_networks;  ///< [apps] network
  std::vector<App> apps;
  std::vector<Addon> addons;

  bool operator==(const Policy&) const = default;
};

/// The built-in default without what plugins add: fw/effective/policy.hpp has the whole of it.
Policy core_policy();

/// Each of these ports of TCP as a range.
std::vector<PortRange> tcp_ports(std::initializer_list<std::uint16_t> ports);

/// A limit of the built-in default: without a place, its burst as large as its count; of apps by
/// app, else by address.
Limit default_limit(std::string_view name, std::vector<PortRange> ports, Source from, Rate rate);

/// Everything that is open from outside on input: [ports], what plugins open, and what apps
/// publish.
std::vector<Located<PortRange>> all_open_ports(const Policy& policy);

/// [[open]], and what [guests] adds to it.
std::vector<Opening> all_openings(const Policy& policy);

/// Names of the lists that some [[open]] names, sorted, each once.
std::vector<std::string> source_lists(const Policy& policy);

/// For whom: "from office, 2001:db8::/32 by wg0", "" for everybody.
std::string audience(const Opening& opening);

/// Does the address stand for an IPv4 host?
bool is_translated(const std::vector<Located<IpRange>>& translated, Ip ip);

/// How many bits of a source's address make one client of a limit: behind a translator all of them,
/// for its prefix is shared by everybody who is translated.
int client_bits(const std::vector<Located<IpRange>>& translated, const Limit& limit, Ip source);

/// What it says about requests: its limits, and the [[offender]]s that name one of them.
HttpRules http_rules(const Policy& policy);

/// The ports that SSH is reached by: those of the limit named "ssh", else 22 and 202.
std::vector<PortRange> ssh_ports(const Policy& policy);

}  // namespace fw
