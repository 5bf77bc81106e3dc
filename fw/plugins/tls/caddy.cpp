// Snippets for the Caddyfile of whoever has Caddy in front of the sites of a policy.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/plugins/tls/caddy.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "fw/base/limits.hpp"
#include "fw/base/suggest.hpp"
#include "fw/plugins/tls/headers.hpp"
#include "fw/plugins/tls/lines.hpp"
#include "fw/plugins/tls/proxied.hpp"

namespace fw::tls {
namespace {

/// What is known when a site's snippet is written.
struct CaddySite {
  const Policy& policy;
  const Site& site;
  std::string upstream;
  const std::string& limiter;
};

/// The characters that no quotes of a Caddyfile protect. A lone brace would open a block, so it is
/// taken out of a longer text.
void add_caddy_letters(const std::vector<Header>& headers, Lines& out) {
  if (std::ranges::none_of(headers, [](const Header& header) {
        return header.second.find_first_of("{\\`") != std::string::npos;
      }))
    return;
  out.open("map ` {{` {{cloudron_fw_brace}}");
  out.add("`~^ (.)$` `${{1}}`");
  out.close();
  out.add("vars cloudron_fw_backslash `\\`");
  out.add("vars cloudron_fw_backtick \"`\"");
}

/// At once for what Caddy itself answers, and once more behind what the app has set. A field named
/// "defer" would be read as the option.
void add_caddy_headers(const std::vector<Header>& headers, Lines& out) {
  const auto field = [](const std::string& name) { return name == "defer" ? "Defer" : name; };
  for (const auto& [name, value] : headers) out.add("header {} {}", field(name), caddy_word(value));
  out.open("header");
  out.add("defer");
  for (const auto& [name, value] : headers) out.add("{} {}", field(name), caddy_word(value));
  out.close();
}

/// Makes the variable cloudron_fw_client. X-Forwarded-For holds nothing else behind this; it is
/// empty where nobody stands in front of this host.
void add_caddy_client(const Policy& policy, Lines& out) {
  if (policy.proxies.empty()) {
    out.add("request_header -X-Forwarded-For");
    out.add("vars cloudron_fw_client {{remote_host}}");
    return;
  }
  const std::string proxies = fmt::format("{}", fmt::join(networks(policy.proxies), " "));
  out.add("@cloudron_fw_direct not remote_ip {}", proxies);
  out.add("request_header @cloudron_fw_direct -X-Forwarded-For");
  out.add("# The last address that is not of a proxy: each step takes one away.");
  out.open("map {{vars.cloudron_fw_chain}} {{cloudron_fw_last}} {{cloudron_fw_rest}}");
  out.add("`~^(?:(.*),)? *([0-9A-Fa-f:.]+) *$` `${{2}}` `${{1}}`");
  out.add("default `` ``");
  out.close();
  out.add("vars cloudron_fw_chain {{header.X-Forwarded-For}}");
  out.add("request_header X-Forwarded-For {{cloudron_fw_last}}");
  out.add("@cloudron_fw_proxy remote_ip forwarded {}", proxies);
  for (std::size_t hop = 1; hop < kProxyHopsMax; ++hop) {
    out.open("route @cloudron_fw_proxy");
    out.add("vars cloudron_fw_chain {{cloudron_fw_rest}}");
    out.add("request_header X-Forwarded-For {{cloudron_fw_last}}");
    out.close();
  }
  out.add("vars cloudron_fw_client {{header.X-Forwarded-For}}");
  out.add("@cloudron_fw_unnamed vars {{vars.cloudron_fw_client}} ``");
  out.add("vars @cloudron_fw_unnamed cloudron_fw_client {{remote_host}}");
}

/// The app, told who asks. `matcher` ends in a space, or is "".
void add_caddy_app(const CaddySite& made, std::string_view matcher, Lines& out) {
  constexpr std::string_view kUnix = "unix:/";
  const std::string_view url = made.upstream;
  const bool encrypted = url.starts_with("https:");
  const std::string_view server = url.substr(url.find("//") + 2);
  if (server.starts_with(kUnix)) {
    out.open("reverse_proxy {}unix//{}", matcher, server.substr(kUnix.size()));
  } else {
    out.open("reverse_proxy {}{}", matcher, url);
  }
  out.add("header_up X-Forwarded-For {{vars.cloudron_fw_client}}");
  out.add("header_up X-Real-IP {{vars.cloudron_fw_client}}");
  if (encrypted) {
    out.open("transport http");
    out.add("tls_insecure_skip_verify");
    out.close();
  }
  out.close();
}

/// Asks the service about each password. Where it is away, the request goes on: at once after an
/// answer of another proxy in its place, and in handle_errors after none.
void add_caddy_limit(const CaddySite& made, Lines& out) {
  std::vector<std::string> patterns;
  for (const std::string& route : made.site.password_routes)
    patterns.push_back(route_pattern(route));
  const std::vector<std::string> trusted = networks(made.policy.trusted);
  out.open("@cloudron_fw_password");
  out.add("path_regexp `(?i){}`", fmt::join(patterns, "|"));
  if (!trusted.empty())
    out.add("not remote_ip {}{}", made.policy.proxies.empty() ? "" : "forwarded ",
            fmt::join(trusted, " "));
  out.close();
  out.add("vars @cloudron_fw_password cloudron_fw_limiter asked");
  out.open("forward_auth @cloudron_fw_password unix/{}", made.limiter);
  out.add("uri /v1/limit/{}", kPasswordLimit);
  out.add("header_up X-Client {{vars.cloudron_fw_client}}");
  out.add("header_up X-Peer {{remote_host}}");
  out.add("header_up X-Site {}", caddy_word(made.site.name));
  for (const char* name : {"X-Account", "Authorization", "Cookie"}) out.add("header_up -{}", name);
  out.open("transport http");
  out.add("dial_timeout 250ms");
  out.add("response_header_timeout 250ms");
  out.close();
  out.add("@refused status 429");
  out.open("handle_response @refused");
  out.add("header Retry-After {{rp.header.Retry-After}}");
  out.add("respond \"Too many requests. Try again later.\" 429");
  out.close();
  out.add("@away status 404 5xx");
  out.open("handle_response @away");
  out.add("vars cloudron_fw_limiter away");
  out.close();
  out.close();
  out.add("vars cloudron_fw_limiter answered");
}

void add_caddy_http(const CaddySite& made, Lines& out) {
  const std::vector<Header> headers = plain_headers(made.policy.tls, made.site);
  out.open("(cloudron_fw_http_{})", plain_name(made.site));
  add_caddy_letters(headers, out);
  add_caddy_headers(headers, out);
  out.add("redir https://{{host}}{{uri}} 308");
  out.close();
}

void add_caddy_https(const CaddySite& made, Lines& out) {
  const std::vector<Header> headers = site_headers(made.policy.tls, made.site);
  const bool limited =
      !made.site.password_routes.empty() && limit_of(made.policy, kPasswordLimit) != nullptr;
  out.open("(cloudron_fw_{})", plain_name(made.site));
  add_caddy_letters(headers, out);
  add_caddy_headers(headers, out);
  out.open("route");
  for (const char* name : {"Forwarded", "X-Real-IP"}) out.add("request_header -{}", name);
  if (made.site.websocket) {
    out.add("# Another protocol, as h2c, would carry requests past every limit.");
    out.add("@cloudron_fw_websocket header_regexp Upgrade `(?i)^websocket$`");
    out.add("@cloudron_fw_no_websocket not header_regexp Upgrade `(?i)^websocket$`");
    out.add("request_header @cloudron_fw_no_websocket -Upgrade");
    out.add("request_header @cloudron_fw_websocket Upgrade websocket");
  } else {
    out.add("request_header -Upgrade");
  }
  add_caddy_client(made.policy, out);
  if (limited) add_caddy_limit(made, out);
  add_caddy_app(made, "", out);
  out.close();
  if (limited) {
    out.open("handle_errors");
    add_caddy_headers(headers, out);
    out.add("@cloudron_fw_open vars {{vars.cloudron_fw_limiter}} asked");
    add_caddy_app(made, "@cloudron_fw_open ", out);
    out.close();
  }
  out.close();
}

/// What Caddy has no way to say.
Result<void> check_for_caddy(const Policy& policy, const Site& site) {
  for (const Header& header : site.headers) {
    if (header.first.starts_with('-'))
      return fail(
          ErrorCode::policy,
          fmt::format("{}:{}: site {}: Caddy would take the header {} for one to remove; "
                      "use another name",
                      site.where.file, site.where.line, quote(site.name), quote(header.first)));
  }
  const HttpLimit* const limit = limit_of(policy, kPasswordLimit);
  if (site.password_routes.empty() || limit == nullptr || limit->per == HttpKey::site) return {};
  return check_counts_by_client(*limit, "Caddy");
}

}  // namespace

std::string caddy_word(std::string_view text) {
  std::string out = "`";
  for (const char c : text) {
    if (c == '{') {
      out += "{cloudron_fw_brace}";
    } else if (c == '\\') {
      out += "{vars.cloudron_fw_backslash}";
    } else if (c == '`') {
      out += "{vars.cloudron_fw_backtick}";
    } else {
      out += c;
    }
  }
  return out + '`';
}

Result<std::vector<TextFile>> caddy_files(const Policy& policy, const std::string& limiter) {
  Lines out("\t");
  out.add("# Snippets for the sites. Made by cloudron-fw; changes are lost.");
  for (const Site& site : policy.sites) {
    if (auto fits = check_for_caddy(policy, site); !fits) return std::unexpected(fits.error());
    auto upstream = upstream_of(policy, site);
    if (!upstream) return std::unexpected(upstream.error());
    const CaddySite made{policy, site, *std::move(upstream), limiter};
    out.add("");
    out.add("# For http://{}", site.name);
    for (const std::string& alias : site.aliases) out.add("# and http://{}", alias);
    add_caddy_http(made, out);
    out.add("");
    out.add("# For {}", site.name);
    for (const std::string& alias : site.aliases) out.add("# and {}", alias);
    add_caddy_https(made, out);
  }
  return std::vector<TextFile>{{"", "cloudron-fw.caddy", std::move(out).text()}};
}

}  // namespace fw::tls
