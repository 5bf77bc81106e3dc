// [tls] and [[site]]: what an admin says of the sites in front of apps.
// SPDX-License-Identifier: GPL-2.0-or-later
#include <array>
#include <utility>

#include <fmt/format.h>

#include "fw/base/limits.hpp"
#include "fw/plugins/tls/contribution.hpp"
#include "fw/plugins/tls/words.hpp"

namespace fw::tls {
namespace {

constexpr std::array<std::pair<std::string_view, ReverseProxy>, 2> kProxies{
    {{"nginx", ReverseProxy::nginx}, {"none", ReverseProxy::none}}};
constexpr std::array<std::pair<std::string_view, TlsProfile>, 2> kProfiles{
    {{"intermediate", TlsProfile::intermediate}, {"modern", TlsProfile::modern}}};
constexpr std::array<std::pair<std::string_view, RequestLimiter>, 2> kLimiters{
    {{"nginx", RequestLimiter::nginx}, {"services", RequestLimiter::services}}};
constexpr std::array<std::pair<std::string_view, LimiterDown>, 2> kDown{
    {{"open", LimiterDown::open}, {"closed", LimiterDown::closed}}};
constexpr std::array<std::pair<std::string_view, CertificateFrom>, 2> kCertificates{
    {{"certbot", CertificateFrom::certbot}, {"files", CertificateFrom::files}}};

constexpr std::uint64_t kBodyBytes = 1u << 30;
constexpr std::uint64_t kBodyBytesMax = std::uint64_t{1} << 40;

std::pair<std::string, std::string> split_header(const std::string& text) {
  const std::size_t colon = text.find(':');
  const std::size_t value = text.find_first_not_of(' ', colon + 1);
  return {text.substr(0, colon), text.substr(value)};
}

std::string array_of(std::string_view what, std::size_t most) {
  return at_most(fmt::format("array of {}", what), most);
}

/// Keys that go together, and those that exclude each other.
void check_keys(Section& section, const Site& site) {
  const bool has_app = section.has("app");
  const bool has_upstream = section.has("upstream");
  if (has_app && has_upstream)
    section.error("upstream", "a site has either app or upstream; remove one of the two");
  if (!has_app && !has_upstream)
    section.error(
        "[[site]] lacks its server; add e.g. app = \"wiki\" and port = 3000, or upstream = "
        "\"http://127.0.0.1:3000\"");
  if (has_app && !section.has("port"))
    section.error("[[site]] lacks the port of its app; add e.g. port = 3000");
  if (!has_app && section.has("port"))
    section.error("port", "port goes with app; write it into upstream instead");
  for (const char* key : {"cert_file", "key_file"}) {
    const bool wanted = site.certificate == CertificateFrom::files;
    if (wanted && !section.has(key))
      section.error(
          fmt::format("certificate = \"files\" needs {}; add e.g. {} = "
                      "\"/etc/ssl/wiki.pem\"",
                      key, key));
    if (!wanted && section.has(key))
      section.error(key, fmt::format("{} goes with certificate = \"files\"; certbot chooses its "
                                     "own",
                                     key));
  }
}

void read_site(Section& section, const Keys<Site>& keys) {
  Site site;
  site.where = section.where();
  site.body_bytes = kBodyBytes;
  keys.read(section, site);
  check_keys(section, site);
  section.draft().policy.sites.push_back(std::move(site));
}

Table tls_table() {
  return with_keys(
      {.name = "tls", .defines = "how the reverse proxy of the sites speaks TLS"},
      {{{"proxy", "`\"nginx\"` or `\"none\"`", "`\"nginx\"`",
         "the reverse proxy; with `\"none\"` nothing is rendered"},
        [](ValueReader& in, const Value& value, Policy& policy) {
          in.choose(value, kProxies, policy.tls.proxy);
        }},
       {{"profile", "`\"intermediate\"` or `\"modern\"`", "`\"intermediate\"`",
         "Mozilla's profile, version 6.0: TLS 1.2 and 1.3, or 1.3 alone"},
        [](ValueReader& in, const Value& value, Policy& policy) {
          in.choose(value, kProfiles, policy.tls.profile);
        }},
       {{"hsts", "time", "`\"730d\"`",
         "how long browsers use HTTPS only (HSTS); `\"0s\"`: browsers forget it"},
        [](ValueReader& in, const Value& value, Policy& policy) {
          policy.tls.hsts = in.duration_or_zero(value).value_or(policy.tls.hsts);
        }},
       {{"hsts_subdomains", "true or false", "`false`",
         "whether HSTS holds for all subdomains of a site's name, too"},
        [](ValueReader& in, const Value& value, Policy& policy) {
          policy.tls.hsts_subdomains = in.boolean(value).value_or(false);
        }},
       {{"referrer_policy", "policy of the W3C", "`\"no-referrer-when-downgrade\"`",
         "the header Referrer-Policy"},
        [](ValueReader& in, const Value& value, Policy& policy) {
          policy.tls.referrer_policy = in.text(value, "same-origin", referrer_policy_complaint);
        }},
       {{"limiter", "`\"nginx\"` or `\"services\"`", "`\"nginx\"`",
         "what counts the requests to `password_routes`: nginx, in steps, or the limiter's "
         "service, "
         "exactly"},
        [](ValueReader& in, const Value& value, Policy& policy) {
          in.choose(value, kLimiters, policy.tls.limiter);
        }},
       {{"limiter_down", "`\"open\"` or `\"closed\"`", "`\"open\"`",
         "what these requests get while the service does not answer: they pass, or get status 503"},
        [](ValueReader& in, const Value& value, Policy& policy) {
          in.choose(value, kDown, policy.tls.limiter_down);
        }},
       {{"acme_email", "mail address", "none", "the contact of the account at the CA"},
        [](ValueReader& in, const Value& value, Policy& policy) {
          policy.tls.acme_email = in.text(value, "admin@example.org", mail_complaint);
        }},
       {{"acme_server", "https URL", "Let's Encrypt's", "the directory of the CA's ACME server"},
        [](ValueReader& in, const Value& value, Policy& policy) {
          policy.tls.acme_server = in.text(value, "https://acme-v02.api.letsencrypt.org/directory",
                                           acme_server_complaint);
        }},
       {{"dns_hook", "path", "none",
         "a program that certbot runs to publish a challenge by DNS, which wildcards need"},
        [](ValueReader& in, const Value& value, Policy& policy) {
          policy.tls.dns_hook =
              in.text(value, "/usr/local/sbin/publish-challenge", program_complaint);
        }},
       {{"notify_command", array_of("words", kCommandWordsMax), "`[]`",
         "a program with its arguments that is run when a renewal fails"},
        [](ValueReader& in, const Value& value, Policy& policy) {
          policy.tls.notify_command =
              in.texts(value, "a word of notify_command", "/usr/local/bin/notify",
                       command_word_complaint, kCommandWordsMax);
        }},
       {{"notify_mail", "mail address", "none", "who gets a mail when a renewal fails"},
        [](ValueReader& in, const Value& value, Policy& policy) {
          policy.tls.notify_mail = in.text(value, "admin@example.org", mail_complaint);
        }}});
}

std::vector<Key<Site>> server_keys() {
  return {
      {{"name", "domain name", "needed", "its name; `*` may stand for the first label",
        "name = \"wiki.example.org\""},
       [](ValueReader& in, const Value& value, Site& site) {
         site.name = in.text(value, "wiki.example.org", site_name_complaint);
       }},
      {{"aliases", array_of("domain names", kSiteNamesMax), "`[]`", "further names of it"},
       [](ValueReader& in, const Value& value, Site& site) {
         site.aliases = in.texts(value, "a name of aliases", "www.example.org", site_name_complaint,
                                 kSiteNamesMax);
       }},
      {{"app", "name of an app", "none", "the app that it leads to, with `port`"},
       [](ValueReader& in, const Value& value, Site& site) { site.app = in.name(value); }},
      number_key<Site>("port", &Site::port, 1, 65'535, "needed with `app`",
                       "the port on which the app listens for HTTP"),
      {{"upstream", "URL without a path", "none",
        "the server that it leads to, instead of `app`: `http`, `https`, or `http://unix:/PATH`"},
       [](ValueReader& in, const Value& value, Site& site) {
         site.upstream = in.text(value, "http://127.0.0.1:3000", upstream_complaint);
       }},
  };
}

std::vector<Key<Site>> response_keys() {
  return {
      {{"password_routes", array_of("paths", kSiteRoutesMax), "`[]`",
        "paths, with all below them, that check a password: the limit `password` counts their "
        "requests"},
       [](ValueReader& in, const Value& value, Site& site) {
         site.password_routes = in.texts(value, "a path of password_routes", "/login",
                                         route_complaint, kSiteRoutesMax);
       }},
      {{"admin", "true or false", "`false`", "true: an admin page, which gets a strict CSP"},
       [](ValueReader& in, const Value& value, Site& site) {
         site.admin = in.boolean(value).value_or(false);
       }},
      {{"csp", "text", "the app's own", "the header Content-Security-Policy"},
       [](ValueReader& in, const Value& value, Site& site) {
         site.csp = in.text(value, "default-src 'self'", header_value_complaint);
       }},
      {{"headers", array_of("headers", kSiteRoutesMax), "`[]`",
        "headers of each response: `[\"X-Robots-Tag: noindex\"]`"},
       [](ValueReader& in, const Value& value, Site& site) {
         for (const std::string& header :
              in.texts(value, "a header of headers", "X-Robots-Tag: noindex", header_complaint,
                       kSiteRoutesMax))
           site.headers.push_back(split_header(header));
       }},
      {{"body_max", "size", "`\"1GiB\"`", "the largest body of a request"},
       [](ValueReader& in, const Value& value, Site& site) {
         site.body_bytes = in.size(value, 1024, kBodyBytesMax).value_or(kBodyBytes);
       }},
      {{"websocket", "true or false", "`true`", "whether connections may become websockets"},
       [](ValueReader& in, const Value& value, Site& site) {
         site.websocket = in.boolean(value).value_or(true);
       }},
  };
}

std::vector<Key<Site>> certificate_keys() {
  return {
      {{"certificate", "`\"certbot\"` or `\"files\"`", "`\"certbot\"`",
        "where its certificate comes from"},
       [](ValueReader& in, const Value& value, Site& site) {
         in.choose(value, kCertificates, site.certificate);
       }},
      {{"cert_file", "path", "needed with `\"files\"`", "certificate and chain, in PEM"},
       [](ValueReader& in, const Value& value, Site& site) {
         site.cert_file = in.text(value, "/etc/ssl/wiki.pem", path_complaint);
       }},
      {{"key_file", "path", "needed with `\"files\"`", "its private key, in PEM"},
       [](ValueReader& in, const Value& value, Site& site) {
         site.key_file = in.text(value, "/etc/ssl/wiki.key", path_complaint);
       }},
  };
}

Table site_table() {
  std::vector<Key<Site>> keys = server_keys();
  for (auto& more : {response_keys(), certificate_keys()})
    keys.insert(keys.end(), more.begin(), more.end());
  return with_keys<Site>({.name = "site",
                          .defines = "an app by its domain names, behind the reverse proxy",
                          .max = kSitesMax},
                         std::move(keys), read_site);
}

}  // namespace

std::vector<Table> tables() { return {tls_table(), site_table()}; }

}  // namespace fw::tls
