// Sites behind a real nginx with the rendered configuration: HTTPS only, headers on every response,
// limits of requests, and whose address counts (T1, T2, L1, L2).
// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/e2e/sites.hpp"

#include <filesystem>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <sys/stat.h>

namespace lab {
namespace {

using testing::AllOf;
using testing::Ge;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Le;
using testing::Not;

class Sites : public WithSites {};
BOTH_FAMILIES(Sites);

TEST_P(Sites, HttpLeadsToHttps) {
  serve(wiki("aliases = [\"www.example.org\"]\n"));
  const Response redirect = ask("http://wiki.example.org/a/b?c=%20d");
  EXPECT_EQ(redirect.status, 308);
  EXPECT_EQ(redirect.one("location"), "https://wiki.example.org/a/b?c=%20d");
  expect_headers(redirect, "redirect", false);
  EXPECT_EQ(ask("http://www.example.org/").one("location"), "https://www.example.org/");
  EXPECT_EQ(
      ask("http://WIKI.example.org/", {"--resolve", "WIKI.example.org:80:" + bracketed(host())})
          .one("location"),
      "https://wiki.example.org/");
  const Response page = ask("https://wiki.example.org/a?b");
  EXPECT_EQ(page.status, 200);
  EXPECT_THAT(page.body, HasSubstr(R"("path": "/a?b")"));
  EXPECT_EQ(ask("https://www.example.org/").status, 200);
}

TEST_P(Sites, ANameThatNoSiteHasGetsNone) {
  serve(wiki());
  EXPECT_EQ(ask("https://other.example.org/").exit, 35) << "the handshake is rejected";
  EXPECT_EQ(ask("http://other.example.org/").status, 404);
  const auto [exit, responses] = ask_from(
      client(family(), 1), {"-k", "https://" + bracketed(host()) + "/"}, "wiki.example.org");
  EXPECT_EQ(exit, 35) << "without a name";
}

TEST_P(Sites, EachResponseHasTheHeaders) {
  serve(site("dead.example.org", "upstream = \"http://127.0.0.1:3999\"\n") +
        wiki("body_max = \"1KiB\"\nheaders = [\"X-Robots-Tag: noindex\"]\n"));
  const std::string url = "https://wiki.example.org";
  for (const int status : {200, 301, 404, 500}) {
    const Response response = ask(fmt::format("{}/status/{}", url, status));
    EXPECT_EQ(response.status, status);
    EXPECT_EQ(response.one("x-robots-tag"), "noindex");
    expect_headers(response, std::to_string(status));
  }
  const Response large = ask(url + "/", {"-H", "Expect:", "--data", std::string(2000, 'x')});
  EXPECT_EQ(large.status, 413);
  expect_headers(large, "413");
  const Response dead = ask("https://dead.example.org/");
  EXPECT_EQ(dead.status, 502);
  expect_headers(dead, "502");
  const Response nested = ask(url + "/api/v1/login");
  EXPECT_EQ(nested.status, 200);
  expect_headers(nested, "a nested location");
  const Response upgraded = ask(url + "/", {"--http1.1", "--max-time", "3", "-H",
                                            "Upgrade: websocket", "-H", "Connection: Upgrade"});
  EXPECT_EQ(upgraded.status, 101);
  expect_headers(upgraded, "a websocket");
  const Response acme = ask("http://wiki.example.org/.well-known/acme-challenge/none");
  EXPECT_EQ(acme.status, 404);
  expect_headers(acme, "a challenge", false);
}

TEST_P(Sites, AnAdminPageHasAPolicyOfContents) {
  serve(site("admin.example.org", "upstream = \"http://127.0.0.1:3000\"\nadmin = true\n") +
        wiki("csp = \"default-src 'self' \\\"; add_header X-Broken 1; #\\\\\"\n"));
  EXPECT_THAT(ask("https://admin.example.org/").one("content-security-policy"),
              HasSubstr("default-src 'self'"));
  const Response own = ask("https://wiki.example.org/");
  EXPECT_EQ(own.one("content-security-policy"),
            "default-src 'self' \"; add_header X-Broken 1; #\\");
  EXPECT_THAT(own.all("x-broken"), IsEmpty());
}

TEST_P(Sites, HstsAndProfileAreKeys) {
  serve(
      "[tls]\nprofile = \"modern\"\nhsts = \"365d\"\nhsts_subdomains = true\n"
      "referrer_policy = \"same-origin\"\n" +
      wiki());
  const Response response = ask("https://wiki.example.org/");
  EXPECT_EQ(response.one("strict-transport-security"), "max-age=31536000; includeSubDomains");
  EXPECT_EQ(response.one("referrer-policy"), "same-origin");
  EXPECT_EQ(ask("https://wiki.example.org/", {"--tls-max", "1.2"}).exit, 35);
}

TEST_P(Sites, HstsCanBeTakenBack) {
  serve("[tls]\nhsts = \"0s\"\n" + wiki());
  EXPECT_EQ(ask("https://wiki.example.org/").one("strict-transport-security"), "max-age=0");
}

TEST_P(Sites, OldProtocolsAndCiphersAreRefused) {
  serve(wiki());
  const std::string url = "https://wiki.example.org/";
  EXPECT_EQ(ask(url, {"--tls-max", "1.2"}).status, 200);
  EXPECT_EQ(ask(url, {"--tls-max", "1.1", "--ciphers", "ALL:@SECLEVEL=0"}).exit, 35);
  EXPECT_EQ(ask(url, {"--tls-max", "1.2", "--ciphers", "ECDHE-ECDSA-AES128-SHA256"}).exit, 35);
  EXPECT_EQ(ask(url, {"--tls-max", "1.2", "--ciphers", "ECDHE-ECDSA-CHACHA20-POLY1305"}).status,
            200);
}

// Of a burst as many as in a second, and later ones as they become due: 10, and one each 100 ms.
TEST_P(Sites, PasswordsAreTriedTenTimesASecond) {
  serve(wiki());
  const auto begin = Clock::now();
  const auto codes = statuses("https://wiki.example.org/login?user=a", 40, client(family(), 1));
  const auto due = static_cast<long>(seconds_of(Clock::now() - begin) * 10) + 1;
  ASSERT_EQ(codes.size(), 40u);
  EXPECT_THAT(std::ranges::count(codes, 200), AllOf(Ge(10), Le(10 + due)));
  EXPECT_EQ(std::ranges::count(codes, 200) + std::ranges::count(codes, 429), 40);
  const Response other = ask("https://wiki.example.org/login", {}, 2);
  EXPECT_EQ(other.status, 200) << "another client";
  const auto pages = statuses("https://wiki.example.org/", 40, client(family(), 1));
  EXPECT_EQ(std::ranges::count(pages, 200), 40) << "other pages";
}

TEST_P(Sites, ARefusalSaysWhenToComeBack) {
  serve(wiki());
  std::vector<std::string> words(30, "https://wiki.example.org/login");
  const auto responses = ask_all(words, "wiki.example.org");
  const auto refused = std::ranges::find(responses, 429, &Response::status);
  ASSERT_NE(refused, responses.end());
  EXPECT_EQ(refused->one("retry-after"), "1");
  expect_headers(*refused, "429");
}

// However the path is written: servers are careless about it.
TEST_P(Sites, AnotherSpellingOfARouteIsTheRoute) {
  serve(wiki());
  std::vector<std::string> words{"--path-as-is"};
  for (int i = 0; i < 6; ++i) {
    for (const char* path : {"/login", "/login/", "/LOGIN", "//login", "/%6Cogin", "/login.json",
                             "/;x/login", "/login%20", "/login;x=1", "/login/step?2"})
      words.push_back(std::string("https://wiki.example.org") + path);
  }
  const auto begin = Clock::now();
  const auto responses = ask_all(words, "wiki.example.org");
  const auto due = static_cast<long>(seconds_of(Clock::now() - begin) * 10) + 1;
  ASSERT_EQ(responses.size(), 60u);
  EXPECT_LE(std::ranges::count(responses, 200, &Response::status), 10 + due);
}

// Of IPv6 everybody in a /64 is one client; of IPv4 each address is.
TEST_P(Sites, AClientIsAnAddressOrItsNetwork) {
  serve(wiki());
  const std::string url = "https://wiki.example.org/login";
  ASSERT_EQ(std::ranges::count(statuses(url, 40, client(family(), 1)), 429) > 0, true);
  const Ip neighbour = family() == Family::ipv6 ? client_of_same_64(1, 2) : client(family(), 2);
  const auto begin = Clock::now();
  const auto codes = statuses(url, 9, neighbour);
  const auto due = static_cast<long>(seconds_of(Clock::now() - begin) * 10) + 2;
  if (family() == Family::ipv6) {
    EXPECT_LE(std::ranges::count(codes, 200), due);
  } else {
    EXPECT_EQ(std::ranges::count(codes, 200), 9);
  }
}

TEST_P(Sites, OnlyATrustedProxySaysForWhomItAsks) {
  serve(fmt::format("[trusted]\nproxies = [\"{}\"]\n", to_string(client(family(), 7))) + wiki());
  const std::string url = "https://wiki.example.org/";
  const std::vector<std::string> forged = {"-H", "X-Forwarded-For: 198.18.99.99",
                                           "-H", "X-Real-IP: 198.18.99.99",
                                           "-H", "Forwarded: for=198.18.99.99"};
  const Response direct = ask(url, forged, 3);
  EXPECT_THAT(direct.body, Not(HasSubstr("198.18.99.99")));
  EXPECT_THAT(direct.body, HasSubstr(fmt::format("\"x-forwarded-for\": \"{}\"",
                                                 to_string(client(family(), 3)))));
  const Response proxied = ask(url, forged, 7);
  EXPECT_THAT(proxied.body, HasSubstr("\"x-forwarded-for\": \"198.18.99.99\""));
  const Response chained = ask(url, {"-H", "X-Forwarded-For: 10.1.1.1, 198.18.99.98"}, 7);
  EXPECT_THAT(chained.body, HasSubstr("\"x-forwarded-for\": \"198.18.99.98\""))
      << "what the client itself wrote is not believed";
}

TEST_P(Sites, AnInstallationIsWholeOrNone) {
  serve(wiki());
  const Output again = install(wiki());
  EXPECT_THAT(again.out, HasSubstr("Everything is in place"));

  write_file(dir_ / "broken.pem", "no certificate\n");
  fw.policy(wiki() +
            "[[site]]\nname = \"bad.example.org\"\nupstream = \"http://127.0.0.1:3000\"\n"
            "certificate = \"files\"\ncert_file = \"" +
            dir_ / "broken.pem" + "\"\nkey_file = \"" + certificate_.key + "\"\n");
  const Output refused = fw.run({"render", "nginx", "--install", "--nginx", nginx_.folder()});
  EXPECT_EQ(refused.exit, 1);
  EXPECT_THAT(refused.err, AllOf(HasSubstr("nginx refuses"), HasSubstr("broken.pem")));
  EXPECT_EQ(lab::run(net.host, {"nginx", "-t", "-c", nginx_.folder() + "/nginx.conf"}).exit, 0)
      << "the former files are back";
  EXPECT_EQ(ask("https://wiki.example.org/").status, 200);

  install(wiki() + site("dead.example.org", "upstream = \"http://127.0.0.1:3999\"\n"));
  EXPECT_TRUE(eventually([this] { return ask("https://dead.example.org/").status == 502; }))
      << "a running nginx was reloaded";
  install(wiki());
  EXPECT_TRUE(eventually([this] { return ask("https://dead.example.org/").exit == 35; }));
}

TEST_P(Sites, ASiteWithoutACertificateAnswersChallenges) {
  fw.policy("[[site]]\nname = \"new.example.org\"\nupstream = \"http://127.0.0.1:3000\"\n" +
            wiki());
  const Output first = fw.must({"render", "nginx", "--install", "--nginx", nginx_.folder()});
  EXPECT_THAT(first.err, HasSubstr("new.example.org\" has no certificate yet"));
  nginx_.start();
  EXPECT_EQ(ask("http://new.example.org/.well-known/acme-challenge/x").status, 404);
  EXPECT_EQ(ask("https://new.example.org/").exit, 35);
  EXPECT_EQ(ask("https://wiki.example.org/").status, 200);
}

TEST_P(Sites, OcspIsStapledWhereACertificateHasIt) {
  const auto rendered = [this] {
    return read_file(nginx_.folder() + "/cloudron-fw/sites/wiki.example.org.conf");
  };
  install(wiki());
  EXPECT_THAT(rendered(), Not(HasSubstr("ssl_stapling")));
  const TempDir dir;
  const SelfSigned with(net.host, dir.path(), {"wiki.example.org"}, 90,
                        "authorityInfoAccess=OCSP;URI:http://ocsp.example.org/");
  std::filesystem::copy_file(with.certificate, certificate_.certificate,
                             std::filesystem::copy_options::overwrite_existing);
  std::filesystem::copy_file(with.key, certificate_.key,
                             std::filesystem::copy_options::overwrite_existing);
  install(wiki());
  EXPECT_THAT(rendered(), HasSubstr("ssl_stapling on;"));
  nginx_.start();
  EXPECT_EQ(ask("https://wiki.example.org/").status, 200);
}

TEST_P(Sites, NoOtherProtocolPassesAsAWebsocket) {
  serve(wiki());
  const Response answer =
      ask("https://wiki.example.org/",
          {"--http1.1", "-H", "Upgrade: h2c", "-H", "Connection: Upgrade, HTTP2-Settings", "-H",
           "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA"});
  EXPECT_EQ(answer.status, 200);
  EXPECT_THAT(answer.body, Not(HasSubstr("h2c")));
}

TEST_P(Sites, PathsThatAppsReadInOtherWaysAreRefused) {
  serve(wiki());
  for (const char* path : {"/.\\login", "/x\\..\\login", "/login/..", "/a/../login",
                           "/login/%2e%2e", "/%2E/login", "/a%5clogin", "/login/..;/x"}) {
    const Response answer = ask(std::string("https://wiki.example.org") + path, {"--path-as-is"});
    EXPECT_EQ(answer.status, 400) << path;
    expect_headers(answer, path);
  }
  for (const char* path : {"/a..b", "/...", "/?next=/../x", "/.well-known/x", "/v1.2/"})
    EXPECT_EQ(ask(std::string("https://wiki.example.org") + path, {"--path-as-is"}).status, 200)
        << path;
}

TEST_P(Sites, TheNameOfAnotherSiteIsMisdirected) {
  serve(wiki());
  const Response answer = ask("https://wiki.example.org/", {"-H", "Host: other.example.org"});
  EXPECT_EQ(answer.status, 421);
  EXPECT_EQ(answer.one("x-frame-options"), "SAMEORIGIN");
}

TEST_P(Sites, WhatAKilledInstallationLeftIsTestedAndUndone) {
  serve(wiki());
  namespace fs = std::filesystem;
  const fs::path files = nginx_.folder() + "/cloudron-fw";
  // Killed between its change and nginx's test: the former files lie beside the new ones.
  fs::copy(files, nginx_.folder() + "/.cloudron-fw.new", fs::copy_options::recursive);
  write_file(files / "http.conf", "nonsense;\n");
  write_file(nginx_.folder() + "/.cloudron-fw.untested", "");
  install(wiki());
  EXPECT_EQ(lab::run(net.host, {"nginx", "-t", "-c", nginx_.folder() + "/nginx.conf"}).exit, 0);
  EXPECT_EQ(read_file(files / "http.conf").find("nonsense"), std::string::npos);
  EXPECT_FALSE(fs::exists(nginx_.folder() + "/.cloudron-fw.untested"));
  const Output again = install(wiki());
  EXPECT_THAT(again.out, HasSubstr("Everything is in place"));
}

TEST_P(Sites, FilesThatNothingIncludesAreToldOf) {
  write_file(nginx_.folder() + "/nginx.conf", "events {}\nhttp {}\n");
  EXPECT_THAT(install(wiki()).err, HasSubstr("nginx does not use the sites"));
}

}  // namespace
}  // namespace lab
