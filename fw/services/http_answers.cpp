// What the limiter's service answers.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/services/http_answers.hpp"

#include <algorithm>
#include <chrono>
#include <iterator>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "fw/base/limits.hpp"

namespace fw::services {
namespace {

constexpr std::string_view kLimitPath = "/v1/limit/";
constexpr std::string_view kBlockedPath = "/v1/blocked";
constexpr std::string_view kAdmitted = "HTTP/1.1 204 No Content\r\n\r\n";
constexpr std::string_view kBlocked = "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n";

void bad_request(std::string& out, std::string_view text) {
  append_response(out, "400 Bad Request", text);
}

void only_get(std::string& out) {
  append_response(out, "405 Method Not Allowed", "only GET is supported", "Allow: GET\r\n");
}

/// The parts of a query; nothing where it has others.
struct Wishes {
  bool refuse_403 = false;
  bool blocked_403 = false;
};
std::optional<Wishes> wishes_of(std::string_view query) {
  Wishes wishes;
  while (!query.empty()) {
    const std::size_t end = std::min(query.find('&'), query.size());
    const std::string_view part = query.substr(0, end);
    query.remove_prefix(std::min(end + 1, query.size()));
    if (part == "refuse=403") {
      wishes.refuse_403 = true;
    } else if (part == "blocked=403") {
      wishes.blocked_403 = true;
    } else if (part != "refuse=429") {
      return {};
    }
  }
  return wishes;
}

void refuse(std::string& out, bool forbidden, std::chrono::nanoseconds wait) {
  const auto seconds =
      std::max(std::chrono::ceil<std::chrono::seconds>(wait), std::chrono::seconds{1});
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
  if (!wishes_of(request.query))
    return "the query may only have refuse=403, refuse=429 and blocked=403";
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

Responded Api::answer(const HttpRequest& request, std::string_view body, limiter::Ticks now,
                      std::string& out, const Again& again) {
  if (request.path.starts_with(kLimitPath)) return ask_limit(request, now, out, again);
  if (request.path == kBlockedPath) return answer_blocked(request, now, out, again);
  if (request.path == "/v1/offence") {
    answer_offence(request, body, now, out);
  } else {
    append_response(out, "404 Not Found", "only /v1/limit/NAME, /v1/blocked and /v1/offence exist");
  }
  return Responded::now;
}

Responded Api::answer_blocked(const HttpRequest& request, limiter::Ticks now, std::string& out,
                              const Again& again) {
  const auto client = parse_ip(request.client);
  if (request.method != Method::get) {
    only_get(out);
  } else if (!client) {
    bad_request(out, "X-Client is missing, or is not an address");
  } else if (is_direct(request, *client)) {
    out += kAdmitted;
  } else if (const auto blocked = blocked_.known(*client, time_of(now))) {
    out += *blocked ? kBlocked : kAdmitted;
  } else {
    blocked_.wait_for(*client, again);
    return Responded::later;
  }
  return Responded::now;
}

Responded Api::ask_limit(const HttpRequest& request, limiter::Ticks now, std::string& out,
                         const Again& again) {
  if (request.method != Method::get) {
    only_get(out);
    return Responded::now;
  }
  if (const std::string_view fault = fault_of(request); !fault.empty()) {
    bad_request(out, fault);
    return Responded::now;
  }
  const auto client = parse_ip(request.client);
  if (client && !is_direct(request, *client) && wishes_of(request.query)->blocked_403) {
    const auto blocked = blocked_.known(*client, time_of(now));
    if (!blocked) {
      blocked_.wait_for(*client, again);
      return Responded::later;
    }
    if (*blocked) {
      out += kBlocked;
      return Responded::now;
    }
  }
  answer_limit(request, now, out);
  return Responded::now;
}

void Api::answer_limit(const HttpRequest& request, limiter::Ticks now, std::string& out) {
  const Wishes wishes = wishes_of(request.query).value_or(Wishes{});
  // Whether a block would hit the client: the kernel's, or that of whoever asks.
  bool can_be_blocked = false;
  Question question{request.path.substr(kLimitPath.size()), {}, request.account, request.site};
  if (!request.client.empty()) {
    const auto client = parse_ip(request.client);
    if (!client) return bad_request(out, "X-Client is not an address");
    question.client = *client;
    can_be_blocked = wishes.blocked_403 || is_direct(request, *client);
    if (!request.site.empty() && can_be_blocked) asked_.note(request.site, *client, now);
  }
  const Decision decision = core_.decide(question, now);
  switch (decision.outcome) {
    case Outcome::admitted:
      out += kAdmitted;
      return;
    case Outcome::refused:
      refuse(out, wishes.refuse_403, decision.retry_after);
      if (can_be_blocked) count(*question.client, question.limit, request.site, now);
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
