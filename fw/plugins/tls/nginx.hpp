// nginx's configuration for the sites of a policy.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "fw/plugins/plugin.hpp"
#include "fw/plugins/tls/proxied.hpp"

namespace fw::tls {

/// Where certbot keeps certificates, and where answers to challenges of HTTP-01 are looked for.
inline constexpr const char* kLetsEncrypt = "/etc/letsencrypt";
inline constexpr const char* kWebroot = "/var/lib/cloudron-fw-acme";

/// What is known of the host that nginx runs on.
struct NginxHost {
  std::string letsencrypt = kLetsEncrypt;
  std::string webroot = kWebroot;
  std::string limiter_socket = kLimiterSocket;
  /// Groups of the key exchange that its OpenSSL has, the preferred one first.
  std::vector<std::string> groups{"X25519", "prime256v1", "secp384r1"};
  /// Sites without a certificate yet, by name: their handshakes are rejected, so nginx starts, and
  /// the certificate can be had by HTTP.
  std::set<std::string, std::less<>> without_certificate{};
  /// Sites whose certificate names a server of OCSP, by name: its answers are stapled.
  std::set<std::string, std::less<>> with_ocsp{};
};

/// "http.conf", to be included in the block http, and "sites/NAME.conf" for each site. The texts
/// hold no ssl_ or other directive at the level of http that nginx.conf may have, too. Pure.
/// Errors: `policy`, a site whose app has no address; `tls.proxy` is none.
Result<std::vector<TextFile>> nginx_files(const Policy& policy, const NginxHost& host);

/// Certificate and key of a site: those of certbot, or the site's own.
struct CertificateFiles {
  std::string certificate;
  std::string key;
};
CertificateFiles certificate_files(const Site& site, const std::string& letsencrypt);

/// What certbot calls the certificate of a site: "example.org" for "*.example.org", too.
std::string certificate_name(const Site& site);

}  // namespace fw::tls
