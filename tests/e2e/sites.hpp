// Sites behind a real nginx with the configuration that cloudron-fw makes: a fixture, and the
// headers that each response has.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>

#include "tests/e2e/nginx.hpp"
#include "tests/lab/family.hpp"

namespace lab {

inline const std::string kProxiedApp = CLOUDRON_FW_TESTS "/e2e/proxied_app.py";

/// The headers of T2.
inline const std::vector<std::pair<std::string, std::string>> kHeaders = {
    {"strict-transport-security", "max-age=63072000"},
    {"x-xss-protection", "1; mode=block"},
    {"x-download-options", "noopen"},
    {"x-content-type-options", "nosniff"},
    {"x-permitted-cross-domain-policies", "none"},
    {"x-frame-options", "SAMEORIGIN"},
    {"referrer-policy", "no-referrer-when-downgrade"},
};

class WithSites : public OverFamily {
 protected:
  WithSites() {
    net.outside.sysctl("ipv6/ip_nonlocal_bind", "1");  // clients are routes, not addresses
    if (!eventually([this] { return app_.out_so_far() == "ready\n"; })) fail("no app");
  }

  /// A site, with more lines of the policy behind its own.
  std::string site(const std::string& name, const std::string& more = {}) const {
    return fmt::format(
        "[[site]]\nname = \"{}\"\ncertificate = \"files\"\ncert_file = \"{}\"\nkey_file = "
        "\"{}\"\n{}",
        name, certificate_.certificate, certificate_.key, more);
  }
  std::string wiki(const std::string& more = {}) const {
    return site("wiki.example.org",
                "upstream = \"http://127.0.0.1:3000\"\n"
                "password_routes = [\"/login\", \"/api/v1/login\"]\n" +
                    more);
  }
  Output install(const std::string& policy) {
    fw.policy(policy);
    return fw.must({"render", "nginx", "--install", "--nginx", nginx_.folder(), "--limiter",
                    limiter_socket()});
  }
  /// Where a service of limits would listen.
  std::string limiter_socket() const { return dir_ / "run/limit.sock"; }
  void serve(const std::string& policy) {
    install(policy);
    nginx_.start();
  }

  std::vector<Response> ask_all(const std::vector<std::string>& words, const std::string& name,
                                unsigned from = 1) const {
    return ask_from(client(family(), from), words, name).second;
  }
  std::pair<int, std::vector<Response>> ask_from(Ip from, const std::vector<std::string>& words,
                                                 const std::string& name) const {
    std::vector<std::string> all = {
        "curl",        "-sS",          "-i",       "--globoff",
        "--max-time",  "20",           "--cacert", certificate_.certificate,
        "--interface", to_string(from)};
    for (const char* port : {"80", "443"}) {
      all.insert(all.end(), {"--resolve", fmt::format("{}:{}:{}", name, port, bracketed(host()))});
    }
    all.insert(all.end(), words.begin(), words.end());
    const Output output = lab::run(net.outside, all);
    return {output.exit, parse_responses(output.out)};
  }
  Response ask(const std::string& url, const std::vector<std::string>& more = {},
               unsigned from = 1) const {
    const std::string rest = url.substr(url.find("://") + 3);
    std::vector<std::string> words = more;
    words.push_back(url);
    auto [exit, responses] =
        ask_from(client(family(), from), words, rest.substr(0, rest.find('/')));
    Response last = responses.empty() ? Response{} : responses.back();
    last.exit = exit;
    return last;
  }
  /// Statuses of as many requests over one connection, as fast as they go.
  std::vector<int> statuses(const std::string& url, unsigned count, Ip from) const {
    std::vector<std::string> words(count, url);
    std::vector<int> all;
    for (const Response& each : ask_from(from, words, "wiki.example.org").second)
      all.push_back(each.status);
    return all;
  }

  TempDir dir_;
  Process app_{net.host, {"python3", kProxiedApp, "3000"}};
  SelfSigned certificate_{net.host,
                          dir_.path(),
                          {"wiki.example.org", "www.example.org", "admin.example.org",
                           "dead.example.org", "other.example.org", "*.apps.example.org"}};
  Nginx nginx_{net.host};
};
inline void expect_headers(const Response& response, const std::string& what, bool hsts = true) {
  for (const auto& [name, value] : kHeaders) {
    if (!hsts && name == "strict-transport-security") {
      EXPECT_THAT(response.all(name), testing::IsEmpty()) << what;
    } else {
      EXPECT_EQ(response.one(name), value) << what << ": " << name;
    }
  }
}

}  // namespace lab
