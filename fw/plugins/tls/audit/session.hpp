// One whole TLS connection by OpenSSL, with whatever the server can: the chain, stapling, CT, and a
// request of HTTP.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "fw/plugins/tls/audit/connection.hpp"
#include "fw/plugins/tls/audit/http.hpp"

namespace fw::tls {

struct SessionFacts {
  std::string version;             ///< that was agreed on: "TLSv1.3"
  std::vector<std::string> chain;  ///< DER, the server's first, at most kTlsChainMax
  bool stapled = false;            ///< an answer of OCSP came along
  int scts = 0;                    ///< promises of CT logs, in the certificate or beside it
  std::optional<HttpHead> head;    ///< of the answer to GET /
  std::string no_head;             ///< why there is none
};

enum class AskHttp : std::uint8_t { yes, no };

/// An error when no session comes about, which an old server may cause.
Result<SessionFacts> open_session(const Target& target, AskHttp http, Clock::time_point deadline);

}  // namespace fw::tls
