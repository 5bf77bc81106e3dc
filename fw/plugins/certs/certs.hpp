// The certificates of the policy's sites: what there is, and their renewal by certbot.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "fw/base/result.hpp"
#include "fw/plugins/certs/records.hpp"
#include "fw/plugins/tls/audit/certificate.hpp"
#include "fw/plugins/tls/plugin.hpp"
#include "fw/policy/policy.hpp"

namespace fw::certs {

struct SiteCertificate {
  std::string site;
  CertificateFrom from = CertificateFrom::certbot;
  std::string file;
  std::optional<tls::CertificateFacts> facts{};  ///< none: it cannot be read
  std::string problem{};                         ///< why it cannot be used; "" when it can
  bool alarming = false;
  std::optional<sys_seconds> next{};  ///< when it is renewed; none: the admin renews it
  RenewalRecord record{};
};

struct CertificatesRequest {
  const Policy& policy;
  const tls::InstallPlaces& places;
  std::string kept;  ///< what `keep` was given last; "" at first
  sys_seconds now;
  double spread;  ///< see next_renewal()
  /// Is given what is to be kept after each step of a renewal: it may be killed at any moment.
  std::function<void(const std::string&)> keep{};
};

/// In the order of the sites. It is an error only that this program cannot read certificates.
Result<std::vector<SiteCertificate>> certificates(const CertificatesRequest& request);

struct RenewalFailure {
  std::string site;    ///< or "nginx"
  std::string reason;  ///< safe to print
  bool alarming = false;
  bool told = false;  ///< somebody has been told of it by now

  bool operator==(const RenewalFailure&) const = default;
};

struct RenewalReport {
  bool installed = true;               ///< false: nginx has no sites, so nothing was done
  std::vector<std::string> renewed{};  ///< sites
  std::vector<RenewalFailure> failed{};
  std::vector<std::string> warnings{};
};

/// Renews what is due, or `all`, and has nginx use it: one reload for all of them. A site that
/// fails keeps its certificate, and the others are renewed all the same; whom the policy names is
/// told. That nginx does not use what was renewed is a failure of "nginx". Sites that nginx
/// has are renewed with the folders that they were installed with. An error: see certificates().
Result<RenewalReport> renew(const CertificatesRequest& request, bool all);

}  // namespace fw::certs
