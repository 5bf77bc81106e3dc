// A policy as a simulation asks it.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/simulate/rules.hpp"

#include <algorithm>

namespace simulate {

namespace {

fw::AddressSet set_of(const std::vector<fw::Located<fw::IpRange>>& ranges) {
  fw::AddressSet set;
  for (const auto& [range, where] : ranges) append(set, range);
  normalize(set);
  return set;
}

fw::AddressSet set_of(const std::vector<fw::Ip>& addresses) {
  fw::AddressSet set;
  for (const fw::Ip ip : addresses) append(set, {ip.family, ip.bits, ip.bits});
  normalize(set);
  return set;
}

template <class Spans, class U>
bool among(const Spans& first, const Spans& last, U address) {
  const auto it =
      std::upper_bound(first, last, address, [](U a, const auto& span) { return a < span.first; });
  return it != first && address <= std::prev(it)->last;
}

}  // namespace

Members::Members(fw::AddressSet set) : v4_(std::move(set.v4)), v6_(std::move(set.v6)) {
  if (v4_.size() < 32) return;  // a search is as fast
  first4_.resize(65'537, static_cast<std::uint32_t>(v4_.size()));
  std::size_t span = 0;
  for (std::uint32_t high = 0; high < 65'536; ++high) {
    while (span < v4_.size() && v4_[span].last >> 16 < high) ++span;
    first4_[high] = static_cast<std::uint32_t>(span);
  }
}

bool Members::contain4(fw::Ip ip) const {
  const auto address = static_cast<std::uint32_t>(ip.bits);
  if (first4_.empty()) return among(v4_.begin(), v4_.end(), address);
  const auto from = v4_.begin() + first4_[address >> 16];
  // A span that begins in these 65,536 addresses may reach beyond them: then it is also the first
  // of the next ones.
  const std::size_t next = first4_[(address >> 16) + 1];
  const auto to = v4_.begin() + static_cast<std::ptrdiff_t>(std::min(next + 1, v4_.size()));
  return among(from, to, address);
}

bool Members::contain6(fw::Ip ip) const { return among(v6_.begin(), v6_.end(), ip.bits); }

Rules::Rules(fw::Policy policy, const Addresses& addresses)
    : policy_(std::move(policy)),
      hosts_(set_of(addresses.hosts)),
      apps_(set_of(policy_.app_networks)),
      blocked_(addresses.blocked),
      listed_(addresses.listed),
      trusted_(unite(set_of(policy_.trusted), addresses.allowed)),
      proxies_(set_of(policy_.proxies)) {
  for (const auto& [range, where] : fw::all_open_ports(policy_)) {
    for (std::uint32_t port = range.first; port <= range.last; ++port) {
      ports(range.protocol)[port].open = true;
    }
  }
  for (std::size_t i = 0; i < policy_.limits.size(); ++i) {
    const fw::Limit& limit = policy_.limits[i];
    if (limit.counts_pings()) ping_limit_ = static_cast<int>(i);
    for (const fw::PortRange& range : limit.ports) {
      for (std::uint32_t port = range.first; port <= range.last; ++port) {
        ports(range.protocol)[port].limit[static_cast<std::size_t>(limit.from)] =
            static_cast<std::int16_t>(i);
      }
    }
  }
  openings_ = fw::all_openings(policy_);
  for (const fw::Opening& opening : openings_) {
    fw::AddressSet sources = set_of(opening.from);
    for (const auto& [name, where] : opening.lists) {
      const auto list = addresses.lists.find(name);
      if (list != addresses.lists.end()) sources = unite(sources, list->second);
    }
    sources_.emplace_back(std::move(sources));
  }
  isolates_ = !policy_.apps.empty() || !policy_.addons.empty();
  for (std::size_t i = 0; i < policy_.apps.size(); ++i) {
    for (const fw::Ip ip : policy_.apps[i].addresses) {
      named_.emplace_back(ip, static_cast<std::int16_t>(i));
    }
  }
  std::sort(named_.begin(), named_.end());
  name_addons();
}

bool Rules::is_meant(std::size_t opening, fw::Ip source) const {
  return openings_[opening].for_all_sources() || sources_[opening].contain(source);
}

bool Rules::is_open(fw::Protocol protocol, std::uint16_t port, fw::Ip source) const {
  if (is_open(protocol, port)) return true;
  for (std::size_t i = 0; i < openings_.size(); ++i) {
    if (openings_[i].opens(protocol, port) && is_meant(i, source)) return true;
  }
  return false;
}

bool Rules::is_open(std::uint8_t protocol, fw::Ip source) const {
  for (std::size_t i = 0; i < openings_.size(); ++i) {
    const auto& known = openings_[i].protocols;
    if (std::find(known.begin(), known.end(), protocol) == known.end()) continue;
    if (is_meant(i, source)) return true;
  }
  return false;
}

void Rules::name_addons() {
  auto bind = [this](std::size_t app, const fw::Addon& addon) {
    for (const fw::Ip to : addon.addresses) {
      for (const fw::PortRange& range : addon.ports) {
        for (std::uint32_t port = range.first; port <= range.last; ++port) {
          reach_.emplace(static_cast<std::int16_t>(app), to, range.protocol,
                         static_cast<std::uint16_t>(port));
        }
      }
    }
  };
  for (std::size_t i = 0; i < policy_.apps.size(); ++i) {
    const auto& named = policy_.apps[i].addons;
    for (const fw::Addon& addon : policy_.addons) {
      const bool bound =
          !named || std::find(named->begin(), named->end(), addon.name) != named->end();
      if (bound) bind(i, addon);
    }
  }
}

int Rules::app_of(fw::Ip ip) const {
  const auto it = std::lower_bound(named_.begin(), named_.end(), std::pair{ip, std::int16_t{-1}});
  return it != named_.end() && it->first == ip ? it->second : -1;
}

bool Rules::reaches(fw::Ip from, fw::Ip to, fw::Protocol protocol, std::uint16_t port) const {
  const int app = app_of(from);
  return app >= 0 && reach_.contains({static_cast<std::int16_t>(app), to, protocol, port});
}

Client Rules::client(const fw::Limit& limit, fw::Ip source) const {
  if (limit.per == fw::LimitKey::app) {
    const int app = app_of(source);
    if (app >= 0) return {{}, static_cast<std::int16_t>(app)};
    return {source, -1};
  }
  const int length = fw::client_bits(policy_.translated, limit, source);
  const int host_bits = fw::address_bits(source.family) - length;
  return {{source.family, source.bits >> host_bits << host_bits}, -1};
}

}  // namespace simulate
