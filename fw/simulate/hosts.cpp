// Which addresses in a capture are the host's own.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/simulate/hosts.hpp"

#include <algorithm>
#include <map>
#include <tuple>

namespace simulate {

using capture::Direction;
using capture::Packet;
using fw::Ip;

namespace {

using Counts = std::map<Ip, std::size_t>;

bool is_among(const std::vector<Ip>& ascending, Ip ip) {
  return std::binary_search(ascending.begin(), ascending.end(), ip);
}

bool is_apart(const std::vector<fw::IpRange>& apart, Ip ip) {
  return std::any_of(apart.begin(), apart.end(), [ip](const fw::IpRange& range) {
    return range.contains({ip.family, ip.bits, ip.bits});
  });
}

/// Loopback, multicast, link-local, unspecified: of every machine.
bool is_special(Ip ip) {
  if (ip.family == fw::Family::ipv4) {
    const auto high = static_cast<std::uint32_t>(ip.bits >> 24);
    return high == 0 || high == 127 || high >= 224;
  }
  const auto high = static_cast<std::uint32_t>(ip.bits >> 112);
  return high >> 8 == 0xff || high >> 6 == 0xfe80 >> 6 || ip.bits <= 1;
}

std::vector<Ip> senders(std::span<const Packet> sample, const std::vector<fw::IpRange>& apart) {
  Counts counts;
  for (const Packet& p : sample) {
    if (p.direction == Direction::outgoing) ++counts[p.source];
  }
  std::vector<Ip> found;
  for (const auto& [ip, packets] : counts) {
    const bool own = !is_special(ip) && !is_apart(apart, ip);
    if (own && found.size() < kHostsMax) found.push_back(ip);
  }
  return found;
}

/// What speaks for an address to be the host's: the packets it takes part in; where those are
/// equal, the connections that others made to it.
struct Evidence {
  std::size_t packets = 0;
  std::size_t served = 0;
  std::size_t sent = 0;
  bool answers = false;  ///< it has sent a SYN-ACK
};

/// One that only receives is no better host than one that serves: a broadcast address.
bool is_better(const Evidence& a, const Evidence& b) {
  const bool silent_a = a.sent == 0 && b.answers;
  const bool silent_b = b.sent == 0 && a.answers;
  return std::tuple(!silent_a, a.packets, a.served) > std::tuple(!silent_b, b.packets, b.served);
}

/// Of each family the one address that most speaks for.
void most_likely(std::span<const Packet> sample, const std::vector<fw::IpRange>& apart,
                 Hosts& hosts) {
  std::map<Ip, Evidence> all;
  for (const Packet& p : sample) {
    Evidence& source = all[p.source];
    Evidence& destination = all[p.destination];
    ++source.packets;
    ++source.sent;
    ++destination.packets;
    if ((p.tcp_flags & fw::kSyn) == 0) continue;
    const bool answer = (p.tcp_flags & fw::kAck) != 0;
    ++(answer ? source : destination).served;
    if (answer) source.answers = true;
  }
  for (const fw::Family family : {fw::Family::ipv4, fw::Family::ipv6}) {
    Evidence most;
    std::vector<Ip> best;
    for (const auto& [ip, evidence] : all) {
      if (ip.family != family || is_special(ip) || is_apart(apart, ip)) continue;
      if (!best.empty() && is_better(most, evidence)) continue;
      if (is_better(evidence, most)) best.clear();
      most = evidence;
      best.push_back(ip);
    }
    if (best.empty()) continue;
    hosts.addresses.push_back(best.front());
    if (best.size() > 1 && !hosts.rival) hosts.rival = best[1];
  }
}

}  // namespace

Hosts find_hosts(std::span<const Packet> sample, std::vector<Ip> given, std::vector<Ip> machine,
                 const std::vector<fw::IpRange>& apart) {
  Hosts hosts;
  std::sort(machine.begin(), machine.end());
  const bool here = std::any_of(sample.begin(), sample.end(), [&](const Packet& p) {
    return (is_among(machine, p.source) && !is_special(p.source)) ||
           (is_among(machine, p.destination) && !is_special(p.destination));
  });
  if (!given.empty()) {
    hosts.addresses = std::move(given);
  } else if (auto sent = senders(sample, apart); !sent.empty()) {
    hosts.addresses = std::move(sent);
    hosts.why = Hosts::Why::direction;
  } else if (here) {
    hosts.addresses = std::move(machine);
    hosts.why = Hosts::Why::machine;
  } else {
    hosts.why = Hosts::Why::frequency;
    most_likely(sample, apart, hosts);
  }
  std::sort(hosts.addresses.begin(), hosts.addresses.end());
  std::size_t from = 0;
  std::size_t part = 0;
  for (const Packet& p : sample) {
    const bool sent = is_among(hosts.addresses, p.source);
    from += sent ? 1 : 0;
    part += sent || is_among(hosts.addresses, p.destination) ? 1 : 0;
  }
  hosts.one_way = from == 0;
  if (!sample.empty()) {
    hosts.share = static_cast<double>(part) / static_cast<double>(sample.size());
  }
  return hosts;
}

}  // namespace simulate
