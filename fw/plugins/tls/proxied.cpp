// What the configuration of every reverse proxy says about a site.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/plugins/tls/proxied.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "fw/base/suggest.hpp"

namespace fw::tls {

const HttpLimit* limit_of(const Policy& policy, std::string_view name) {
  const auto limit = std::ranges::find(policy.http_limits, name, &HttpLimit::name);
  return limit == policy.http_limits.end() ? nullptr : &*limit;
}

Result<std::string> upstream_of(const Policy& policy, const Site& site) {
  if (!site.upstream.empty()) return site.upstream;
  const auto app = std::ranges::find(policy.apps, site.app, &App::name);
  if (app == policy.apps.end() || app->addresses.empty()) {
    return fail(ErrorCode::policy,
                fmt::format("{}:{}: site {}: the address of app {} is not known yet; start its "
                            "container, or give [[app]] addresses",
                            site.where.file, site.where.line, quote(site.name), quote(site.app)));
  }
  const Ip ip = *std::ranges::min_element(app->addresses, {}, &Ip::family);
  const char* form = ip.family == Family::ipv6 ? "http://[{}]:{}" : "http://{}:{}";
  return fmt::format(fmt::runtime(form), to_string(ip), site.port);
}

std::string route_pattern(std::string_view route) {
  std::string pattern = "^";
  for (const char c : route.substr(0, route.find_last_not_of('/') + 1)) {
    if (std::string_view(".*+()").contains(c)) {
      pattern += fmt::format("[{}]", c);
    } else {
      pattern += c;
    }
    // Some apps strip the parameters of each segment: "/;x/login", "/api;x/v1".
    if (c == '/') {
      pattern.pop_back();
      pattern += "(?:;[^/]*)?/+(?:;[^/]*/+)*";
    }
  }
  // What continues the word is another route; ".json", a space or a parameter is none.
  return pattern + "(?:[^a-z0-9_-]|$)";
}

std::string plain_name(const Site& site) {
  return site.name.starts_with('*') ? "_wildcard" + site.name.substr(1) : site.name;
}

std::vector<std::string> networks(const std::vector<Located<IpRange>>& ranges) {
  std::vector<std::string> all;
  for (const Located<IpRange>& range : ranges) {
    for (const IpRange& prefix : prefixes(range.value)) all.push_back(to_string(prefix));
  }
  return all;
}

Result<void> check_counts_by_client(const HttpLimit& limit, std::string_view proxy) {
  if (limit.per == HttpKey::client) return {};
  return fail(ErrorCode::policy,
              fmt::format("{}:{}: limit {} counts by {}, which {} does not know of a request; use "
                          "per = \"client\"",
                          limit.where.file, limit.where.line, quote(limit.name),
                          to_string(limit.per), proxy));
}

}  // namespace fw::tls
