// What is kept of earlier attempts to renew certificates.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "fw/plugins/certs/renewal.hpp"

namespace fw::certs {

/// What came of earlier attempts, by the site's name.
using RenewalRecords = std::map<std::string, RenewalRecord, std::less<>>;

/// The form that is kept. Reading takes what can be taken: a lost record only loses a pause.
std::string to_text(const RenewalRecords& records);
/// Times that lie ahead of now are now: the clock was wrong, and must not hold up renewals.
RenewalRecords read_records(std::string_view text, sys_seconds now);

/// Why certbot failed: the CA's words in its output, or its last refusal in the log, or the
/// output's last line; "" when there is none of them. certbot 2.1 hides some refusals behind an
/// error of its own, so that they are in its log only. At most 400 bytes, safe to print.
std::string reason_of(std::string_view output, std::string_view log);

}  // namespace fw::certs
