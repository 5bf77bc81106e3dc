// Whether a certificate names a server of OCSP.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <string_view>

namespace fw::tls {

/// Of the first certificate in a text of PEM: its server's answers can be stapled. A look for a few
/// bytes: no parser of certificates is needed where the files of a policy are written.
bool names_ocsp(std::string_view pem);

}  // namespace fw::tls
