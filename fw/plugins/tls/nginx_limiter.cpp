// The directives by which a rendered nginx asks the limiter's service.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/plugins/tls/nginx_limiter.hpp"

#include <string_view>

#include "fw/plugins/tls/proxied.hpp"

namespace fw::tls {
namespace {

/// A location that puts one question. `path` is of the service, `otherwise` the location whose
/// status stands for an answer that does not come.
void add_asking_location(std::string_view name, std::string_view path, const Site& site,
                         std::string_view otherwise, Lines& out) {
  out.open("location = /.cloudron-fw/{}", name);
  out.add("internal;");
  out.open("if ($cloudron_fw_counted = 0)");
  out.add("return 204;");
  out.close();
  out.add("proxy_pass http://cloudron_fw_limit{};", path);
  out.add("proxy_http_version 1.1;");
  out.add("proxy_pass_request_headers off;");
  out.add("proxy_pass_request_body off;");
  out.add("proxy_set_header Connection \"\";");
  out.add("proxy_set_header Content-Length \"\";");
  out.add("proxy_set_header X-Client $remote_addr;");
  out.add("proxy_set_header X-Peer $realip_remote_addr;");
  out.add("proxy_set_header X-Site {};", nginx_word(site.name));
  out.add("proxy_connect_timeout 250ms;");
  out.add("proxy_read_timeout 250ms;");
  out.add("proxy_intercept_errors on;");
  out.add("error_page 400 404 500 502 503 504 = {};", otherwise);
  out.close();
}

void add_status_location(std::string_view name, int status, Lines& out) {
  out.open("location {}", name);
  out.add("return {};", status);
  out.close();
}

void add_answer_headers(const std::vector<Header>& headers, Lines& out) {
  for (const auto& [name, value] : headers)
    out.add("add_header {} {} always;", name, nginx_word(value));
  out.add("default_type text/plain;");
}

}  // namespace

Questions questions_of(const Policy& policy) {
  if (policy.tls.limiter != RequestLimiter::services) return {};
  return {limit_of(policy, kPasswordLimit) != nullptr, !policy.proxies.empty()};
}

void add_limiter(const Questions& questions, const std::string& socket, Lines& out) {
  if (!questions.any()) return;
  out.open("upstream cloudron_fw_limit");
  out.add("server {} max_fails=0;", nginx_word("unix:" + socket));
  out.add("keepalive 32;");
  out.close();
}

void add_limiter_locations(const Policy& policy, const Site& site,
                           const std::vector<Header>& headers, Lines& out) {
  Questions questions = questions_of(policy);
  questions.passwords = questions.passwords && !site.password_routes.empty();
  if (!questions.any()) return;
  const bool closed = policy.tls.limiter_down == LimiterDown::closed;
  add_status_location("@cloudron_fw_open", 204, out);
  if (questions.passwords) {
    // The service answers 403, because nginx knows no 429 here; and that the client is blocked at
    // once, so that one question is enough.
    add_asking_location("password",
                        questions.blocked ? "/v1/limit/password?refuse=403&blocked=403"
                                          : "/v1/limit/password?refuse=403",
                        site, closed ? "@cloudron_fw_closed" : "@cloudron_fw_open", out);
  }
  if (questions.blocked)
    add_asking_location("blocked", "/v1/blocked", site, "@cloudron_fw_open", out);

  out.add("# A refusal by a limit says when to come back, one of a block does not.");
  out.open("location @cloudron_fw_refused");
  add_answer_headers(headers, out);
  out.add("add_header Retry-After $cloudron_fw_wait always;");
  out.open("if ($cloudron_fw_wait = \"\")");
  out.add("return 403 \"Your address is blocked.\\n\";");
  out.close();
  out.add("return 429 \"Too many requests. Try again later.\\n\";");
  out.close();
  if (!questions.passwords || !closed) return;
  add_status_location("@cloudron_fw_closed", 401, out);
  out.open("location @cloudron_fw_down");
  add_answer_headers(headers, out);
  out.add("add_header Retry-After 1 always;");
  out.add("return 503 \"This is not available at the moment. Try again in a second.\\n\";");
  out.close();
}

void add_question(const Policy& policy, Route route, Lines& out) {
  const Questions questions = questions_of(policy);
  const bool password = route == Route::password && questions.passwords;
  if (!password && !questions.blocked) return;
  out.add("auth_request /.cloudron-fw/{};", password ? "password" : "blocked");
  out.add("auth_request_set $cloudron_fw_wait $upstream_http_retry_after;");
  out.add("error_page 403 = @cloudron_fw_refused;");
  if (password && policy.tls.limiter_down == LimiterDown::closed)
    out.add("error_page 401 = @cloudron_fw_down;");
  out.add("error_page 429 @cloudron_fw_limited;");  // these three hide the server's
}

}  // namespace fw::tls
