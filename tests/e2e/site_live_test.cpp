// From [[site]] to a browser: an app in a real container behind the rendered nginx, with a
// certificate that certbot had from Pebble.
// SPDX-License-Identifier: GPL-2.0-or-later
#include <string>
#include <vector>

#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <gmock/gmock.h>
#include <sys/stat.h>

#include "tests/e2e/docker.hpp"
#include "tests/e2e/nginx.hpp"
#include "tests/e2e/pebble.hpp"
#include "tests/e2e/testssl.hpp"
#include "tests/lab/family.hpp"

namespace lab {
namespace {

namespace json = boost::json;
using testing::HasSubstr;
using testing::Not;

/// What the app serves: its script leads the browser to HTTP, and says how it came back.
constexpr const char* kPage =
    "<p id=seen>no script ran</p><script>"
    "if (location.pathname == \"/\") location = \"http://\" + location.host + \"/second.html\";"
    "else document.getElementById(\"seen\").textContent = \"by \" + location.protocol;</script>";

/// wiki.example.org, and admin.example.org of the same app, with a policy of contents.
class DockerSite : public OverFamily {
 protected:
  DockerSite() {
    ::mkdir((dir_ / "letsencrypt").c_str(), 0700);
    write_file(dir_ / "letsencrypt/cli.ini", "no-verify-ssl = True\n");
    docker_.docker({"run", "-d", "--name", "wiki", Dockerd::kImage, "sh", "-c",
                    "busybox mkdir /www; echo '" + std::string(kPage) +
                        "' >/www/index.html; cat /www/index.html >/www/second.html; "
                        "trap exit TERM; httpd -f -p 3000 -h /www & wait"});
    fw.policy(
        fmt::format("[apps]\ndiscover = \"docker\"\ndocker = \"{}\"\n"
                    "[tls]\nacme_server = \"{}\"\n"
                    "[[site]]\nname = \"wiki.example.org\"\napp = \"wiki\"\nport = 3000\n"
                    "password_routes = [\"/login\"]\n"
                    "[[site]]\nname = \"admin.example.org\"\napp = \"wiki\"\nport = 3000\n"
                    "admin = true\n",
                    docker_.socket(), pebble_.directory()));
    fw.must({"apply"});
    nginx_.start();
    fw.must({"render", "nginx", "--install", "--nginx", nginx_.folder(), "--letsencrypt",
             dir_ / "letsencrypt", "--webroot", dir_ / "webroot"});
    fw.must({"certs", "renew", "--nginx", nginx_.folder()});
    write_file(dir_ / "root.pem", pebble_.root());
    nginx_.settle();
  }

  Response get(const std::string& url, const std::vector<std::string>& more = {}) const {
    const std::string name = url.substr(url.find("//") + 2);
    std::vector<std::string> words{
        "curl",       "-sSi", "--cacert",     dir_ / "root.pem",
        "--max-time", "10",   "--connect-to", "::" + bracketed(host()) + ":",
        url};
    words.insert(words.end(), more.begin(), more.end());
    const Output output = lab::run(net.outside, words);
    const auto responses = parse_responses(output.out);
    Response last = responses.empty() ? Response{} : responses.back();
    last.exit = output.exit;
    return last;
  }
  /// What stands in the page when Chromium has run it. Nobody answers it at port 80.
  std::string seen_by_chromium(const std::string& url) const {
    const std::string pin = must_run(
        net.outside, {"sh", "-c",
                      "openssl x509 -in " + dir_.path() +
                          "/letsencrypt/live/$0/cert.pem -noout -pubkey | openssl pkey "
                          "-pubin -outform der | openssl dgst -sha256 -binary | base64",
                      url.substr(url.find("//") + 2, url.rfind('/') - url.find("//") - 2)});
    const Output output =
        lab::run(net.outside,
                 {"chromium-headless-shell", "--no-sandbox", "--disable-gpu",
                  "--user-data-dir=" + (dir_ / "chromium"), "--disable-features=HttpsUpgrades",
                  "--host-resolver-rules=MAP *:80 ~NOTFOUND,MAP * " + bracketed(host()),
                  "--ignore-certificate-errors-spki-list=" + pin.substr(0, pin.find('\n')),
                  "--virtual-time-budget=5000", "--dump-dom", url},
                 {}, 60s);
    return output.out + output.err;
  }

  TempDir dir_;
  Dockerd docker_{net.host};
  Pebble pebble_{net.outside, family(), host()};
  Nginx nginx_{net.host, "notice"};
};
BOTH_FAMILIES(DockerSite);

TEST_P(DockerSite, HoldsFromThePolicyToTheBrowser) {
  EXPECT_EQ(get("http://wiki.example.org/").status, 308);
  EXPECT_EQ(get("https://unknown.example.org/").exit, 35) << "its handshake is rejected";

  const Output audited =
      lab::run(net.outside, {program(), "--json", "audit", "tls", "--ca", dir_ / "root.pem",
                             "--address", to_string(host()), "wiki.example.org"});
  EXPECT_THAT(audited.out, HasSubstr(R"("grade":"A+")")) << to_string(audited);

  if (family() == Family::ipv4) {
    EXPECT_EQ(
        testssl_grade(net.outside, dir_ / "root.pem", to_string(host()), "wiki.example.org:443"),
        "A+");
  }

  int refused = 0;
  for (int i = 0; i < 30; ++i)
    refused += get("https://wiki.example.org/login", {"-d", "password=x"}).status == 429 ? 1 : 0;
  EXPECT_GE(refused, 1);

  EXPECT_THAT(seen_by_chromium("http://wiki.example.org/"), Not(HasSubstr("by https:")));
  EXPECT_THAT(seen_by_chromium("https://wiki.example.org/"), HasSubstr("by https:"))
      << "HSTS: it asks no port 80 any more";
  EXPECT_THAT(seen_by_chromium("https://admin.example.org/"), HasSubstr("no script ran"))
      << "CSP: no script of the page itself";
}

}  // namespace
}  // namespace lab
