// Limits of requests: what the limiter's service enforces, and no rule of the kernel.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "fw/base/address.hpp"
#include "fw/base/limits.hpp"
#include "fw/base/rate.hpp"
#include "fw/base/result.hpp"

namespace fw {

/// What shares one budget of requests.
enum class HttpKey : std::uint8_t { client, client_account, account, site };
/// "client", "client+account", "account", "site".
std::string_view to_string(HttpKey key);

/// [[limit]] with layer = "http".
struct HttpLimit {
  std::string name;
  HttpKey per = HttpKey::client;
  Rate rate;
  std::uint64_t burst = 0;  ///< token bucket size; parse fills in the default, rate.count
  int prefix4 = 32;
  int prefix6 = 64;
  Location where;

  /// An exact sliding window; else a token bucket.
  bool is_window() const { return rate.count <= kHttpWindowCountMax; }
  bool operator==(const HttpLimit&) const = default;
};

/// What [[offender]] says about refusals of requests.
struct HttpOffender {
  Rate after;                        ///< refusals, and reports of failed passwords
  std::vector<std::string> limits;   ///< of requests, at least one
  std::chrono::seconds block{3600};  ///< doubled at each repetition, up to `max`
  std::chrono::seconds max{7 * 86'400};

  bool operator==(const HttpOffender&) const = default;
};

/// All that a policy says about requests.
struct HttpRules {
  std::vector<HttpLimit> limits;
  /// IPv6 networks in which each address stands for an IPv4 host, so each is a client.
  std::vector<IpRange> translated;
  std::vector<HttpOffender> offenders;

  bool operator==(const HttpRules&) const = default;
};

/// A limit of the built-in default: without a place, by client, its burst as large as its count.
HttpLimit default_http_limit(std::string_view name, Rate rate);

}  // namespace fw
