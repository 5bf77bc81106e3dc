// What the limiter's service answers: from a request to the bytes of a response.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "fw/services/blocked_clients.hpp"
#include "fw/services/http_request.hpp"
#include "fw/services/limiter_core.hpp"
#include "fw/services/offences.hpp"
#include "fw/services/reports.hpp"
#include "fw/services/respond.hpp"
#include "limiter/gcra.hpp"

namespace fw::services {

/// Appends a response of HTTP/1.1 with a line of text for a person. `headers` are whole lines.
void append_response(std::string& out, std::string_view status, std::string_view text,
                     std::string_view headers = {});

/// All that can be asked (docs/services.md). A client whose X-Peer is another address came through
/// a proxy, and no block of packets hits it. So it is limited; and blocked, if who asks refuses
/// blocked clients as well.
class Api {
 public:
  /// `want` is called with each block that a refusal or a report leads to.
  Api(LimiterCore core, AskedFor asked, std::function<void(const WantedBlock&)> want);

  void use(const HttpRules& rules);
  void use(Tokens tokens) { tokens_ = std::move(tokens); }
  void sweep(limiter::Ticks now) { core_.sweep(now); }

  /// Appends the answer. `now` counts from any beginning that the budgets share.
  ///
  /// GET /v1/blocked: 204, or 403 for a client behind a proxy that is blocked; of others the kernel
  /// has dropped the packets. `later`, with `again`, while it is not known. Errors: 400, 405.
  ///
  /// GET /v1/limit/NAME: 204, or 429 with Retry-After in whole seconds. A proxy whose sub-requests
  /// know no 429 asks for another status of a refusal: ?refuse=403. With ?blocked=403 it has the
  /// answer of /v1/blocked first. Errors: 400 when a header lacks that the limit counts by, 404,
  /// 405.
  ///
  /// POST /v1/offence with a Report, X-Site and its token: 202. Errors: 400, 401 without the
  /// site's token, 403 when the site has not asked about that client lately, 405.
  Responded answer(const HttpRequest& request, std::string_view body, limiter::Ticks now,
                   std::string& out, const Again& again);

  /// Whom answers wait for.
  BlockedClients& blocked() { return blocked_; }

 private:
  Responded answer_blocked(const HttpRequest& request, limiter::Ticks now, std::string& out,
                           const Again& again);
  Responded ask_limit(const HttpRequest& request, limiter::Ticks now, std::string& out,
                      const Again& again);
  void answer_limit(const HttpRequest& request, limiter::Ticks now, std::string& out);
  void answer_offence(const HttpRequest& request, std::string_view body, limiter::Ticks now,
                      std::string& out);
  void count(Ip client, std::string_view limit, std::string_view site, limiter::Ticks now);

  LimiterCore core_;
  AskedFor asked_;
  BlockedClients blocked_;
  Offences offences_;
  Tokens tokens_;
  std::function<void(const WantedBlock&)> want_;
};

}  // namespace fw::services
