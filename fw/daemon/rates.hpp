// Two samples of the daemon's counts as rates.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "fw/host/counts.hpp"

namespace fw {

struct LimitRates {
  std::string name;
  std::string rate;     ///< as the policy says it
  double accepted = 0;  ///< a second
  double refused = 0;   ///< a second
  std::uint64_t sources = 0;
  double fill = 0;  ///< of the fullest meter, 0 to 1

  bool operator==(const LimitRates&) const = default;
};

struct NamedRate {
  std::string name;
  double rate = 0;  ///< a second

  bool operator==(const NamedRate&) const = default;
};

struct NamedCount {
  std::string name;
  std::uint64_t count = 0;

  bool operator==(const NamedCount&) const = default;
};

/// What `top` shows.
struct Rates {
  double connections = 0;  ///< a second, of the ports that the policy counts
  double refused = 0;      ///< a second, by all limits
  std::uint64_t open = 0;
  std::vector<LimitRates> limits;
  std::vector<NamedRate> dropped;
  std::vector<NamedRate> apps;
  std::vector<NamedCount> busiest;  ///< of the last seconds
  std::vector<NamedCount> most_refused;
  std::vector<NamedCount> blocks;  ///< by origin
  std::uint64_t repairs = 0;
  std::uint64_t lost = 0;  ///< events, since the daemon began
  bool off = false;

  bool operator==(const Rates&) const = default;
};

/// From two counts, the earlier first. What went back began again between them: its rate is 0.
Rates rates(const Counts& before, const Counts& after);

}  // namespace fw
