// nginx's configuration for the sites of a policy.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/plugins/tls/nginx.hpp"

#include <algorithm>
#include <bit>
#include <optional>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "fw/base/suggest.hpp"
#include "fw/plugins/tls/headers.hpp"
#include "fw/plugins/tls/lines.hpp"
#include "fw/plugins/tls/nginx_limiter.hpp"
#include "fw/plugins/tls/proxied.hpp"

namespace fw::tls {
namespace {

// Mozilla, Server Side TLS 6.0, without the suites with DHE.
constexpr const char* kCiphers =
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:"
    "ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305";

/// The longest name that fits nginx's own size of a bucket of names, 64 bytes.
constexpr std::size_t kDefaultNameMax = 46;

/// A backslash, or a segment of one or two dots, plain or encoded: browsers send neither.
constexpr const char* kOddPath =
    R"re("~*^[^?]*(?:\\\\|%5c|(?:/|%2f)(?:\\.|%2e)(?:\\.|%2e)?(?:[/?;]|%2f|$))")re";

void add_listen(int port, std::string_view words, Lines& out) {
  out.add("listen {}{};", port, words);
  out.add("listen [::]:{}{};", port, words);
}

void add_headers(const std::vector<Header>& headers, Lines& out) {
  for (const auto& [name, value] : headers)
    out.add("add_header {} {} always;", name, nginx_word(value));
}

void add_protocols(const Policy& policy, const NginxHost& host, Lines& out) {
  const bool modern = policy.tls.profile == TlsProfile::modern;
  out.add("ssl_protocols {};", modern ? "TLSv1.3" : "TLSv1.2 TLSv1.3");
  if (!modern) out.add("ssl_ciphers {};", kCiphers);
  out.add("ssl_ecdh_curve {};", fmt::join(host.groups, ":"));
  out.add("ssl_prefer_server_ciphers off;");
  out.add("ssl_session_timeout 1d;");
  out.add("ssl_session_cache shared:cloudron_fw_tls:10m;");
  out.add("ssl_session_tickets off;");
}

void add_acme(const NginxHost& host, const std::vector<Header>& headers, Lines& out) {
  out.open("location ^~ /.well-known/acme-challenge/");
  add_headers(headers, out);
  out.add("root {};", nginx_word(host.webroot));
  out.add("default_type text/plain;");
  out.add("try_files $uri =404;");
  out.close();
}

/// Clients whose requests are not counted.
void add_counted(const Policy& policy, Lines& out) {
  out.open("geo $cloudron_fw_counted");
  out.add("default 1;");
  for (const Located<IpRange>& trusted : policy.trusted) {
    for (const IpRange& prefix : prefixes(trusted.value)) out.add("{} 0;", to_string(prefix));
  }
  out.close();
}

/// Of a server that no handshake leads to: a request with the name of another one comes here.
void add_misdirected(const std::vector<Header>& headers, Lines& out) {
  out.add("server_tokens off;");
  add_headers(headers, out);
  out.add("return 421;");
}

void add_real_clients(const Policy& policy, Lines& out) {
  if (policy.proxies.empty()) return;
  out.add("# The client's address, from whoever stands in front of this host.");
  for (const Located<IpRange>& proxy : policy.proxies) {
    for (const IpRange& prefix : prefixes(proxy.value))
      out.add("set_real_ip_from {};", to_string(prefix));
  }
  out.add("real_ip_header X-Forwarded-For;");
  out.add("real_ip_recursive on;");
}

/// nginx knows whole numbers a second or a minute.
std::string nginx_rate(const Rate& rate) {
  const auto period = static_cast<std::uint64_t>(rate.period.count());
  if (rate.count % period == 0) return fmt::format("{}r/s", rate.count / period);
  return fmt::format("{}r/m", std::max<std::uint64_t>(rate.count * 60 / period, 1));
}

Result<void> check_rates(const Policy& policy) {
  for (const char* name : {kPasswordLimit, kHttpLimit}) {
    const HttpLimit* const limit = limit_of(policy, name);
    if (limit == nullptr ||
        (questions_of(policy).passwords && name == std::string_view(kPasswordLimit)))
      continue;
    if (limit->rate.count * 60 < static_cast<std::uint64_t>(limit->rate.period.count()))
      return fail(ErrorCode::policy,
                  fmt::format("{}:{}: limit {}: nginx counts in minutes at most; use a rate of at "
                              "least 1/m, or [tls] limiter = \"services\" for passwords",
                              limit->where.file, limit->where.line, quote(limit->name)));
  }
  return {};
}

std::string http_text(const Policy& policy, const NginxHost& host) {
  Lines out;
  out.add("# What the sites share. Made by cloudron-fw; changes are lost.");
  std::size_t longest = 0;
  for (const Site& site : policy.sites) {
    longest = std::max(longest, site.name.size());
    for (const std::string& alias : site.aliases) longest = std::max(longest, alias.size());
  }
  if (longest > kDefaultNameMax)
    out.add("server_names_hash_bucket_size {};", std::bit_ceil(longest + 32));
  add_real_clients(policy, out);
  out.add("# Websockets: another protocol, as h2c, would carry requests past every limit.");
  out.open("map $http_upgrade $cloudron_fw_upgrade");
  out.add("default \"\";");
  out.add("\"~*^websocket$\" websocket;");
  out.close();
  out.open("map $cloudron_fw_upgrade $cloudron_fw_connection");
  out.add("default upgrade;");
  out.add("\"\" \"\";");
  out.close();
  out.add("# Spellings of a path that an app may read in another way than nginx does.");
  out.open("map $request_uri $cloudron_fw_odd");
  out.add("default 0;");
  out.add("{} 1;", kOddPath);
  out.close();
  add_counted(policy, out);
  out.add("# Whose requests share a limit: an address of IPv4, a /64 of IPv6.");
  out.open("map $binary_remote_addr $cloudron_fw_client");
  out.add("default $binary_remote_addr;");
  out.add("\"~(?s)^\\x00{{10}}\\xff\\xff(.{{4}})$\" $1;");
  out.add("\"~(?s)^(.{{8}}).{{8}}$\" $1;");
  out.close();
  out.open("map $cloudron_fw_counted $cloudron_fw_key");
  out.add("1 $cloudron_fw_client;");
  out.add("default \"\";");
  out.close();
  const Questions questions = questions_of(policy);
  for (const char* name : {kPasswordLimit, kHttpLimit}) {
    const HttpLimit* const limit = limit_of(policy, name);
    if (limit == nullptr || (questions.passwords && name == std::string_view(kPasswordLimit)))
      continue;
    out.add("limit_req_zone $cloudron_fw_key zone=cloudron_fw_{}:10m rate={};", name,
            nginx_rate(limit->rate));
  }
  add_limiter(questions, host.limiter_socket, out);
  out.add("");
  out.add("# Names that no site has.");
  const std::vector<Header> headers = plain_headers(policy.tls, Site{});
  out.open("server");
  add_listen(80, " default_server", out);
  out.add("server_name _;");
  out.add("server_tokens off;");
  add_headers(headers, out);
  add_acme(host, headers, out);
  out.open("location /");
  add_headers(headers, out);
  out.add("return 404;");
  out.close();
  out.close();
  out.open("server");
  add_listen(443, " ssl http2 default_server", out);
  out.add("server_name _;");
  add_misdirected(headers, out);
  add_protocols(policy, host, out);
  out.add("ssl_reject_handshake on;");
  out.close();
  return std::move(out).text();
}

/// At once as many as the burst has; later ones as they become due.
void add_limit(const Policy& policy, const char* name, Lines& out) {
  const HttpLimit* const limit = limit_of(policy, name);
  if (limit == nullptr) return;
  const std::string zone = fmt::format("limit_req zone=cloudron_fw_{}", name);
  if (limit->burst > 1) {
    out.add("{} burst={} nodelay;", zone, limit->burst - 1);
  } else {
    out.add("{};", zone);
  }
}

void add_proxied(const Site& site, const std::string& upstream, const std::vector<Header>& headers,
                 Lines& out) {
  add_headers(headers, out);
  for (const auto& [name, value] : headers) out.add("proxy_hide_header {};", name);
  out.add("proxy_pass {};", upstream);
  if (upstream.starts_with("https:")) out.add("proxy_ssl_server_name on;");
  out.add("proxy_http_version 1.1;");
  out.add("proxy_set_header Host $host;");
  out.add("proxy_set_header X-Real-IP $remote_addr;");
  out.add("proxy_set_header X-Forwarded-For $remote_addr;");
  out.add("proxy_set_header X-Forwarded-Host $host;");
  out.add("proxy_set_header X-Forwarded-Port $server_port;");
  out.add("proxy_set_header X-Forwarded-Proto $scheme;");
  out.add("proxy_set_header Forwarded \"\";");
  if (site.websocket) {
    out.add("proxy_set_header Upgrade $cloudron_fw_upgrade;");
    out.add("proxy_set_header Connection $cloudron_fw_connection;");
  } else {
    out.add("proxy_set_header Upgrade \"\";");
    out.add("proxy_set_header Connection \"\";");
  }
}

void add_plain_server(const Policy& policy, const NginxHost& host, const Site& site,
                      const std::string& names, Lines& out) {
  const std::vector<Header> headers = plain_headers(policy.tls, site);
  out.open("server");
  add_listen(80, "", out);
  out.add("server_name {};", names);
  out.add("server_tokens off;");
  add_headers(headers, out);
  add_acme(host, headers, out);
  out.open("location /");
  add_headers(headers, out);
  out.add("return 308 https://$host$request_uri;");
  out.close();
  out.close();
}

void add_refusal(const std::vector<Header>& headers, Lines& out) {
  out.add("error_page 429 @cloudron_fw_limited;");
  out.open("location @cloudron_fw_limited");
  add_headers(headers, out);
  out.add("add_header Retry-After 1 always;");
  out.add("default_type text/plain;");
  out.add("return 429 \"Too many requests. Try again in a second.\\n\";");
  out.close();
}

Result<std::string> site_text(const Policy& policy, const Site& site, const NginxHost& host) {
  const auto upstream = upstream_of(policy, site);
  if (!upstream) return std::unexpected(upstream.error());
  std::string names = site.name;
  for (const std::string& alias : site.aliases) names += " " + alias;
  const std::vector<Header> headers = site_headers(policy.tls, site);

  Lines out;
  out.add("# {}. Made by cloudron-fw; changes are lost.", site.name);
  add_plain_server(policy, host, site, names, out);
  out.open("server");
  add_listen(443, " ssl http2", out);
  out.add("server_name {};", names);
  add_protocols(policy, host, out);
  if (host.without_certificate.contains(site.name)) {
    out.add("# There is no certificate yet.");
    add_misdirected(headers, out);
    out.add("ssl_reject_handshake on;");
    out.close();
    return std::move(out).text();
  }
  const CertificateFiles files = certificate_files(site, host.letsencrypt);
  out.add("ssl_certificate {};", nginx_word(files.certificate));
  out.add("ssl_certificate_key {};", nginx_word(files.key));
  if (host.with_ocsp.contains(site.name)) out.add("ssl_stapling on;");
  out.add("server_tokens off;");
  out.add("client_max_body_size {};", site.body_bytes);
  out.add("limit_req_status 429;");
  add_headers(headers, out);
  if (!site.password_routes.empty()) {
    out.open("if ($cloudron_fw_odd)");
    out.add("return 400;");
    out.close();
  }
  add_refusal(headers, out);
  add_limiter_locations(policy, site, headers, out);
  for (const std::string& route : site.password_routes) {
    out.open("location ~* {}", nginx_word(route_pattern(route)));
    add_question(policy, Route::password, out);
    if (!questions_of(policy).passwords) add_limit(policy, kPasswordLimit, out);
    add_limit(policy, kHttpLimit, out);
    add_proxied(site, *upstream, headers, out);
    out.close();
  }
  out.open("location /");
  add_question(policy, Route::page, out);
  add_limit(policy, kHttpLimit, out);
  add_proxied(site, *upstream, headers, out);
  out.close();
  out.close();
  return std::move(out).text();
}

}  // namespace

std::string certificate_name(const Site& site) { return plain_name(site); }

CertificateFiles certificate_files(const Site& site, const std::string& letsencrypt) {
  if (site.certificate == CertificateFrom::files) return {site.cert_file, site.key_file};
  const std::string folder = letsencrypt + "/live/" + certificate_name(site);
  return {folder + "/fullchain.pem", folder + "/privkey.pem"};
}

Result<std::vector<TextFile>> nginx_files(const Policy& policy, const NginxHost& host) {
  if (policy.tls.proxy != ReverseProxy::nginx)
    return fail(ErrorCode::policy, "[tls] proxy is \"none\"; set it to \"nginx\"");
  if (auto counts = check_rates(policy); !counts) return std::unexpected(counts.error());
  std::vector<TextFile> files;
  files.push_back({"", "http.conf", http_text(policy, host)});
  for (const Site& site : policy.sites) {
    auto text = site_text(policy, site, host);
    if (!text) return std::unexpected(text.error());
    files.push_back({site.name, fmt::format("sites/{}.conf", plain_name(site)), *std::move(text)});
  }
  return files;
}

}  // namespace fw::tls
