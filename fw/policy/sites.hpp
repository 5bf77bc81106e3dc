// What stands in front of apps: sites, and how their reverse proxy speaks TLS.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "fw/base/result.hpp"

namespace fw {

enum class ReverseProxy : std::uint8_t { none, nginx };  ///< none: nothing is rendered

/// Of Mozilla's guidelines for servers, version 6.0.
enum class TlsProfile : std::uint8_t { intermediate, modern };

/// Who counts requests that check a password: nginx itself in steps, or the limiter's service
/// exactly. That also knows which clients are blocked.
enum class RequestLimiter : std::uint8_t { nginx, services };

/// What becomes of such a request while the service does not answer.
enum class LimiterDown : std::uint8_t { open, closed };

/// [tls]: what holds for all sites.
struct Tls {
  ReverseProxy proxy = ReverseProxy::nginx;
  TlsProfile profile = TlsProfile::intermediate;
  std::chrono::seconds hsts{730 * 86'400};
  bool hsts_subdomains = false;
  std::string referrer_policy = "no-referrer-when-downgrade";
  std::string acme_email;  ///< "": the account has none
  std::string acme_server = "https://acme-v02.api.letsencrypt.org/directory";
  std::string dns_hook;  ///< certbot's hook for challenges by DNS; "": there is none
  std::vector<std::string> notify_command{};  ///< program and arguments; none: no command
  std::string notify_mail;                    ///< "": no mail
  RequestLimiter limiter = RequestLimiter::nginx;
  LimiterDown limiter_down = LimiterDown::open;

  bool operator==(const Tls&) const = default;
};

enum class CertificateFrom : std::uint8_t { certbot, files };

/// [[site]]: an app by its names. Each text was checked when it was read
/// (fw/plugins/tls/words.hpp).
struct Site {
  std::string name;                  ///< "wiki.example.org", "*.example.org"
  std::vector<std::string> aliases;  ///< as name
  std::string app;                   ///< its address is that of this app; "": upstream says it
  std::string upstream;              ///< "http://127.0.0.1:3000"
  std::uint16_t port = 0;            ///< of the app; 0: upstream says it
  std::vector<std::string> password_routes;
  bool admin = false;
  std::string csp;  ///< "": the app's own, and the built-in one of an admin page
  std::vector<std::pair<std::string, std::string>> headers;  ///< of the admin's own: name, value
  std::uint64_t body_bytes = 0;                              ///< the largest body of a request
  bool websocket = true;
  CertificateFrom certificate = CertificateFrom::certbot;
  std::string cert_file;  ///< "": certbot's place for the name
  std::string key_file;
  Location where;

  bool operator==(const Site&) const = default;
};

}  // namespace fw
