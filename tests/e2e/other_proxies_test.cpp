// Sites behind Debian's Caddy and HAProxy with what `render` makes for them: headers once on every
// response, the limit of passwords, and whose address counts.
// SPDX-License-Identifier: GPL-2.0-or-later
#include <algorithm>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>

#include "tests/e2e/nginx.hpp"
#include "tests/lab/family.hpp"

namespace lab {
namespace {

using testing::AllOf;
using testing::Ge;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Le;
using testing::Not;

const std::string kName = "wiki.example.org";
const std::string kUrl = "https://" + kName;

/// Each character that a configuration could take for more than a letter.
const std::string kOdd =
    R"(a "b" 'c' `d` \e \\ \" {f} \{http.request.uri} {g %[src] %T %% ; # } @h)";

/// As a string of TOML.
std::string toml(const std::string& text) {
  std::string out;
  for (const char c : text) out += c == '"' || c == '\\' ? std::string{'\\', c} : std::string{c};
  return '"' + out + '"';
}

/// A site, its app and whoever asks; a proxy stands between them.
class BehindProxy : public OverFamily {
 protected:
  BehindProxy() {
    net.outside.sysctl("ipv6/ip_nonlocal_bind", "1");  // clients are routes, not addresses
    if (!eventually([this] { return app_->out_so_far() == "ready\n"; })) fail("no app");
  }

  void policy(const std::string& more = {}, const std::string& of_site = {}) {
    fw.policy(more + "[tls]\nproxy = \"none\"\n[[site]]\nname = \"" + kName +
              "\"\nupstream = \"http://127.0.0.1:3000\"\npassword_routes = [\"/login\", "
              "\"/api/v1/login\"]\nheaders = [" +
              toml("X-Odd: " + kOdd) + "]\n" + of_site);
  }
  /// One that believes what the seventh client says of others.
  void policy_with_proxy() {
    policy(fmt::format("[trusted]\nproxies = [\"{}\", \"198.18.200.0/24\"]\n",
                       to_string(client(family(), 7))));
  }

  /// The proxy as a program; returns when it answers.
  void start(const std::vector<std::string>& words) {
    proxy_ = std::make_unique<Process>(net.host, words);
    if (!eventually([this] { return ask("/ready").status == 200; }))
      fail("the proxy does not start: " + proxy_->err_so_far() + proxy_->out_so_far());
  }

  std::vector<Response> ask_all(const std::vector<std::string>& words, unsigned from) const {
    return ask_all(words, client(family(), from));
  }
  std::vector<Response> ask_all(const std::vector<std::string>& words, Ip from) const {
    std::vector<std::string> all = {"curl",        "-sS",          "-i",
                                    "--http1.1",   "--path-as-is", "--max-time",
                                    "20",          "--cacert",     certificate_.certificate,
                                    "--interface", to_string(from)};
    for (const char* port : {"80", "443"})
      all.insert(all.end(), {"--resolve", fmt::format("{}:{}:{}", kName, port, bracketed(host()))});
    all.insert(all.end(), words.begin(), words.end());
    return parse_responses(lab::run(net.outside, all).out);
  }
  Response ask(const std::string& path, std::vector<std::string> more = {},
               unsigned from = 1) const {
    more.push_back(path.starts_with('/') ? kUrl + path : path);
    const auto all = ask_all(more, from);
    return all.empty() ? Response{} : all.back();
  }
  /// Statuses of tries, as fast as they go over one connection, and how long they took.
  std::pair<std::vector<int>, double> tries(std::size_t count, Ip from,
                                            const std::string& path = "/login") const {
    const auto begin = Clock::now();
    std::vector<int> codes;
    for (const Response& each : ask_all(std::vector<std::string>(count, kUrl + path), from))
      codes.push_back(each.status);
    return {codes, seconds_of(Clock::now() - begin)};
  }

  void expect_headers(const Response& response, const std::string& what, bool hsts = true) const {
    for (const auto& [name, value] : std::vector<std::pair<std::string, std::string>>{
             {"x-xss-protection", "1; mode=block"},
             {"x-download-options", "noopen"},
             {"x-content-type-options", "nosniff"},
             {"x-permitted-cross-domain-policies", "none"},
             {"x-frame-options", "SAMEORIGIN"},
             {"referrer-policy", "no-referrer-when-downgrade"},
             {"x-odd", kOdd}})
      EXPECT_EQ(response.one(name), value) << what << ": " << name;
    if (hsts) {
      EXPECT_EQ(response.one("strict-transport-security"), "max-age=63072000") << what;
    } else {
      EXPECT_THAT(response.all("strict-transport-security"), IsEmpty()) << what;
    }
  }

  /// Of the app, of the proxy in the app's place, of a refusal and of the redirect.
  void expect_headers_everywhere() {
    for (const int status : {200, 301, 404, 500}) {
      const Response response = ask(fmt::format("/status/{}", status));
      EXPECT_EQ(response.status, status);
      expect_headers(response, std::to_string(status));
    }
    const Response redirect = ask("http://" + kName + "/a?b=%20c");
    EXPECT_EQ(redirect.status, 308);
    EXPECT_EQ(redirect.one("location"), kUrl + "/a?b=%20c");
    expect_headers(redirect, "redirect", false);
    const auto all = ask_all(std::vector<std::string>(30, kUrl + "/login"), 2);
    const auto refused = std::ranges::find(all, 429, &Response::status);
    ASSERT_NE(refused, all.end());
    EXPECT_EQ(refused->one("retry-after"), "1");
    expect_headers(*refused, "429");
    app_.reset();
    const Response dead = ask("/");
    EXPECT_THAT(dead.status, AllOf(Ge(502), Le(503)));
    expect_headers(dead, "without the app");
  }

  /// `due`: how many more than ten a second the proxy's way of counting lets through.
  void expect_ten_a_second(double due_a_second) {
    const auto [codes, took] = tries(40, client(family(), 1));
    ASSERT_EQ(codes.size(), 40u);
    const auto admitted = std::ranges::count(codes, 200);
    EXPECT_THAT(admitted, AllOf(Ge(10), Le(10 + static_cast<long>(took * due_a_second))));
    EXPECT_EQ(admitted + std::ranges::count(codes, 429), 40);
    if (took < 1 && due_a_second == 10) {
      EXPECT_EQ(std::ranges::count(codes.begin(), codes.begin() + 10, 200), 10);
    }
    EXPECT_EQ(ask("/login", {}, 2).status, 200) << "another client";
    EXPECT_EQ(std::ranges::count(tries(40, client(family(), 1), "/").first, 200), 40)
        << "other pages";
  }

  void expect_spellings_to_count() {
    std::vector<std::string> words;
    for (int i = 0; i < 6; ++i) {
      for (const char* path : {"/login", "/login/", "/LOGIN", "//login", "/%6Cogin", "/a/../login",
                               "/login;x=1", "/login/step?2", "/api//v1/login"})
        words.push_back(kUrl + path);
    }
    const auto begin = Clock::now();
    const auto all = ask_all(words, 1);
    const auto due = static_cast<long>(seconds_of(Clock::now() - begin) * 10) + 1;
    ASSERT_EQ(all.size(), 54u);
    EXPECT_LE(std::ranges::count(all, 200, &Response::status), 10 + due);
    EXPECT_EQ(std::ranges::count(tries(30, client(family(), 2), "/loginx").first, 200), 30);
  }

  void expect_networks_to_be_clients() {
    const auto begin = Clock::now();
    ASSERT_GT(std::ranges::count(tries(40, client(family(), 1)).first, 429), 0);
    const bool ipv6 = family() == Family::ipv6;
    const auto codes = tries(9, ipv6 ? client_of_same_64(1, 2) : client(family(), 2)).first;
    if (ipv6) {
      const auto due = static_cast<long>(seconds_of(Clock::now() - begin) * 10) + 1;
      EXPECT_LE(std::ranges::count(codes, 200), due);
    } else {
      EXPECT_EQ(std::ranges::count(codes, 200), 9);
    }
  }

  /// Whom the app was told of, by the header.
  std::string told(const Response& response, const std::string& header = "x-forwarded-for") const {
    const std::string before = "\"" + header + "\": \"";
    const auto at = response.body.find(before);
    if (at == std::string::npos) return "";
    const auto from = at + before.size();
    return response.body.substr(from, response.body.find('"', from) - from);
  }
  static std::vector<std::string> forged(const std::string& client) {
    return {"-H", "X-Forwarded-For: " + client, "-H", "X-Real-IP: " + client,
            "-H", "Forwarded: for=" + client,   "-H", "X-Client: " + client};
  }

  void expect_no_other_protocol_to_pass() {
    for (const char* protocol : {"h2c", "h2c, websocket"}) {
      const Response answer =
          ask("/", {"--http1.1", "-H", std::string("Upgrade: ") + protocol, "-H",
                    "Connection: Upgrade, HTTP2-Settings", "-H", "HTTP2-Settings: AAMAAABk"});
      EXPECT_THAT(answer.status, testing::AnyOf(200, 400)) << protocol;
      EXPECT_THAT(answer.body, Not(HasSubstr("h2c"))) << protocol;
    }
  }

  void expect_no_forger_to_be_believed() {
    const Response direct = ask("/", forged("198.18.99.99"), 3);
    EXPECT_EQ(told(direct), to_string(client(family(), 3)));
    EXPECT_EQ(told(direct, "x-real-ip"), to_string(client(family(), 3)));
    EXPECT_THAT(direct.body, Not(HasSubstr("for=198")));
    // A header for all tries of a connection does as well as one each: none counts for another.
    const auto begin = Clock::now();
    std::vector<Response> all;
    for (const char* client : {"198.18.99.1", "198.18.99.2", "198.18.99.3"}) {
      std::vector<std::string> words = forged(client);
      words.insert(words.end(), 10, kUrl + "/login");
      for (Response& each : ask_all(words, 3)) all.push_back(std::move(each));
    }
    const auto due = static_cast<long>(seconds_of(Clock::now() - begin) * 10) + 1;
    EXPECT_EQ(all.size(), 30u);
    EXPECT_LE(std::ranges::count(all, 200, &Response::status), 10 + due);
  }

  void expect_a_proxy_to_be_believed() {
    EXPECT_EQ(told(ask("/", forged("198.18.99.99"), 7)), "198.18.99.99");
    EXPECT_EQ(told(ask("/", forged("10.1.1.1, 198.18.99.98"), 7)), "198.18.99.98")
        << "what the client itself wrote is not believed";
    EXPECT_EQ(told(ask("/", forged("10.1.1.1, 198.18.99.97, 198.18.200.3,198.18.200.4"), 7)),
              "198.18.99.97")
        << "two further proxies";
    EXPECT_EQ(
        told(ask("/",
                 {"-H", "X-Forwarded-For: 198.18.99.96", "-H", "X-Forwarded-For: 2001:db8:99::1"},
                 7)),
        "2001:db8:99::1")
        << "a header twice";
    for (const char* odd :
         {"unknown", "", "{http.request.uri}", "%[src], x", "198.18.99.95, unknown"})
      EXPECT_EQ(told(ask("/", forged(odd), 7)), to_string(client(family(), 7))) << odd;
    // Each of them has a budget of its own.
    for (const char* client : {"198.18.99.1", "198.18.99.2", "198.18.99.3"}) {
      std::vector<std::string> words = forged(client);
      words.insert(words.end(), 9, kUrl + "/login");
      EXPECT_EQ(std::ranges::count(ask_all(words, 7), 200, &Response::status), 9) << client;
    }
    std::vector<std::string> words = forged("198.18.99.4");
    words.insert(words.end(), 40, kUrl + "/login");
    EXPECT_GT(std::ranges::count(ask_all(words, 7), 429, &Response::status), 0);
  }

  TempDir dir_;
  std::unique_ptr<Process> app_ = std::make_unique<Process>(
      net.host,
      std::vector<std::string>{"python3", CLOUDRON_FW_TESTS "/e2e/proxied_app.py", "3000"});
  SelfSigned certificate_{net.host, dir_.path(), {kName}};
  std::unique_ptr<Process> proxy_;
};

class BehindCaddy : public BehindProxy {
 protected:
  void serve_limits() {
    limiter_ = std::make_unique<Process>(net.host,
                                         fw.command({"services", "--runtime-dir", dir_ / "run"}));
    EXPECT_TRUE(eventually([this] {
      return lab::run(net.host, {"curl", "-s", "--unix-socket", socket(), "http://x/"}).ok();
    })) << limiter_->err_so_far();
  }
  void serve() {
    serve_limits();
    fw.must({"render", "caddy", "--limiter", socket(), "--to", dir_.path()});
    write_file(dir_ / "Caddyfile",
               fmt::format("{{\n\tadmin off\n\tauto_https off\n}}\n"
                           "import {0}/cloudron-fw.caddy\n\n"
                           "http://{1} {{\n\timport cloudron_fw_http_{1}\n}}\n\n"
                           "{1} {{\n\ttls {2} {3}\n\timport cloudron_fw_{1}\n}}\n",
                           dir_.path(), kName, certificate_.certificate, certificate_.key));
    start(caddy("run"));
  }
  std::string socket() const { return dir_ / "run/limit.sock"; }
  std::vector<std::string> caddy(const std::string& verb) const {
    return {"env",      "HOME=" + dir_.path(), "XDG_DATA_HOME=" + dir_.path(), "caddy", verb,
            "--config", dir_ / "Caddyfile"};
  }

  std::unique_ptr<Process> limiter_;
};
BOTH_FAMILIES(BehindCaddy);

TEST_P(BehindCaddy, EachResponseHasTheHeadersOnce) {
  policy();
  serve();
  expect_headers_everywhere();
}

TEST_P(BehindCaddy, AcceptsWhatIsRenderedWithoutAWarning) {
  policy_with_proxy();
  serve();
  const Output valid = lab::run(net.host, caddy("validate"));
  EXPECT_EQ(valid.exit, 0) << to_string(valid);
  EXPECT_THAT(valid.err, Not(HasSubstr("not formatted")));
  EXPECT_THAT(valid.err, Not(HasSubstr("Unnecessary")));
}

TEST_P(BehindCaddy, NoSecondHasAnEleventhPassword) {
  policy();
  serve();
  expect_ten_a_second(10);
}

TEST_P(BehindCaddy, AnotherSpellingOfARouteIsTheRoute) {
  policy();
  serve();
  expect_spellings_to_count();
}

TEST_P(BehindCaddy, AClientIsAnAddressOrItsNetwork) {
  policy();
  serve();
  expect_networks_to_be_clients();
}

TEST_P(BehindCaddy, OnlyATrustedProxySaysForWhomItAsks) {
  policy_with_proxy();
  serve();
  expect_no_forger_to_be_believed();
  expect_a_proxy_to_be_believed();
}

TEST_P(BehindCaddy, WithoutProxiesNobodySaysForWhomItAsks) {
  policy();
  serve();
  expect_no_forger_to_be_believed();
}

TEST_P(BehindCaddy, IsOpenWhileTheServiceIsDead) {
  policy("[[limit]]\nname = \"password\"\nlayer = \"http\"\nrate = \"2/h\"\n");
  serve();
  const std::vector<std::string> post = {"--data", "user=a"};
  EXPECT_EQ(ask("/login", post).status, 200);
  EXPECT_EQ(ask("/login", post).status, 200);
  EXPECT_EQ(ask("/login", post).status, 429);
  // Nor does a head that is too large for the service help.
  const std::string large = "X-Large: " + std::string(20'000, 'x');
  EXPECT_EQ(ask("/login", {"-H", large}).status, 431);
  limiter_.reset();
  const Response open = ask("/login", post);
  EXPECT_EQ(open.status, 200);
  EXPECT_EQ(told(open, "content-length"), "6");
  expect_headers(open, "open");
  serve_limits();
  EXPECT_EQ(ask("/login", post).status, 429);
}

class BehindHaproxy : public BehindProxy {
 protected:
  void serve() {
    write_file(dir_ / "both.pem",
               read_file(certificate_.certificate) + read_file(certificate_.key));
    fw.must({"render", "haproxy", "--to", dir_.path()});
    write_file(
        dir_ / "haproxy.cfg",
        fmt::format("global\n    maxconn 1000\ndefaults\n    mode http\n"
                    "    timeout connect 5s\n    timeout client 60s\n"
                    "    timeout server 60s\nfrontend sites\n    bind :80\n    bind :::80 v6only\n"
                    "    bind :443 ssl crt {0}/both.pem strict-sni\n"
                    "    bind :::443 v6only ssl crt {0}/both.pem strict-sni\n"
                    "    use_backend cloudron_fw_{1} if {{ req.hdr(Host),host_only,lower {1} "
                    "}}\n",
                    dir_.path(), kName));
    start(haproxy("-db"));
  }
  std::vector<std::string> haproxy(const std::string& how) const {
    return {"haproxy", how, "-f", dir_ / "haproxy.cfg", "-f", dir_ / "cloudron-fw.cfg"};
  }
};
BOTH_FAMILIES(BehindHaproxy);

TEST_P(BehindHaproxy, EachResponseHasTheHeadersOnce) {
  policy();
  serve();
  expect_headers_everywhere();
}

TEST_P(BehindHaproxy, AcceptsWhatIsRenderedWithoutAWarning) {
  policy_with_proxy();
  serve();
  const Output valid = lab::run(net.host, haproxy("-c"));
  EXPECT_EQ(valid.exit, 0) << to_string(valid);
  EXPECT_THAT(valid.out + valid.err, Not(HasSubstr("arning")));
}

// HAProxy guesses the last second from two periods, so more become due while the first ends.
TEST_P(BehindHaproxy, PasswordsAreTriedTenTimesASecond) {
  policy();
  serve();
  expect_ten_a_second(20);
}

TEST_P(BehindHaproxy, AnotherSpellingOfARouteIsTheRoute) {
  policy();
  serve();
  expect_spellings_to_count();
}

TEST_P(BehindHaproxy, AClientIsAnAddressOrItsNetwork) {
  policy();
  serve();
  expect_networks_to_be_clients();
}

TEST_P(BehindHaproxy, OnlyATrustedProxySaysForWhomItAsks) {
  policy_with_proxy();
  serve();
  expect_no_forger_to_be_believed();
  expect_a_proxy_to_be_believed();
}

TEST_P(BehindHaproxy, WithoutProxiesNobodySaysForWhomItAsks) {
  policy();
  serve();
  expect_no_forger_to_be_believed();
}

TEST_P(BehindHaproxy, AWebsocketHasTheHeaders) {
  policy();
  serve();
  const Response upgraded =
      ask("/", {"--max-time", "3", "-H", "Upgrade: websocket", "-H", "Connection: Upgrade", "-H",
                "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "-H", "Sec-WebSocket-Version: 13"});
  EXPECT_EQ(upgraded.status, 101);
  expect_headers(upgraded, "a websocket");
}

TEST_P(BehindCaddy, NoOtherProtocolPassesAsAWebsocket) {
  policy();
  serve();
  expect_no_other_protocol_to_pass();
}

TEST_P(BehindHaproxy, NoOtherProtocolPassesAsAWebsocket) {
  policy();
  serve();
  expect_no_other_protocol_to_pass();
}

}  // namespace
}  // namespace lab
