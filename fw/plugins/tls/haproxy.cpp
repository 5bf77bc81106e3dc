// Backends for whoever has HAProxy in front of the sites of a policy.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/plugins/tls/haproxy.hpp"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <span>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <strings.h>

#include "fw/base/address.hpp"
#include "fw/base/limits.hpp"
#include "fw/base/suggest.hpp"
#include "fw/plugins/tls/headers.hpp"
#include "fw/plugins/tls/proxied.hpp"

namespace fw::tls {
namespace {

/// Sections, whose lines are indented.
class Sections {
 public:
  template <class... Args>
  void open(fmt::format_string<Args...> format, Args&&... args) {
    text_ += fmt::format(format, std::forward<Args>(args)...) + "\n";
  }
  template <class... Args>
  void add(fmt::format_string<Args...> format, Args&&... args) {
    text_ += "    " + fmt::format(format, std::forward<Args>(args)...) + "\n";
  }
  std::string text() && { return std::move(text_); }

 private:
  std::string text_ = "# Backends for the sites. Made by cloudron-fw; changes are lost.\n";
};

constexpr std::size_t kAclWordsMax = 32;  // HAProxy takes 64 words in a line

/// Networks of an acl; none: it never holds.
void add_sources(const char* name, const std::vector<std::string>& ranges, Sections& out) {
  for (std::span<const std::string> rest = ranges; !rest.empty();) {
    const auto some = rest.first(std::min(rest.size(), kAclWordsMax));
    out.add("acl {} src {}", name, fmt::join(some, " "));
    rest = rest.subspan(some.size());
  }
  if (ranges.empty()) out.add("acl {} always_false", name);
}

/// A table for what a limit has counted. No site's name has a "_".
void add_table(const HttpLimit& limit, Sections& out) {
  const auto period = limit.rate.period.count();
  out.open("\nbackend cloudron_fw_limit_{}", limit.name);
  out.add("stick-table type ipv6 size 200k expire {}s store http_req_rate({}s)", 2 * period,
          period);
}

/// Refuses a client that had its requests of a period, and counts all others. `counter` is one of
/// HAProxy's three; `when` is a list of acls.
void add_haproxy_limit(const HttpLimit& limit, int counter, std::string_view when, Sections& out) {
  const std::string key = fmt::format("src,ipmask({},{})", limit.prefix4, limit.prefix6);
  const auto period = static_cast<std::uint64_t>(limit.rate.period.count());
  const std::uint64_t wait = (period + limit.rate.count - 1) / limit.rate.count;
  out.add(
      "http-request return status 429 content-type text/plain "
      "string \"Too many requests. Try again later.\\n\" hdr Retry-After {} "
      "if {} {{ {},table_http_req_rate(cloudron_fw_limit_{}) ge {} }}",
      wait, when, key, limit.name, limit.rate.count);
  out.add("http-request track-sc{} {} table cloudron_fw_limit_{} if {}", counter, key, limit.name,
          when);
}

/// src becomes the last address of X-Forwarded-For that is not of a proxy.
void add_haproxy_client(const Policy& policy, Sections& out) {
  if (!policy.proxies.empty()) {
    add_sources("cloudron_fw_proxy", networks(policy.proxies), out);
    std::string when = "cloudron_fw_proxy";
    for (std::size_t hop = 1; hop <= kProxyHopsMax; ++hop) {
      const std::string last = fmt::format("req.hdr_ip(X-Forwarded-For,-{})", hop);
      out.add("http-request set-src {} if {}", last, when);
      // What stands before something else than an address is nobody's word.
      when += fmt::format(" {{ {} -m found }}", last);
    }
  }
  out.add("http-request set-header X-Forwarded-For %[src]");
  out.add("http-request set-header X-Real-IP %[src]");
  out.add("http-request set-header X-Forwarded-Host %[req.hdr(Host)]");
  out.add("http-request set-header X-Forwarded-Port %[dst_port]");
  out.add("http-request set-header X-Forwarded-Proto https");
  out.add("http-request del-header Forwarded");
}

/// http-after-response: on what HAProxy itself answers, too.
void add_haproxy_headers(const Tls& tls, const Site& site, Sections& out) {
  constexpr const char* kHsts = "Strict-Transport-Security";
  out.add("http-after-response del-header {}", kHsts);
  for (const auto& [name, value] : site_headers(tls, site))
    out.add("http-after-response set-header {} {}{}", name, haproxy_format(value),
            strcasecmp(name.c_str(), kHsts) == 0 ? " if { ssl_fc }" : "");
}

/// "server app 127.0.0.1:3000"
void add_server(std::string_view upstream, Sections& out) {
  constexpr std::string_view kUnix = "unix:/";
  const bool encrypted = upstream.starts_with("https:");
  std::string server(upstream.substr(upstream.find("//") + 2));
  std::string options = encrypted ? " ssl verify none" : "";
  if (server.starts_with(kUnix)) {
    server = "unix@/" + server.substr(kUnix.size());
  } else {
    const std::size_t bracket = server.find(']');
    const std::size_t colon = server.find(':', bracket == server.npos ? 0 : bracket);
    const std::string host = server.substr(0, colon);
    if (colon == server.npos) server += encrypted ? ":443" : ":80";
    if (encrypted && !host.starts_with('[') && !parse_ip(host))
      options += fmt::format(" sni str({})", host);
  }
  out.add("server app {}{}", server, options);
}

void add_routes(const Site& site, Sections& out) {
  for (const std::string& route : site.password_routes)
    out.add("acl cloudron_fw_route path,url_dec -m reg -i -- {}",
            haproxy_word(route_pattern(route)));
  out.add("# Browsers send no backslash and no dots to go up, and HAProxy does not resolve them.");
  out.add("acl cloudron_fw_route path,url_dec -m reg -- {}",
          haproxy_word(R"([\\]|(?:^|/)[.][.]?(?:[/;]|$))"));
}

void add_haproxy_site(const Policy& policy, const Site& site, std::string_view upstream,
                      Sections& out) {
  out.open("\n# For {}", site.name);
  for (const std::string& alias : site.aliases) out.open("# and {}", alias);
  out.open("backend cloudron_fw_{}", plain_name(site));
  out.add("mode http");
  add_haproxy_headers(policy.tls, site, out);
  out.add("http-request redirect scheme https code 308 unless {{ ssl_fc }}");
  if (site.websocket) {
    out.add("# Another protocol, as h2c, would carry requests past every limit.");
    out.add("acl cloudron_fw_websocket req.fhdr(Upgrade) -i websocket");
    out.add("http-request set-header Upgrade websocket if cloudron_fw_websocket");
    out.add("http-request del-header Upgrade unless cloudron_fw_websocket");
  } else {
    out.add("http-request del-header Upgrade");
  }
  add_haproxy_client(policy, out);
  add_sources("cloudron_fw_trusted", networks(policy.trusted), out);
  const HttpLimit* const password = limit_of(policy, kPasswordLimit);
  if (password != nullptr && !site.password_routes.empty()) {
    add_routes(site, out);
    add_haproxy_limit(*password, 1, "cloudron_fw_route !cloudron_fw_trusted", out);
  }
  if (const HttpLimit* const all = limit_of(policy, kHttpLimit); all != nullptr)
    add_haproxy_limit(*all, 2, "!cloudron_fw_trusted", out);
  add_server(upstream, out);
}

Result<void> check_for_haproxy(const HttpLimit& limit) {
  return check_counts_by_client(limit, "HAProxy");
}

}  // namespace

std::string haproxy_word(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (std::string_view("\"\\$").contains(c)) out += '\\';
    out += c;
  }
  return out + '"';
}

std::string haproxy_format(std::string_view text) {
  std::string doubled;
  for (const char c : text) doubled.append(c == '%' ? 2u : 1u, c);
  return haproxy_word(doubled);
}

Result<std::vector<TextFile>> haproxy_files(const Policy& policy) {
  Sections out;
  for (const char* name : {kPasswordLimit, kHttpLimit}) {
    const HttpLimit* const limit = limit_of(policy, name);
    if (limit == nullptr || policy.sites.empty()) continue;
    if (auto fits = check_for_haproxy(*limit); !fits) return std::unexpected(fits.error());
    add_table(*limit, out);
  }
  for (const Site& site : policy.sites) {
    const auto upstream = upstream_of(policy, site);
    if (!upstream) return std::unexpected(upstream.error());
    add_haproxy_site(policy, site, *upstream, out);
  }
  return std::vector<TextFile>{{"", "cloudron-fw.cfg", std::move(out).text()}};
}

}  // namespace fw::tls
