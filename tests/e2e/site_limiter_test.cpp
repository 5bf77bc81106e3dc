// Sites whose nginx asks the limiter's service: exact limits of passwords, and blocked clients
// behind a proxy.
// SPDX-License-Identifier: GPL-2.0-or-later
#include <algorithm>
#include <csignal>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include <gmock/gmock.h>

#include "tests/e2e/sites.hpp"
#include "tests/lab/daemon.hpp"

namespace lab {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

const std::string kWiki = "https://wiki.example.org";
const std::string kToken(40, 't');
constexpr unsigned kProxy = 7;  // the client that is a proxy

class SiteLimiter : public WithSites {
 protected:
  /// nginx, the daemon and the service, with these lines of [tls].
  void start(const std::string& tls = {}, const std::string& more = {}) {
    const std::string policy =
        fmt::format("[tls]\nlimiter = \"services\"\n{}[trusted]\nproxies = [\"{}\"]\n{}{}", tls,
                    to_string(client(family(), kProxy)), wiki(), more);
    fw.apply(policy);
    daemon_ = std::make_unique<Daemon>(fw);
    write_file(dir_ / "tokens", "wiki.example.org " + kToken + "\n");
    start_service();
    installed_ = install(policy);
    nginx_.start();
  }
  void start_service() {
    service_ = std::make_unique<Process>(
        net.host,
        std::vector<std::string>{program(), "--socket", daemon_->path(), "services",
                                 "--runtime-dir", dir_ / "run", "--tokens", dir_ / "tokens"});
    if (!eventually([this] { return ask_service({"http://x/"}).ok(); }))
      fail("no service: " + service_->err_so_far());
  }
  void kill_service() {
    service_->kill(SIGKILL);
    service_->wait();
  }

  Output ask_service(const std::vector<std::string>& words) const {
    std::vector<std::string> all{"curl", "-sS", "--unix-socket", limiter_socket()};
    all.insert(all.end(), words.begin(), words.end());
    return run(net.host, all);
  }
  /// An app says that a client gave a wrong password. The status of the answer.
  std::string report(Ip of) const {
    return ask_service({"-o", "/dev/null", "-w", "%{http_code}", "-H", "X-Site: wiki.example.org",
                        "-H", "Authorization: Bearer " + kToken, "--json",
                        fmt::format("{{\"client\": \"{}\"}}", to_string(of)),
                        "http://x/v1/offence"})
        .out;
  }

  /// A request of a client of the proxy's.
  Response behind_proxy(Ip of, const std::string& path, const std::string& more = {}) const {
    return ask(kWiki + path, {"-H", fmt::format("X-Forwarded-For: {}{}", more, to_string(of))},
               kProxy);
  }

  std::unique_ptr<Daemon> daemon_;
  std::unique_ptr<Process> service_;
  Output installed_;
};
BOTH_FAMILIES(SiteLimiter);

struct PasswordTry {
  double from = 0;
  double until = 0;
  int status = 0;
};

std::vector<PasswordTry> parse_tries(const std::string& text) {
  std::vector<PasswordTry> all;
  std::istringstream lines(text);
  for (PasswordTry one; lines >> one.from >> one.until >> one.status;) all.push_back(one);
  return all;
}

TEST_P(SiteLimiter, NoSecondHasAnEleventhPassword) {
  start();
  const Output output = run(net.outside, {"python3", CLOUDRON_FW_TESTS "/e2e/password_tries.py",
                                          to_string(client(family(), 1)), to_string(host()),
                                          "wiki.example.org", certificate_.certificate, "4"});
  ASSERT_TRUE(output.ok()) << output.err;
  std::vector<PasswordTry> admitted;
  int refused = 0;
  for (const PasswordTry& one : parse_tries(output.out)) {
    if (one.status == 200) admitted.push_back(one);
    if (one.status == 429) ++refused;
    ASSERT_TRUE(one.status == 200 || one.status == 429) << one.status;
  }
  EXPECT_GE(admitted.size(), 30u);
  EXPECT_GT(refused, 50);
  for (std::size_t i = 10; i < admitted.size(); ++i)
    EXPECT_GE(admitted[i].until - admitted[i - 10].from, 1.0) << i;
  EXPECT_EQ(ask(kWiki + "/login", {}, 2).status, 200) << "another client";
  EXPECT_EQ(ask(kWiki + "/").status, 200) << "another page";
}

TEST_P(SiteLimiter, ARefusalHasTheHeadersAndSaysWhenToComeBack) {
  start();
  EXPECT_THAT(installed_.err, Not(HasSubstr("limiter's service")));
  const auto responses =
      ask_all(std::vector<std::string>(30, kWiki + "/login"), "wiki.example.org");
  const auto refused = std::ranges::find(responses, 429, &Response::status);
  ASSERT_NE(refused, responses.end());
  EXPECT_EQ(refused->one("retry-after"), "1");
  expect_headers(*refused, "429");
  // What the app itself answers stays.
  for (const int status : {401, 403}) {
    const Response own = ask(fmt::format("{}/status/{}", kWiki, status), {}, 2);
    EXPECT_EQ(own.status, status);
    expect_headers(own, std::to_string(status));
  }
  const Response asking = ask(kWiki + "/.cloudron-fw/password", {}, 3);
  EXPECT_EQ(asking.status, 204) << "nobody outside asks: this is for an answer that is missing";
  expect_headers(asking, "a location of its own");
}

TEST_P(SiteLimiter, ABlockedClientBehindAProxyIsRefused) {
  start();
  const Ip bad = client(family(), 21), good = client(family(), 22);
  EXPECT_EQ(behind_proxy(bad, "/").status, 200);
  const Output told = fw.must({"block", to_string(bad), "--for", "1h"});
  EXPECT_THAT(told.out, HasSubstr("requests to the sites get status 403"));
  EXPECT_TRUE(eventually([&] { return behind_proxy(bad, "/").status == 403; }));
  for (const char* path : {"/", "/login", "/status/404"}) {
    const Response refused = behind_proxy(bad, path);
    EXPECT_EQ(refused.status, 403) << path;
    EXPECT_THAT(refused.all("retry-after"), IsEmpty());
    expect_headers(refused, path);
    EXPECT_EQ(behind_proxy(good, path).status, path == std::string("/status/404") ? 404 : 200);
  }
  EXPECT_EQ(behind_proxy(bad, "/", to_string(good) + ", ").status, 403)
      << "what the client wrote itself is not believed";
  EXPECT_EQ(ask(kWiki + "/", {"-H", "X-Forwarded-For: " + to_string(bad)}, 3).status, 200)
      << "only the proxy says for whom it asks";
  EXPECT_EQ(ask(kWiki + "/", {"--connect-timeout", "1"}, 21).exit, 28) << "and its packets";
  fw.must({"unblock", to_string(bad)});
  EXPECT_TRUE(eventually([&] { return behind_proxy(bad, "/").status == 200; }));
}

TEST_P(SiteLimiter, ADeadServiceLetsRequestsPass) {
  start();
  kill_service();
  for (int i = 0; i < 15; ++i) EXPECT_EQ(ask(kWiki + "/login").status, 200) << i;
  EXPECT_EQ(behind_proxy(client(family(), 21), "/").status, 200);
  EXPECT_THAT(nginx_.errors(), HasSubstr("limit.sock"));
  start_service();
  std::vector<std::string> words(20, kWiki + "/login");
  const auto responses = ask_all(words, "wiki.example.org");
  EXPECT_GT(std::ranges::count(responses, 429, &Response::status), 0);
}

TEST_P(SiteLimiter, ADeadServiceClosesPasswordRoutesIfThatIsWanted) {
  start("limiter_down = \"closed\"\n");
  EXPECT_EQ(ask(kWiki + "/login").status, 200);
  kill_service();
  const Response closed = ask(kWiki + "/login");
  EXPECT_EQ(closed.status, 503);
  EXPECT_EQ(closed.one("retry-after"), "1");
  expect_headers(closed, "503");
  EXPECT_EQ(behind_proxy(client(family(), 21), "/login").status, 503);
  EXPECT_EQ(ask(kWiki + "/").status, 200);
  EXPECT_EQ(behind_proxy(client(family(), 21), "/").status, 200);
  EXPECT_EQ(ask(kWiki + "/status/401", {}, 2).status, 401) << "the app's own";
  start_service();
  EXPECT_EQ(ask(kWiki + "/login").status, 200);
}

TEST_P(SiteLimiter, WithoutTheDaemonBlockedClientsBehindProxiesPass) {
  start();
  const Ip bad = client(family(), 21);
  fw.must({"block", to_string(bad)});
  EXPECT_EQ(behind_proxy(bad, "/").status, 403);
  daemon_.reset();
  EXPECT_TRUE(eventually([&] { return behind_proxy(bad, "/").status == 200; }));
  EXPECT_THAT(service_->err_so_far(), HasSubstr("nobody says who is blocked"));
  std::vector<std::string> words(30, kWiki + "/login");
  words.insert(words.begin(), {"-H", "X-Forwarded-For: " + to_string(bad)});
  const auto responses = ask_all(words, "wiki.example.org", kProxy);
  EXPECT_GT(std::ranges::count(responses, 429, &Response::status), 0) << "they are limited";
  daemon_ = std::make_unique<Daemon>(fw);
  EXPECT_TRUE(eventually([&] { return behind_proxy(bad, "/").status == 403; }));
  EXPECT_THAT(service_->err_so_far(), HasSubstr("requests have passed unasked"));
}

const std::string kOffender =
    "[[offender]]\nafter = \"3 refused/10m\"\nlimits = [\"password\"]\nblock = \"1h\"\n";

TEST_P(SiteLimiter, AReportOfTheAppBlocksAClient) {
  start({}, kOffender);
  const Ip bad = client(family(), 1);
  EXPECT_EQ(report(bad), "403") << "it has not been here";
  EXPECT_EQ(ask(kWiki + "/login", {"--data", "password=x"}).status, 200);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(report(bad), "202");
  EXPECT_TRUE(eventually([this] { return fw.must({"blocks"}).out.contains("services/wiki"); }))
      << service_->err_so_far();
  EXPECT_EQ(ask(kWiki + "/", {"--connect-timeout", "1"}).exit, 28) << "in the kernel";
  EXPECT_EQ(ask(kWiki + "/", {}, 2).status, 200);
}

TEST_P(SiteLimiter, AReportOfAClientBehindAProxyBlocksTheClientAlone) {
  start({}, kOffender);
  const Ip bad = client(family(), 21), good = client(family(), 22);
  EXPECT_EQ(behind_proxy(bad, "/login").status, 200);
  EXPECT_EQ(report(client(family(), kProxy)), "403");
  for (int i = 0; i < 3; ++i) EXPECT_EQ(report(bad), "202");
  EXPECT_TRUE(eventually([&] { return behind_proxy(bad, "/login").status == 403; }))
      << service_->err_so_far();
  EXPECT_EQ(behind_proxy(good, "/login").status, 200);
}

TEST_P(SiteLimiter, AnInstallationSaysWhatNginxCannotReach) {
  const std::string policy = "[tls]\nlimiter = \"services\"\n" + wiki();
  EXPECT_THAT(install(policy).err, HasSubstr("the limiter's service does not run"));
  start();
  std::string conf = read_file(nginx_.folder() + "/nginx.conf");
  conf.replace(conf.find("user root"), 9, "user nobody nogroup");
  write_file(nginx_.folder() + "/nginx.conf", conf);
  EXPECT_THAT(install(policy).err,
              AllOf(HasSubstr("nginx's user \"nobody\" may not ask"), HasSubstr("adduser")));
}

}  // namespace
}  // namespace lab
