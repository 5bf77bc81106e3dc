// Certificates and keys in files.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <string>

#include "fw/base/result.hpp"
#include "fw/plugins/tls/audit/certificate.hpp"

namespace fw::certs {

/// The first certificate of a file in PEM of at most kCertificateBytesMax: the site's own.
/// `missing`: there is no such file.
Result<tls::CertificateFacts> read_certificate_file(const std::string& path);

/// Is the key in one file that of the first certificate in the other? Both in PEM.
Result<void> key_fits(const std::string& certificate_path, const std::string& key_path);

}  // namespace fw::certs
