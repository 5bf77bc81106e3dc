// What the configuration of every reverse proxy says about a site.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "fw/base/address.hpp"
#include "fw/base/result.hpp"
#include "fw/policy/policy.hpp"

namespace fw::tls {

/// Where the limiter's service listens.
inline constexpr const char* kLimiterSocket = "/run/cloudron-fw-services/limit.sock";
inline constexpr const char* kPasswordLimit = "password";
inline constexpr const char* kHttpLimit = "http";

/// null: it is disabled.
const HttpLimit* limit_of(const Policy& policy, std::string_view name);

/// Where a site's requests go: "http://172.18.16.2:3000". Errors: `policy`, its app has no address.
Result<std::string> upstream_of(const Policy& policy, const Site& site);

/// A regular expression of PCRE and RE2, without a backslash. It matches a path and all below it,
/// as careless as servers are; to be used without regard to upper and lower case.
std::string route_pattern(std::string_view route);

/// The site's name where "*" means something else: "_wildcard.example.org".
std::string plain_name(const Site& site);

/// As prefixes: "198.51.100.0/24".
std::vector<std::string> networks(const std::vector<Located<IpRange>>& ranges);

/// Error `policy`: the limit counts by what `proxy` does not know of a request.
Result<void> check_counts_by_client(const HttpLimit& limit, std::string_view proxy);

}  // namespace fw::tls
