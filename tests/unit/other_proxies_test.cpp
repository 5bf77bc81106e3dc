// What Caddy and HAProxy are given for the sites, and that no value leaves its place there.
// SPDX-License-Identifier: GPL-2.0-or-later
#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fw/effective/policy.hpp"
#include "fw/plugins/tls/caddy.hpp"
#include "fw/plugins/tls/haproxy.hpp"
#include "fw/plugins/tls/plugin.hpp"

namespace fw {
namespace {

using std::string;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

const string kWiki =
    "[[site]]\nname = \"wiki.example.org\"\nupstream = \"http://127.0.0.1:3000\"\n";
const string kRoutes = "password_routes = [\"/login\"]\n";

Policy read(const string& text) {
  Parsed parsed = parse_policy(text, "p");
  EXPECT_TRUE(parsed.ok()) << to_string(parsed.problems.front());
  return std::move(parsed.policy);
}

/// The text of the one file, or the error.
string text_of(const Result<std::vector<TextFile>>& files) {
  if (!files) return to_string(files.error());
  EXPECT_EQ(files->size(), 1u);
  return files->front().text;
}
string caddy(const string& text) {
  return text_of(tls::caddy_files(read(text), tls::kLimiterSocket));
}
string haproxy(const string& text) { return text_of(tls::haproxy_files(read(text))); }

/// The site with a header of this value, which has neither '"' nor '\'.
string with_header(const string& value) { return kWiki + "headers = ['X-A: " + value + "']\n"; }

TEST(CaddyFile, HasTwoSnippetsForEachSite) {
  const string text = caddy("[tls]\ndns_hook = \"/hook\"\n" + kWiki +
                            "[[site]]\nname = \"*.apps.example.org\"\nadmin = true\nupstream = "
                            "\"https://[::1]:8443\"\n");
  EXPECT_THAT(text, AllOf(HasSubstr("\n(cloudron_fw_wiki.example.org) {\n"),
                          HasSubstr("\n(cloudron_fw_http_wiki.example.org) {\n"),
                          HasSubstr("\n(cloudron_fw__wildcard.apps.example.org) {\n"),
                          HasSubstr("\treverse_proxy http://127.0.0.1:3000 {\n"),
                          HasSubstr("\treverse_proxy https://[::1]:8443 {\n"),
                          HasSubstr("header Content-Security-Policy `default-src 'self'; ")));
  EXPECT_THAT(text, Not(HasSubstr("forward_auth"))) << "no route has a password";
}

TEST(CaddyFile, AsksTheServiceAboutPasswords) {
  const string text = caddy("[trusted]\nnetworks = [\"192.0.2.0/24\"]\n" + kWiki + kRoutes);
  EXPECT_THAT(
      text,
      AllOf(HasSubstr("path_regexp `(?i)^(?:;[^/]*)?/+(?:;[^/]*/+)*login(?:[^a-z0-9_-]|$)`\n"),
            HasSubstr("not remote_ip 192.0.2.0/24\n"),
            HasSubstr("forward_auth @cloudron_fw_password "
                      "unix//run/cloudron-fw-services/limit.sock {\n"),
            HasSubstr("header_up X-Site `wiki.example.org`\n")));
  EXPECT_THAT(caddy("[[limit]]\nname = \"password\"\nenabled = false\n" + kWiki + kRoutes),
              Not(HasSubstr("forward_auth")));
}

TEST(CaddyFile, SaysWhatCaddyCannotDo) {
  EXPECT_THAT(caddy(kWiki + "headers = [\"-A: b\"]\n"),
              HasSubstr("p:1: site \"wiki.example.org\": Caddy would take the header \"-A\""));
  EXPECT_THAT(caddy("[[limit]]\nname = \"password\"\nlayer = \"http\"\nper = \"account\"\n"
                    "rate = \"5/m\"\n" +
                    kWiki + kRoutes),
              HasSubstr("p:1: limit \"password\" counts by account, which Caddy does not know"));
}

TEST(CaddyFile, QuotesWhatIsNoLetter) {
  EXPECT_EQ(tls::caddy_word("a \"b\" ; } #"), "`a \"b\" ; } #`");
  EXPECT_EQ(tls::caddy_word("{x}"), "`{cloudron_fw_brace}x}`");
  EXPECT_EQ(tls::caddy_word("\\{"), "`{vars.cloudron_fw_backslash}{cloudron_fw_brace}`");
  EXPECT_EQ(tls::caddy_word("`"), "`{vars.cloudron_fw_backtick}`");
  EXPECT_THAT(caddy(with_header("{x}")), HasSubstr("map ` {` {cloudron_fw_brace} {\n"));
  EXPECT_THAT(caddy(with_header("x")), Not(HasSubstr("cloudron_fw_brace")));
}

TEST(HaproxyFile, HasABackendForEachSiteAndLimit) {
  const string text =
      haproxy("[tls]\ndns_hook = \"/hook\"\n" + kWiki + kRoutes +
              "[[site]]\nname = \"*.apps.example.org\"\nupstream = "
              "\"https://app.internal\"\n" +
              "[[site]]\nname = \"unix\"\nupstream = \"http://unix:/run/a.sock\"\n" +
              "[[site]]\nname = \"six\"\nupstream = \"http://[::1]\"\n");
  EXPECT_THAT(text, AllOf(HasSubstr("\nbackend cloudron_fw_wiki.example.org\n"),
                          HasSubstr("\nbackend cloudron_fw__wildcard.apps.example.org\n"),
                          HasSubstr("    server app 127.0.0.1:3000\n"),
                          HasSubstr("    server app app.internal:443 ssl verify none sni "
                                    "str(app.internal)\n"),
                          HasSubstr("    server app unix@/run/a.sock\n"),
                          HasSubstr("    server app [::1]:80\n")));
  EXPECT_THAT(text, AllOf(HasSubstr("\nbackend cloudron_fw_limit_password\n    stick-table type "
                                    "ipv6 size 200k expire 2s store http_req_rate(1s)\n"),
                          HasSubstr("ge 10 }\n"), HasSubstr("ge 5000 }\n")));
}

TEST(HaproxyFile, CountsAsTheLimitsSay) {
  const string limit = "[[limit]]\nname = \"password\"\nlayer = \"http\"\n";
  EXPECT_THAT(
      haproxy(limit + "rate = \"3/2m\"\nprefix6 = 56\n" + kWiki + kRoutes),
      AllOf(HasSubstr("expire 240s store http_req_rate(120s)"), HasSubstr("hdr Retry-After 40 if"),
            HasSubstr("{ src,ipmask(32,56),table_"), HasSubstr(" ge 3 }")));
  EXPECT_THAT(haproxy(limit + "rate = \"3/m\"\nper = \"site\"\n" + kWiki),
              HasSubstr("counts by site, which HAProxy does not know"));
}

TEST(HaproxyFile, BelievesProxiesAloneAndSplitsLongLists) {
  EXPECT_THAT(haproxy(kWiki), Not(HasSubstr("set-src")));
  string proxies = "[trusted]\nproxies = [\"198.18.0.1\"";
  for (int i = 1; i < 100; ++i) proxies += ", \"198.18." + std::to_string(i) + ".1\"";
  const string text = haproxy(proxies + "]\n" + kWiki);
  EXPECT_THAT(text, HasSubstr("set-src req.hdr_ip(X-Forwarded-For,-1) if cloudron_fw_proxy\n"));
  std::size_t lines = 0;
  for (auto at = text.find("acl cloudron_fw_proxy src "); at != text.npos;
       at = text.find("acl cloudron_fw_proxy src ", at + 1))
    ++lines;
  EXPECT_EQ(lines, 4u) << "a line has 64 words at most";
}

TEST(HaproxyFile, QuotesWhatIsNoLetter) {
  EXPECT_EQ(tls::haproxy_word("a\"b\\c$d#'%"), "\"a\\\"b\\\\c\\$d#'%\"");
  EXPECT_EQ(tls::haproxy_format("%[src] 100%"), "\"%%[src] 100%%\"");
}

// A value that left its place would add or take a line, or a brace outside of quotes.
TEST(OtherProxies, KeepValuesInTheirLines) {
  const auto lines = [](const string& text) { return std::ranges::count(text, '\n'); };
  for (const char* value : {"\"; } respond 200 #", "} } }", "% %[env(HOME)] %%", "# if FALSE",
                            "` } `", "\\", "\\\"", "\\n acl", "{env.HOME}", "{args.0}", "@a *"}) {
    EXPECT_EQ(lines(haproxy(with_header(value))), lines(haproxy(with_header("x")))) << value;
    const string text = caddy(with_header(value));
    const bool letters = string(value).find_first_of("{\\`") != string::npos;
    EXPECT_EQ(lines(text), lines(caddy(with_header("x"))) + (letters ? 10 : 0)) << value;
  }
  for (const char* path : {"", "run", "8080", "/a b", "/a{", "/a\n", "/a`", "/a$"})
    EXPECT_NE(tls::socket_complaint(path), "") << path;
  EXPECT_EQ(tls::socket_complaint(tls::kLimiterSocket), "");
  // What is longer, or no printable ASCII, is refused when it is read.
  for (const string& value : {string("a\\nb"), string("a\\u0000b"), string("a\\rb"),
                              string("$HOME"), string("b\\u00fccher"), string(10'240, 'a')})
    EXPECT_FALSE(parse_policy(kWiki + "headers = [\"X-A: " + value + "\"]\n", "p").ok()) << value;
}

}  // namespace
}  // namespace fw
