// The headers that every response of a site has.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/plugins/tls/headers.hpp"

#include <algorithm>

#include <fmt/format.h>
#include <strings.h>

namespace fw::tls {
namespace {

constexpr const char* kAdminCsp =
    "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; "
    "object-src 'none'";

void put(const Header& header, std::vector<Header>& headers) {
  const auto known = std::ranges::find_if(headers, [&header](const Header& each) {
    return strcasecmp(each.first.c_str(), header.first.c_str()) == 0;
  });
  if (known == headers.end()) {
    headers.push_back(header);
  } else {
    known->second = header.second;
  }
}

}  // namespace

std::vector<Header> plain_headers(const Tls& tls, const Site& site) {
  std::vector<Header> headers{
      {"X-XSS-Protection", "1; mode=block"}, {"X-Download-Options", "noopen"},
      {"X-Content-Type-Options", "nosniff"}, {"X-Permitted-Cross-Domain-Policies", "none"},
      {"X-Frame-Options", "SAMEORIGIN"},     {"Referrer-Policy", tls.referrer_policy},
  };
  if (!site.csp.empty()) {
    headers.emplace_back("Content-Security-Policy", site.csp);
  } else if (site.admin) {
    headers.emplace_back("Content-Security-Policy", kAdminCsp);
  }
  for (const Header& own : site.headers) put(own, headers);
  return headers;
}

std::vector<Header> site_headers(const Tls& tls, const Site& site) {
  std::vector<Header> headers;
  headers.emplace_back("Strict-Transport-Security",
                       fmt::format("max-age={}{}", tls.hsts.count(),
                                   tls.hsts_subdomains ? "; includeSubDomains" : ""));
  for (const Header& header : plain_headers(tls, site)) put(header, headers);
  return headers;
}

}  // namespace fw::tls
