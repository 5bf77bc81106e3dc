// Sites of the policy: what is read, what is refused, and that no value leaves its directive.
// SPDX-License-Identifier: GPL-2.0-or-later
#include <algorithm>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fw/effective/policy.hpp"
#include "fw/plugins/tls/nginx.hpp"

namespace fw {
namespace {

using std::string;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

const string kSite = "[[site]]\nname = \"wiki.example.org\"\n";
const string kUpstream = "upstream = \"http://127.0.0.1:3000\"\n";

/// The first problem; "" when there is none.
string problem(const string& text) {
  const Parsed parsed = parse_policy(text, "p");
  return parsed.problems.empty() ? "" : to_string(parsed.problems.front());
}

Policy policy_of(const string& text) {
  const Parsed parsed = parse_policy(text, "p");
  EXPECT_TRUE(parsed.ok()) << to_string(parsed.problems.front());
  return parsed.policy;
}

std::vector<TextFile> files_of(const string& text, const tls::NginxHost& host = {}) {
  const auto files = tls::nginx_files(policy_of(text), host);
  EXPECT_TRUE(files) << to_string(files.error());
  return files ? *files : std::vector<TextFile>{};
}

TEST(SitePolicy, HasDefaults) {
  const Policy policy = policy_of(kSite + kUpstream);
  ASSERT_EQ(policy.sites.size(), 1u);
  const Site& site = policy.sites.front();
  EXPECT_EQ(site.name, "wiki.example.org");
  EXPECT_EQ(site.body_bytes, 1u << 30);
  EXPECT_TRUE(site.websocket);
  EXPECT_EQ(policy.tls.hsts.count(), 63'072'000);
  EXPECT_EQ(tls::certificate_files(site, tls::kLetsEncrypt).certificate,
            "/etc/letsencrypt/live/wiki.example.org/fullchain.pem");
  EXPECT_EQ(default_policy().sites.size(), 0u);
}

TEST(SitePolicy, SaysWhatIsMissingOrTooMuch) {
  EXPECT_EQ(problem("[[site]]\n" + kUpstream),
            "p:1:1: error: [[site]] lacks name; add e.g. name = \"wiki.example.org\"");
  EXPECT_THAT(problem(kSite), HasSubstr("p:1:1: error: [[site]] lacks its server; add e.g. app"));
  EXPECT_THAT(problem(kSite + "app = \"wiki\"\n"),
              HasSubstr("p:1:1: error: [[site]] lacks the port of its app"));
  EXPECT_THAT(problem("[apps]\ndiscover = \"docker\"\n" + kSite + "app = \"wiki\"\nport = 3000\n" +
                      kUpstream),
              HasSubstr("a site has either app or upstream"));
  EXPECT_THAT(problem(kSite + kUpstream + "port = 3000\n"), HasSubstr("port goes with app"));
  EXPECT_THAT(problem("[[app]]\nname = \"wiki\"\naddresses = [\"172.18.0.9\"]\n" + kSite +
                      "app = \"wikki\"\nport = 3000\n"),
              HasSubstr("there is no app \"wikki\"; did you mean \"wiki\"?"));
  EXPECT_THAT(problem(kSite + kUpstream + "certificate = \"files\"\n"),
              HasSubstr("needs cert_file; add e.g."));
  EXPECT_THAT(problem(kSite + kUpstream + "key_file = \"/k\"\n"),
              HasSubstr("certbot chooses its own"));
  EXPECT_THAT(problem(kSite + kUpstream + "aliases = [\"*.example.org\"]\n"),
              HasSubstr("needs [tls] dns_hook"));
  EXPECT_THAT(problem(kSite + kUpstream + kSite + kUpstream),
              HasSubstr("\"wiki.example.org\" already leads to the site in line 1"));
  EXPECT_THAT(problem(kSite + kUpstream + "aliases = [\"wiki.example.org\"]\n"),
              HasSubstr("is named twice"));
  EXPECT_THAT(problem("[ports]\ntcp = [22, 80]\n" + kSite + kUpstream),
              HasSubstr("warning: site \"wiki.example.org\": no rule opens port 443"));
}

TEST(SitePolicy, TakesNamesOfDomains) {
  for (const char* name : {"a", "wiki.example.org", "*.example.org", "xn--bcher-kva.example",
                           "1.2.example", "a-b.example"})
    EXPECT_EQ(problem("[tls]\ndns_hook = \"/hook\"\n[[site]]\nname = \"" + string(name) + "\"\n" +
                      kUpstream),
              "")
        << name;
  for (const string name : {"",
                            ".",
                            "a..b",
                            "-a.example",
                            "a-.example",
                            "*",
                            "a.*.example",
                            "wiki.example.org.",
                            "a b",
                            "a;b",
                            "a{",
                            "a}",
                            "a$b",
                            "a\\\\b",
                            "a\\\"b",
                            "a\\nb",
                            "a\\u0000b",
                            "a'b",
                            "a/b",
                            "a:443",
                            "_",
                            "b\\u00fccher.example",
                            "WIKI.example.org"})
    EXPECT_THAT(problem("[[site]]\nname = \"" + name + "\"\n" + kUpstream),
                HasSubstr("p:2:8: error"))
        << name;
  EXPECT_THAT(problem("[[site]]\nname = \"" + string(64, 'a') + ".example\"\n" + kUpstream),
              HasSubstr("is not a domain name"));
  EXPECT_THAT(problem("[[site]]\nname = \"" + string(10'240, 'a') + "\"\n" + kUpstream),
              HasSubstr("is longer than 253 bytes"));
  EXPECT_THAT(problem("[[site]]\nname = \"b\u00fccher.example\"\n" + kUpstream), HasSubstr("xn--"));
  EXPECT_THAT(problem("[[site]]\nname = \"WIKI.example.org\"\n" + kUpstream),
              HasSubstr("lower case"));
}

TEST(SitePolicy, TakesAddressesOfServers) {
  const auto said = [](const string& upstream) {
    return problem(kSite + "upstream = \"" + upstream + "\"\n");
  };
  for (const char* upstream : {"http://127.0.0.1:3000", "https://app.internal", "http://[::1]:8080",
                               "http://[::1]", "http://unix:/run/wiki.sock"})
    EXPECT_EQ(said(upstream), "") << upstream;
  for (const char* upstream : {"",
                               "127.0.0.1:3000",
                               "ftp://a",
                               "http://",
                               "http://a/path",
                               "http://a/",
                               "http://a?b",
                               "http://a:0",
                               "http://a:70000",
                               "http://a:1:2",
                               "http://[127.0.0.1]:1",
                               "http://[::1",
                               "http://a;b",
                               "http://a b",
                               "http://$host",
                               "http://u@a",
                               "http://a\\nb",
                               "http://unix:/a;b",
                               "http://unix:a",
                               "http://a{",
                               "http://a\\\\"})
    EXPECT_THAT(said(upstream), HasSubstr("p:3:12: error")) << upstream;
}

TEST(SitePolicy, TakesRoutesHeadersAndFiles) {
  const auto said = [](const string& line) { return problem(kSite + kUpstream + line + "\n"); };
  EXPECT_EQ(said("password_routes = [\"/login\", \"/\", \"/a.b/c(d)+e\"]"), "");
  for (const char* route : {"", "login", "/a b", "/a\\\"", "/a$", "/a{", "/a//b", "/../a", "/a?b",
                            "/a#b", "/a\\\\b", "/%6c", "/a\\nb"})
    EXPECT_THAT(said("password_routes = [\"" + string(route) + "\"]"), HasSubstr("error")) << route;
  EXPECT_EQ(said("headers = [\"X-A: b; c\", \"X-B:\\\"quoted\\\\\\\\\\\"\"]"), "");
  for (const char* header : {"", "X-A", "X-A:", ": b", "X A: b", "X-A: $b", "X-A: b\\nX-C: d",
                             "X-A: b\\u0000", "X-A: \\u00fc"})
    EXPECT_THAT(said("headers = [\"" + string(header) + "\"]"), HasSubstr("error")) << header;
  EXPECT_THAT(said("csp = \"a\\r\\nX: y\""), HasSubstr("error"));
  EXPECT_THAT(said("certificate = \"files\"\ncert_file = \"a.pem\"\nkey_file = \"/a\""),
              HasSubstr("is not absolute"));
  EXPECT_THAT(said("body_max = \"1B\""), HasSubstr("error"));
}

TEST(TlsPolicy, TakesAccountsAndNotification) {
  EXPECT_EQ(problem("[tls]\nacme_email = \"admin@example.org\"\nnotify_mail = \"a+b@example.org\"\n"
                    "acme_server = \"https://[::1]:14000/dir\"\n"
                    "notify_command = [\"/usr/bin/logger\", \"-t\", \"certificates\"]\n"),
            "");
  for (const char* line :
       {"acme_email = \"admin\"", "acme_email = \"-oQ@example.org\"", "acme_email = \"a b@c.d\"",
        "acme_server = \"http://ca/dir\"", "acme_server = \"https://ca/dir?x\"",
        "limiter = \"redis\"", "limiter_down = \"ajar\"", "referrer_policy = \"none\"",
        "profile = \"old\"", "proxy = \"apache\"", "hsts = \"2y\"",
        "notify_command = [\"a\\u001bb\"]"})
    EXPECT_THAT(problem("[tls]\n" + string(line) + "\n"), HasSubstr("p:2:")) << line;
}

// ---- What nginx is given.

TEST(NginxFiles, AreOneForAllAndOneForEachSite) {
  const auto files = files_of("[tls]\ndns_hook = \"/hook\"\n" + kSite + kUpstream +
                              "[[site]]\nname = \"*.apps.example.org\"\n" + kUpstream);
  std::vector<string> names;
  for (const TextFile& file : files) names.push_back(file.name);
  EXPECT_THAT(names, ElementsAre("http.conf", "sites/wiki.example.org.conf",
                                 "sites/_wildcard.apps.example.org.conf"));
}

TEST(NginxFiles, LeadToTheAppsAddress) {
  const string app =
      "[[app]]\nname = \"wiki\"\naddresses = [\"2001:db8::9\", \"172.18.0.9\"]\n"
      "[apps]\nnetwork = [\"172.18.0.0/16\", \"2001:db8::/64\"]\n";
  const string site = kSite + "app = \"wiki\"\nport = 3000\n";
  EXPECT_THAT(files_of(app + site)[1].text, HasSubstr("proxy_pass http://172.18.0.9:3000;"));
  const Policy unknown = policy_of("[apps]\ndiscover = \"docker\"\n" + site);
  const auto files = tls::nginx_files(unknown, {});
  ASSERT_FALSE(files);
  EXPECT_THAT(to_string(files.error()), HasSubstr("the address of app \"wiki\" is not known yet"));
}

TEST(NginxFiles, HaveEachHeaderInEachLocation) {
  const string text = files_of(kSite + kUpstream + "password_routes = [\"/login\"]\n")[1].text;
  std::size_t locations = 0;
  for (std::size_t at = text.find("location "); at != text.npos;
       at = text.find("location ", at + 1)) {
    const string block = text.substr(at, text.find("}\n", at) - at);
    EXPECT_THAT(block, HasSubstr("add_header X-Frame-Options \"SAMEORIGIN\" always;")) << block;
    ++locations;
  }
  EXPECT_EQ(locations, 5u);
}

TEST(NginxFiles, KeepToTheirDirectives) {
  const auto files = files_of(kSite + kUpstream +
                              "csp = \"a\\\"; } server { listen 81; } #\\\\\"\n"
                              "headers = [\"X-A: '\\\"{;}\"]\npassword_routes = [\"/a;b'(c)\"]\n");
  // Outside of quotes there are no braces but those of blocks: as many as lines that end in one.
  for (const TextFile& file : files) {
    bool quoted = false;
    int depth = 0;
    for (std::size_t i = 0; i < file.text.size(); ++i) {
      const char c = file.text[i];
      if (quoted && c == '\\') {
        ++i;
      } else if (c == '"') {
        quoted = !quoted;
      } else if (!quoted) {
        depth += c == '{' ? 1 : c == '}' ? -1 : 0;
        EXPECT_GE(depth, 0) << file.text;
      }
    }
    EXPECT_FALSE(quoted);
    EXPECT_EQ(depth, 0) << file.text;
  }
  EXPECT_THAT(files[1].text, Not(HasSubstr("\n} server")));
}

TEST(NginxFiles, WithoutACertificateRejectTheHandshake) {
  tls::NginxHost host;
  host.without_certificate = {"wiki.example.org"};
  const string text = files_of(kSite + kUpstream, host)[1].text;
  EXPECT_THAT(text, HasSubstr("ssl_reject_handshake on;"));
  EXPECT_THAT(text, Not(HasSubstr("ssl_certificate ")));
}

TEST(NginxFiles, MakeRoomForLongNames) {
  const string name = "[[site]]\nname = \"" + string(60, 'a') + ".example.org\"\n" + kUpstream;
  EXPECT_THAT(files_of(name)[0].text, HasSubstr("server_names_hash_bucket_size 128;"));
  EXPECT_THAT(files_of(kSite + kUpstream)[0].text, Not(HasSubstr("hash_bucket_size")));
}

TEST(NginxFiles, CountAsTheLimitsSay) {
  const string site = kSite + kUpstream + "password_routes = [\"/login\"]\n";
  EXPECT_THAT(files_of(site)[0].text, HasSubstr("zone=cloudron_fw_password:10m rate=10r/s;"));
  EXPECT_THAT(files_of(site)[1].text, HasSubstr("zone=cloudron_fw_password burst=9 nodelay;"));
  EXPECT_THAT(files_of(site)[1].text, HasSubstr("zone=cloudron_fw_http burst=4999 nodelay;"));
  const auto own =
      files_of("[[limit]]\nname = \"password\"\nlayer = \"http\"\nrate = \"3/2m\"\n" + site);
  EXPECT_THAT(own[0].text, HasSubstr("zone=cloudron_fw_password:10m rate=1r/m;"));
  EXPECT_THAT(own[1].text, HasSubstr("zone=cloudron_fw_password burst=2 nodelay;"));
}

TEST(NginxFiles, AskTheServiceWhereThePolicySays) {
  const string site = kSite + kUpstream + "password_routes = [\"/login\"]\n";
  const auto count = [](const string& text, const string& what) {
    std::size_t n = 0;
    for (auto at = text.find(what); at != text.npos; at = text.find(what, at + 1)) ++n;
    return n;
  };
  for (const TextFile& file : files_of(site))
    EXPECT_THAT(file.text, Not(HasSubstr("auth_request")));

  const string services = "[tls]\nlimiter = \"services\"\n";
  const auto exact = files_of(services + site);
  EXPECT_THAT(exact[0].text,
              HasSubstr("server \"unix:/run/cloudron-fw-services/limit.sock\" max_fails=0;"));
  EXPECT_THAT(exact[0].text, Not(HasSubstr("zone=cloudron_fw_password")));
  EXPECT_THAT(exact[1].text, Not(HasSubstr("zone=cloudron_fw_password")));
  EXPECT_EQ(count(exact[1].text, "auth_request /.cloudron-fw/password;"), 1u);
  EXPECT_EQ(count(exact[1].text, "limit_req zone=cloudron_fw_http"), 2u);
  EXPECT_THAT(exact[1].text, Not(HasSubstr("blocked=403")));
  EXPECT_THAT(exact[1].text, Not(HasSubstr("return 503")));

  const string proxies = "[trusted]\nproxies = [\"198.51.100.0/24\"]\n";
  const auto proxied = files_of(services + "limiter_down = \"closed\"\n" + proxies + site);
  EXPECT_EQ(count(proxied[1].text, "auth_request /.cloudron-fw/blocked;"), 1u);
  EXPECT_THAT(proxied[1].text, HasSubstr("/v1/limit/password?refuse=403&blocked=403;"));
  EXPECT_THAT(proxied[1].text, HasSubstr("return 503"));
  for (const TextFile& file : files_of(proxies + site))
    EXPECT_THAT(file.text, Not(HasSubstr("auth_request")));
}

TEST(NginxFiles, AskOnlyByWhatNginxKnows) {
  const string limit = "[[limit]]\nname = \"password\"\nlayer = \"http\"\nrate = \"9/s\"\n";
  const string services = "[tls]\nlimiter = \"services\"\n" + kSite + kUpstream + limit;
  EXPECT_THAT(problem(services + "per = \"client+account\"\n"),
              HasSubstr("limit \"password\" counts by client+account"));
  EXPECT_EQ(problem(services + "per = \"site\"\n"), "");
  EXPECT_EQ(problem(kSite + kUpstream + limit + "per = \"account\"\n"), "");
}

TEST(NginxFiles, AskForNoLimitThatIsDisabledAndNoRouteThatIsNot) {
  const auto files = files_of(
      "[tls]\nlimiter = \"services\"\n[[limit]]\nname = \"password\"\n"
      "enabled = false\n" +
      kSite + kUpstream + "password_routes = [\"/login\"]\n");
  for (const TextFile& file : files) EXPECT_THAT(file.text, Not(HasSubstr("cloudron_fw_limit ")));
  // nginx refuses a variable that nothing sets.
  EXPECT_THAT(files_of("[tls]\nlimiter = \"services\"\n" + kSite + kUpstream)[1].text,
              Not(HasSubstr("cloudron_fw_wait")));
}

TEST(NginxFiles, AreNotForAnotherProxy) {
  EXPECT_FALSE(tls::nginx_files(policy_of("[tls]\nproxy = \"none\"\n"), {}));
}

}  // namespace
}  // namespace fw
