// Stands in for the certificates of sites where the program is without OpenSSL.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/plugins/certs/certs.hpp"

#include "fw/plugins/tls/elsewhere/become.hpp"

namespace fw::certs {

Result<std::vector<SiteCertificate>> certificates(const CertificatesRequest&) {
  return tls::become_program_with_tls();
}

Result<RenewalReport> renew(const CertificatesRequest&, bool) {
  return tls::become_program_with_tls();
}

}  // namespace fw::certs
