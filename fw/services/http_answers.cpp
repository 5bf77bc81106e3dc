// What the limiter's service answers.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/services/http_answers.hpp"

#include <algorithm>
#include <chrono>
#include <iterator>
#include <utility>

#include <fmt/format.h>

#include "fw/base/limits.hpp"

namespace fw::services {
namespace {

constexpr std::string_view kLimitPath = "/v1/limit/";
constexpr std::string_view kAdmitted = "HTTP/1.1 204 No Content\r\n\r\n";

void bad_request(std::string& out, std::string_view text) {
  append_response(out, "400 Bad Request", text);
}

void refuse(std::string& out, std::string_view query, std::chrono::nanoseconds wait) {
  const auto seconds =
      std::max(std::chrono::ceil<std::chrono::seconds>(wait), std::chrono::seconds{1});
  const bool forbidden = query == "refuse=403";
  fmt::format_to(std::back_inserter(out),
                 "HTTP/1.1 {}\r\nRetry-After: {}\r\nContent-Length: 0\r\n\r\n",
                 forbidden ? "403 Forbidden" : "429 Too Many Requests", seconds.count());
}

/// The client itself holds the connection, as far as the proxy says.
bool is_direct(const HttpRequest& request, Ip client) {
  if (request.peer.empty() || request.peer == request.client) return true;
  const auto peer = parse_ip(request.peer);
  return peer && *peer == client;
}

std::chrono::milliseconds time_of(limiter::Ticks now) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(now * limiter::kTick);
}

/// What is wrong with a question, or "".
std::string_view fault_of(const HttpRequest& request) {
  if (!request.query.empty() && request.query != "refuse=403" && request.query != "refuse=429")
    return "the query may only be refuse=403 or refuse=429";
  if (std::max(request.account.size(), request.site.size()) > kServiceNameMax)
    return "X-Account and X-Site are at most 256 bytes long";
  return {};
}

}  // namespace

void append_response(std::string& out, std::string_view status, std::string_view text,
                     std::string_view headers) {
  fmt::format_to(std::back_inserter(out),
                 "HTTP/1.1 {}\r\n{}Content-Type: text/plain\r\nContent-Length: {}\r\n\r\n{}\n",
                 status, headers, text.size() + 1, text);
}

Api::Api(LimiterCore core, AskedFor asked, std::function<void(const WantedBlock&)> want)
    : core_(std::move(core)), asked_(std::move(asked)), want_(std::move(want)) {}

void Api::use(const HttpRules& rules) {
  core_.use(rules);
  offences_.use(rules);
}

void Api::answer(const HttpRequest& request, std::string_view body, limiter::Ticks now,
                 std::string& out) {
  if (request.path.starts_with(kLimitPath)) return answer_limit(request, now, out);
  if (request.path == "/v1/offence") return answer_offence(request, body, now, out);
  append_response(out, "404 Not Found", "only /v1/limit/NAME and /v1/offence exist");
}

void Api::answer_limit(const HttpRequest& request, limiter::Ticks now, std::string& out) {
  if (request.method != Method::get) {
    return append_response(out, "405 Method Not Allowed", "only GET is supported",
                           "Allow: GET\r\n");
  }
  if (const std::string_view fault = fault_of(request); !fault.empty())
    return bad_request(out, fault);
  Question question{request.path.substr(kLimitPath.size()), {}, request.account, request.site};
  if (!request.client.empty()) {
    const auto client = parse_ip(request.client);
    if (!client) return bad_request(out, "X-Client is not an address");
    question.client = *client;
    if (!request.site.empty() && is_direct(request, *client))
      asked_.note(request.site, *client, now);
  }
  const Decision decision = core_.decide(question, now);
  switch (decision.outcome) {
    case Outcome::admitted:
      out += kAdmitted;
      return;
    case Outcome::refused:
      refuse(out, request.query, decision.retry_after);
      if (question.client && is_direct(request, *question.client))
        count(*question.client, question.limit, request.site, now);
      return;
    case Outcome::unknown:
      return append_response(out, "404 Not Found",
                             "there is no [[limit]] of this name with layer = \"http\"");
    case Outcome::no_client:
      return bad_request(out, "X-Client is missing: the limit counts by client");
    case Outcome::no_account:
      return bad_request(out, "X-Account is missing: the limit counts by account");
    case Outcome::no_site:
      return bad_request(out, "X-Site is missing: the limit counts by site");
  }
}

void Api::answer_offence(const HttpRequest& request, std::string_view body, limiter::Ticks now,
                         std::string& out) {
  if (request.method != Method::post) {
    return append_response(out, "405 Method Not Allowed", "only POST is supported",
                           "Allow: POST\r\n");
  }
  if (!tokens_.allow(request.site, request.token)) {
    return append_response(out, "401 Unauthorized", "X-Site and the site's token are needed",
                           "WWW-Authenticate: Bearer\r\n");
  }
  const auto report = read_report(body);
  if (!report) return bad_request(out, report.error().what);
  if (!asked_.knows(request.site, report->client, now)) {
    return append_response(out, "403 Forbidden",
                           "nobody asked about this client for this site in the last ten minutes, "
                           "or it came through a proxy");
  }
  count(report->client, report->limit, request.site, now);
  append_response(out, "202 Accepted", "counted");
}

void Api::count(Ip client, std::string_view limit, std::string_view site, limiter::Ticks now) {
  if (const auto wanted = offences_.see(client, limit, site, time_of(now))) want_(*wanted);
}

}  // namespace fw::services
