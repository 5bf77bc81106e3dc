// A policy as a simulation asks it: one lookup for each question.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "fw/base/limits.hpp"
#include "fw/lists/address_set.hpp"
#include "fw/policy/policy.hpp"

namespace simulate {

/// Membership in a large set of addresses.
class Members {
 public:
  Members() = default;
  explicit Members(fw::AddressSet set);
  bool contain(fw::Ip ip) const {
    if (ip.family == fw::Family::ipv4) return !v4_.empty() && contain4(ip);
    return !v6_.empty() && contain6(ip);
  }

 private:
  bool contain4(fw::Ip ip) const;
  bool contain6(fw::Ip ip) const;

  std::vector<fw::Span4> v4_;
  std::vector<fw::Span6> v6_;
  std::vector<std::uint32_t> first4_;  ///< by the high 16 bits: the first span that may hold them
};

/// The address sets that stand outside the policy's text.
struct Addresses {
  fw::AddressSet blocked;  ///< the admin's blocks
  fw::AddressSet listed;   ///< the block lists, less what is trusted or allowed
  fw::AddressSet allowed;  ///< the allow lists
  std::map<std::string, fw::AddressSet> lists;  ///< those that [[open]] names
  std::vector<fw::Ip> hosts;
};

enum class Place : std::uint8_t { host, app, elsewhere };

/// Whose budget a connection spends.
struct Client {
  fw::Ip address;         ///< the first of the prefix
  std::int16_t app = -1;  ///< index in the policy's apps: then the address does not matter

  bool operator==(const Client&) const = default;
};

class Rules {
 public:
  Rules(fw::Policy policy, const Addresses& addresses);

  const fw::Policy& policy() const { return policy_; }

  Place place(fw::Ip ip) const {
    if (hosts_.contain(ip)) return Place::host;
    return apps_.contain(ip) ? Place::app : Place::elsewhere;
  }
  bool is_host(fw::Ip ip) const { return hosts_.contain(ip); }
  bool is_blocked(fw::Ip ip) const { return blocked_.contain(ip); }
  bool is_listed(fw::Ip ip) const { return listed_.contain(ip); }
  bool is_trusted(fw::Ip ip) const { return trusted_.contain(ip); }
  /// A proxy in front of the sites, on one of their ports?
  bool is_proxy(fw::Ip ip, std::uint16_t port) const {
    return std::ranges::find(fw::kWebPorts, port) != fw::kWebPorts.end() && proxies_.contain(ip);
  }
  bool is_open(fw::Protocol protocol, std::uint16_t port) const {
    return ports(protocol)[port].open;
  }
  /// The same for a source, which [[open]] may name. A capture does not tell the interface: ports
  /// that are open by some only count as open.
  bool is_open(fw::Protocol protocol, std::uint16_t port, fw::Ip source) const;
  /// Is an IP protocol without ports open for a source?
  bool is_open(std::uint8_t protocol, fw::Ip source) const;
  /// Index of the limit of pings; -1: none.
  int ping_limit() const { return ping_limit_; }
  /// Index of the limit that counts connections of `from` to a port; -1: none.
  int limit(fw::Source from, fw::Protocol protocol, std::uint16_t port) const {
    return ports(protocol)[port].limit[static_cast<int>(from)];
  }
  /// May an app (or anybody in the app networks) open this to an addon?
  bool reaches(fw::Ip from, fw::Ip to, fw::Protocol protocol, std::uint16_t port) const;
  bool isolates() const { return isolates_; }

  Client client(const fw::Limit& limit, fw::Ip source) const;

 private:
  struct Port {
    bool open = false;
    std::array<std::int16_t, 2> limit{-1, -1};  ///< by fw::Source
  };
  using Ports = std::vector<Port>;
  const Ports& ports(fw::Protocol protocol) const {
    return protocol == fw::Protocol::tcp ? tcp_ : udp_;
  }
  Ports& ports(fw::Protocol protocol) { return protocol == fw::Protocol::tcp ? tcp_ : udp_; }

  fw::Policy policy_;
  Members hosts_, apps_, blocked_, listed_, trusted_, proxies_;
  Ports tcp_ = Ports(65'536), udp_ = Ports(65'536);
  bool isolates_ = false;
  int ping_limit_ = -1;
  std::vector<fw::Opening> openings_;
  std::vector<Members> sources_;                        ///< of each of them
  std::vector<std::pair<fw::Ip, std::int16_t>> named_;  ///< addresses of apps, ascending
  /// App index, address, protocol and port of every addon that it reaches.
  std::set<std::tuple<std::int16_t, fw::Ip, fw::Protocol, std::uint16_t>> reach_;

  bool is_meant(std::size_t opening, fw::Ip source) const;
  int app_of(fw::Ip ip) const;
  void name_addons();
};

}  // namespace simulate
