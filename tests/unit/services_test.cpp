// The limiter's service: reading requests, deciding, answering, and what a restart keeps.
// SPDX-License-Identifier: GPL-2.0-or-later
#include <atomic>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>

#include "fw/base/file.hpp"
#include "fw/base/limits.hpp"
#include "fw/services/blocked_clients.hpp"
#include "fw/services/budgets.hpp"
#include "fw/services/http_answers.hpp"
#include "fw/services/http_request.hpp"
#include "fw/services/http_server.hpp"
#include "fw/services/limiter_core.hpp"
#include "fw/services/offences.hpp"
#include "fw/services/reports.hpp"
#include "tests/unit/samples.hpp"

namespace fw::services {
namespace {

using namespace std::chrono_literals;
using std::string;
namespace fs = std::filesystem;

constexpr limiter::Ticks kSecond = limiter::to_ticks(1s);
constexpr limiter::Ticks kStart = 1000 * kSecond;
constexpr BudgetSizes kSmall{1024, 4096};

ReadHead read(const string& bytes) {
  leave_sample("http_request", bytes);
  return read_head(bytes);
}

// ---- Requests

TEST(HttpRequest, IsReadInItsParts) {
  const string bytes =
      "GET /v1/limit/password?refuse=403 HTTP/1.1\r\nHost: x\r\nX-Client: 2001:db8::7\r\n"
      "x-account:\t bob \r\nX-SITE: wiki.example.org\r\nAuthorization: Bearer abc\r\n"
      "Content-Length: 5\r\n\r\nhello";
  const ReadHead head = read(bytes);
  ASSERT_EQ(head.reading, Reading::whole);
  EXPECT_EQ(bytes.substr(head.size), "hello");
  EXPECT_EQ(head.request.method, Method::get);
  EXPECT_EQ(head.request.path, "/v1/limit/password");
  EXPECT_EQ(head.request.query, "refuse=403");
  EXPECT_EQ(head.request.client, "2001:db8::7");
  EXPECT_EQ(head.request.account, "bob");
  EXPECT_EQ(head.request.site, "wiki.example.org");
  EXPECT_EQ(head.request.token, "abc");
  EXPECT_EQ(head.request.body_size, 5u);
  EXPECT_TRUE(head.request.keep_alive);
}

TEST(HttpRequest, KeepsAliveAsItsVersionAndHeaderSay) {
  EXPECT_FALSE(read("GET / HTTP/1.0\r\n\r\n").request.keep_alive);
  EXPECT_TRUE(read("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n").request.keep_alive);
  EXPECT_FALSE(read("GET / HTTP/1.1\r\nConnection: upgrade, close\r\n\r\n").request.keep_alive);
}

TEST(HttpRequest, WaitsForItsEnd) {
  const string whole = "POST /v1/offence HTTP/1.1\r\nContent-Length: 0\r\n\r\n";
  for (std::size_t size = 0; size < whole.size(); ++size)
    EXPECT_EQ(read_head(whole.substr(0, size)).reading, Reading::partial) << size;
  EXPECT_EQ(read_head(whole).reading, Reading::whole);
}

TEST(HttpRequest, WhatTwoReadersCouldUnderstandDifferentlyIsRejected) {
  for (const string& head : {
           string("GET /\r\n"),
           string("GET  / HTTP/1.1\r\n"),
           string("GET / HTTP/2.0\r\n"),
           string("GET x HTTP/1.1\r\n"),
           string("GET http://x/ HTTP/1.1\r\n"),
           string("G\0T / HTTP/1.1\r\n", 16),
           string("GET /\x80 HTTP/1.1\r\n"),
           string("GET / HTTP/1.1\r\nA: 1\nX-Client: ::1\r\n"),
           string("GET / HTTP/1.1\r\nX-Client : ::1\r\n"),
           string("GET / HTTP/1.1\r\nA: 1\r\n X-Client: ::1\r\n"),
           string("GET / HTTP/1.1\r\nnothing\r\n"),
           string("GET / HTTP/1.1\r\n: 1\r\n"),
           string("GET / HTTP/1.1\r\nX-Client: ::1\r\nx-client: ::2\r\n"),
           string("GET / HTTP/1.1\r\nX-Site: a\r\nX-Site: a\r\n"),
           string("GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n"),
           string("GET / HTTP/1.1\r\nContent-Length: -1\r\n"),
           string("GET / HTTP/1.1\r\nContent-Length: 1, 1\r\n"),
           string("GET / HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n"),
           string("GET / HTTP/1.1\r\nContent-Length:\r\n"),
       }) {
    EXPECT_EQ(read(head + "\r\n").reading, Reading::malformed) << head;
  }
  EXPECT_EQ(read("GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n").reading,
            Reading::unsupported);
}

// ---- Decisions

HttpRules some_limits() {
  HttpRules limits;
  limits.limits = {default_http_limit("password", {10, 1s}), default_http_limit("http", {5000, 1s}),
                   default_http_limit("both", {3, 1s}), default_http_limit("account", {3, 1s}),
                   default_http_limit("site", {20, 1s})};
  limits.limits[2].per = HttpKey::client_account;
  limits.limits[3].per = HttpKey::account;
  limits.limits[4].per = HttpKey::site;
  limits.translated = {parse_ip_range("64:ff9b::/96").value()};
  return limits;
}

LimiterCore core_of(const HttpRules& limits = some_limits()) {
  LimiterCore core(Budgets::make(kSmall).value());
  core.use(limits);
  return core;
}

Question of_client(std::string_view limit, const char* client) {
  return {limit, parse_ip(client).value(), {}, {}};
}

int admitted(LimiterCore& core, const Question& question, int tries, limiter::Ticks now = kStart) {
  int count = 0;
  for (int i = 0; i < tries; ++i)
    count += core.decide(question, now).outcome == Outcome::admitted ? 1 : 0;
  return count;
}

TEST(LimiterCore, TenPasswordsInAnySecondAndNoHonestOneRefused) {
  for (const char* client : {"198.51.100.7", "2001:db8::7"}) {
    LimiterCore core = core_of();
    std::mt19937_64 random(11);
    std::vector<limiter::Ticks> passed;
    limiter::Ticks now = kStart;
    for (int i = 0; i < 20'000; ++i) {
      now += random() % (kSecond / 12);
      const auto since = std::lower_bound(passed.begin(), passed.end(), now - kSecond + 1);
      const auto in_window = passed.end() - since;
      const Decision decision = core.decide(of_client("password", client), now);
      if (decision.outcome == Outcome::admitted) {
        ASSERT_LT(in_window, 10);
        passed.push_back(now);
      } else {
        const auto late = std::lower_bound(passed.begin(), passed.end(), now - kSecond - 16);
        ASSERT_GE(passed.end() - late, 10);
        EXPECT_LE(decision.retry_after, 1s + 2us);
      }
    }
  }
}

TEST(LimiterCore, ClientsAreAddressesOrNetworks) {
  LimiterCore core = core_of();
  EXPECT_EQ(admitted(core, of_client("password", "198.51.100.7"), 20), 10);
  EXPECT_EQ(admitted(core, of_client("password", "::ffff:198.51.100.7"), 20), 0);
  EXPECT_EQ(admitted(core, of_client("password", "198.51.100.8"), 20), 10);
  EXPECT_EQ(admitted(core, of_client("password", "2001:db8:1:2::7"), 20), 10);
  EXPECT_EQ(admitted(core, of_client("password", "2001:db8:1:2:9::"), 20), 0);
  EXPECT_EQ(admitted(core, of_client("password", "2001:db8:1:3::7"), 20), 10);
  // Each host behind a translator.
  EXPECT_EQ(admitted(core, of_client("password", "64:ff9b::1"), 20), 10);
  EXPECT_EQ(admitted(core, of_client("password", "64:ff9b::2"), 20), 10);
  // Another limit is another budget.
  EXPECT_EQ(admitted(core, of_client("http", "198.51.100.7"), 6000), 5000);
}

TEST(LimiterCore, CountsByAccountAndSite) {
  LimiterCore core = core_of();
  const auto of = [](std::string_view limit, const char* client, std::string_view account) {
    return Question{limit, parse_ip(client).value(), account, {}};
  };
  EXPECT_EQ(admitted(core, of("both", "::1", "bob"), 9), 3);
  EXPECT_EQ(admitted(core, of("both", "::1", "alice"), 9), 3);
  EXPECT_EQ(admitted(core, of("both", "192.0.2.1", "bob"), 9), 3);
  EXPECT_EQ(admitted(core, of("account", "::1", "bob"), 9), 3);
  EXPECT_EQ(admitted(core, of("account", "192.0.2.1", "bob"), 9), 0);
  EXPECT_EQ(admitted(core, of("account", "192.0.2.1", "BoB"), 9), 0);
  EXPECT_EQ(admitted(core, of("account", "192.0.2.1", "bob@example.org"), 9), 3);
  const Question site{"site", {}, {}, "wiki.example.org"};
  EXPECT_EQ(admitted(core, site, 30), 20);
}

TEST(LimiterCore, SaysWhatIsMissing) {
  LimiterCore core = core_of();
  EXPECT_EQ(core.decide({"nothing", {}, {}, {}}, kStart).outcome, Outcome::unknown);
  EXPECT_EQ(core.decide({"password", {}, "bob", "x"}, kStart).outcome, Outcome::no_client);
  EXPECT_EQ(core.decide({"both", {}, "bob", "x"}, kStart).outcome, Outcome::no_client);
  EXPECT_EQ(core.decide({"account", {}, {}, "x"}, kStart).outcome, Outcome::no_account);
  EXPECT_EQ(core.decide({"site", {}, "bob", {}}, kStart).outcome, Outcome::no_site);
}

TEST(LimiterCore, AChangedLimitBeginsAnewAndAnotherGoesOn) {
  LimiterCore core = core_of();
  admitted(core, of_client("password", "::1"), 10);
  admitted(core, of_client("http", "::1"), 5000);
  HttpRules changed = some_limits();
  changed.limits[0].rate.count = 5;
  changed.limits.pop_back();
  core.use(changed);
  EXPECT_EQ(admitted(core, of_client("password", "::1"), 20), 5);
  EXPECT_EQ(admitted(core, of_client("http", "::1"), 20), 0);
  EXPECT_EQ(core.decide({"site", {}, {}, "x"}, kStart).outcome, Outcome::unknown);
}

// ---- What a restart keeps

class BudgetFile : public ::testing::Test {
 protected:
  BudgetFile() : dir_(fs::temp_directory_path() / ("budgets-" + std::to_string(getpid()))) {
    fs::create_directories(dir_);
  }
  ~BudgetFile() override { fs::remove_all(dir_); }
  string dir() const { return dir_.string(); }
  LimiterCore opened(const BudgetSizes& sizes = kSmall) const {
    LimiterCore core(Budgets::in(dir(), sizes).value());
    core.use(some_limits());
    return core;
  }

 private:
  fs::path dir_;
};

TEST_F(BudgetFile, KeepsWindowsAndBuckets) {
  for (const char* client : {"192.0.2.1", "2001:db8::1"}) {
    {
      LimiterCore core = opened();
      EXPECT_EQ(admitted(core, of_client("password", client), 4), 4);
      EXPECT_EQ(admitted(core, of_client("http", client), 4000), 4000);
    }
    LimiterCore core = opened();
    EXPECT_EQ(admitted(core, of_client("password", client), 20), 6);
    EXPECT_EQ(admitted(core, of_client("http", client), 5000), 1000);
  }
}

TEST_F(BudgetFile, IsItsOwnersAlone) {
  opened();
  struct ::stat status {};
  ASSERT_EQ(::stat((dir() + "/budgets").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777u, 0600u);
}

TEST_F(BudgetFile, OneOfAnotherKindIsReplaced) {
  const string path = dir() + "/budgets";
  const auto spent = [this](const BudgetSizes& sizes) {
    LimiterCore core = opened(sizes);
    return 10 - admitted(core, of_client("password", "192.0.2.1"), 10);
  };
  EXPECT_EQ(spent(kSmall), 0);
  EXPECT_EQ(spent(kSmall), 10);
  EXPECT_EQ(spent({2048, 4096}), 0) << "another size";
  EXPECT_EQ(spent({2048, 4096}), 10);
  for (const int at : {0, 20}) {  // the version; the boot
    std::fstream(path, std::ios::in | std::ios::out | std::ios::binary).seekp(at).put('X');
    EXPECT_EQ(spent({2048, 4096}), 0) << at;
  }
  std::ofstream(path) << "short";
  EXPECT_EQ(spent(kSmall), 0);
  fs::remove(path);
  fs::create_symlink("/dev/zero", path);
  EXPECT_EQ(spent(kSmall), 0);
  EXPECT_FALSE(fs::is_symlink(path));
}

TEST_F(BudgetFile, AFolderThatIsNotThereIsAnError) {
  EXPECT_FALSE(Budgets::in(dir() + "/none", kSmall));
}

// ---- Offences

HttpRules rules_with(const HttpOffender& offender) {
  HttpRules rules = some_limits();
  rules.offenders = {offender};
  return rules;
}

Ip ip(const char* text) { return parse_ip(text).value(); }

TEST(Offences, SoManyInTheTimeAndNotOneFewer) {
  for (const char* client : {"192.0.2.1", "2001:db8::1"}) {
    Offences offences;
    offences.use(rules_with({{3, 60s}, {"password"}, 1h, 4h}));
    const auto see = [&](Offences::Time now) {
      return offences.see(ip(client), "password", "wiki", now);
    };
    EXPECT_FALSE(see(0s));
    EXPECT_FALSE(see(30s));
    EXPECT_FALSE(see(61s));  // the first is too old by now
    EXPECT_FALSE(see(95s));
    EXPECT_EQ(see(100s), (WantedBlock{ip(client), ip(client).family == Family::ipv6 ? 64 : 128, 1h,
                                      "wiki", "3 refused by limit password in 1m"}));
    // Again, and longer each time.
    std::vector<std::chrono::seconds> lasts;
    for (int i = 0; i < 12; ++i) {
      if (const auto wanted = see(101s)) lasts.push_back(wanted->lasts);
    }
    EXPECT_EQ(lasts, (std::vector<std::chrono::seconds>{2h, 4h, 4h, 4h}));
  }
}

TEST(Offences, OfTheLimitsThatTheRuleNamesAndOfOneClient) {
  Offences offences;
  offences.use(rules_with({{2, 60s}, {"password"}}));
  EXPECT_FALSE(offences.see(ip("2001:db8::1"), "http", "", 0s));
  EXPECT_FALSE(offences.see(ip("2001:db8::1"), "nothing", "", 0s));
  EXPECT_EQ(offences.suspects(), 0u);
  EXPECT_FALSE(offences.see(ip("2001:db8::1"), "password", "", 0s));
  EXPECT_FALSE(offences.see(ip("2001:db8:0:1::1"), "password", "", 0s));
  EXPECT_FALSE(offences.see(ip("64:ff9b::1"), "password", "", 0s));
  EXPECT_FALSE(offences.see(ip("64:ff9b::2"), "password", "", 0s));
  EXPECT_TRUE(offences.see(ip("2001:db8::2"), "password", "", 0s));
  const auto translated = offences.see(ip("64:ff9b::1"), "password", "", 0s);
  ASSERT_TRUE(translated);
  EXPECT_EQ(translated->prefix6, 128);
}

TEST(Offences, ForgetsWhoHasBeenQuietLongest) {
  Offences offences;
  offences.use(rules_with({{2, 60s}, {"password"}}));
  for (std::uint32_t n = 0; n < 3 * kHttpSuspectsMax; ++n) {
    EXPECT_FALSE(offences.see({Family::ipv4, n}, "password", "", 0s));
    EXPECT_LE(offences.suspects(), kHttpSuspectsMax);
  }
  EXPECT_FALSE(offences.see({Family::ipv4, 0}, "password", "", 0s));
  EXPECT_TRUE(offences.see({Family::ipv4, 3 * kHttpSuspectsMax - 1}, "password", "", 0s));
}

TEST(OffenceReports, AreReadWhole) {
  const auto report =
      read_report(R"({"client": "2001:db8::7", "account": "bob", "reason": "wrong", "more": 1})");
  ASSERT_TRUE(report);
  EXPECT_EQ(*report, (Report{ip("2001:db8::7"), "password", "bob", "wrong"}));
  EXPECT_EQ(read_report(R"({"client": "192.0.2.1", "limit": "x", "reason": null})").value().limit,
            "x");
  for (const string& wrong :
       {string(), string("[]"), string("{}"), string(R"({"client": 7})"),
        string(R"({"client": "x"})"), string(R"({"client": "::1", "account": 7})"),
        R"({"client": "::1", "account": ")" + string(257, 'a') + "\"}", string(64, '['),
        string(R"({"client": "::1"} {})")}) {
    EXPECT_FALSE(read_report(wrong)) << wrong;
  }
}

const string kToken(32, 't');

TEST(Tokens, EachSiteHasItsOwn) {
  const Tokens tokens =
      Tokens::read("# who\n\nwiki.example.org\t" + kToken + "\r\n  chat " + kToken + "x").value();
  EXPECT_EQ(tokens.size(), 2u);
  EXPECT_TRUE(tokens.allow("wiki.example.org", kToken));
  EXPECT_TRUE(tokens.allow("chat", kToken + "x"));
  EXPECT_FALSE(tokens.allow("chat", kToken));
  EXPECT_FALSE(tokens.allow("chat", kToken + "y"));
  EXPECT_FALSE(tokens.allow("", kToken));
  EXPECT_FALSE(Tokens().allow("chat", ""));
  for (const string& wrong : {string("wiki short"), string("wiki"), "wiki " + kToken + " more",
                              "wiki " + kToken + "\nwiki " + kToken}) {
    EXPECT_FALSE(Tokens::read(wrong)) << wrong;
  }
}

TEST(AskedFor, IsKeptForTenMinutesAndNotForTwenty) {
  AskedFor asked = AskedFor::make().value();
  for (const char* client : {"192.0.2.1", "2001:db8::1"}) {
    EXPECT_FALSE(asked.knows("wiki", ip(client), kStart));
    for (int i = 0; i < 50; ++i) asked.note("wiki", ip(client), kStart + i * kSecond);
    const auto last = kStart + 49 * kSecond;
    EXPECT_TRUE(asked.knows("wiki", ip(client), last + 599 * kSecond));
    EXPECT_FALSE(asked.knows("wiki", ip(client), last + 1201 * kSecond));
    EXPECT_FALSE(asked.knows("chat", ip(client), last));
  }
  EXPECT_FALSE(asked.knows("wiki", ip("192.0.2.2"), kStart));
}

// ---- Blocked clients

TEST(BlockedClients, AreAskedAboutTogetherAndOneQuestionAtATime) {
  BlockedClients blocked;
  int woken = 0;
  const auto wait = [&](const char* client) { blocked.wait_for(ip(client), [&] { ++woken; }); };
  EXPECT_TRUE(blocked.next_question().empty());
  wait("192.0.2.1");
  wait("192.0.2.1");
  wait("2001:db8::1");
  const auto first = blocked.next_question();
  EXPECT_EQ(first, (std::vector<Ip>{ip("192.0.2.1"), ip("2001:db8::1")}));
  wait("192.0.2.1");  // is told with the others
  wait("192.0.2.2");
  EXPECT_TRUE(blocked.next_question().empty()) << "while one is under way";
  blocked.answered(first, std::vector<Ip>{ip("2001:db8::1")}, 0ms);
  EXPECT_EQ(woken, 4);
  EXPECT_EQ(blocked.known(ip("192.0.2.1"), 0ms), false);
  EXPECT_EQ(blocked.known(ip("2001:db8::1"), 0ms), true);
  EXPECT_EQ(blocked.known(ip("192.0.2.2"), 0ms), std::nullopt);
  EXPECT_EQ(blocked.next_question(), std::vector<Ip>{ip("192.0.2.2")});
  EXPECT_EQ(blocked.unanswered(), 0u);
}

TEST(BlockedClients, AnAnswerIsUsedForLessThanASecond) {
  for (const auto at : {0ms, 399ms, 400ms, 799ms}) {
    BlockedClients blocked;
    EXPECT_EQ(blocked.known(ip("192.0.2.1"), 10'000ms), std::nullopt);
    const auto told = 10'000ms + at;
    blocked.answered({ip("192.0.2.1")}, std::vector<Ip>{ip("192.0.2.1")}, told);
    EXPECT_EQ(blocked.known(ip("192.0.2.1"), told + 399ms), true) << at.count();
    EXPECT_EQ(blocked.known(ip("192.0.2.1"), told + BlockedClients::kFresh + 1ms), std::nullopt);
    EXPECT_EQ(blocked.known(ip("192.0.2.1"), told + 1h), std::nullopt);
  }
}

TEST(BlockedClients, WithoutAnAnswerPassAndAreCounted) {
  BlockedClients blocked;
  int woken = 0;
  blocked.wait_for(ip("192.0.2.1"), [&] { ++woken; });
  blocked.answered(blocked.next_question(), std::nullopt, 0ms);
  EXPECT_EQ(woken, 1);
  EXPECT_EQ(blocked.known(ip("192.0.2.1"), 0ms), false);
  EXPECT_EQ(blocked.unanswered(), 1u);
}

TEST(BlockedClients, AreRememberedWithinABound) {
  BlockedClients blocked;
  for (std::uint32_t n = 0; n < 3 * kBlockedKnownMax; n += 256) {
    std::vector<Ip> clients;
    for (std::uint32_t i = 0; i < 256; ++i) clients.push_back({Family::ipv4, n + i});
    blocked.answered(clients, clients, 1ms);
    EXPECT_LE(blocked.size(), kBlockedKnownMax);
    EXPECT_EQ(blocked.known(clients.front(), 1ms), true);
  }
  for (std::uint32_t n = 0; n < kBlockedAskedMax + 1; ++n)
    blocked.wait_for({Family::ipv4, n}, [] {});
  EXPECT_EQ(blocked.next_question().size(), kBlockedAskedMax);
}

// ---- Answers

/// The service without its socket.
class Answers : public ::testing::Test {
 protected:
  Answers()
      : api_(LimiterCore(Budgets::make(kSmall).value()), AskedFor::make().value(),
             [this](const WantedBlock& wanted) { blocks_.push_back(wanted); }) {
    api_.use(rules_with({{3, 60s}, {"password"}}));
    api_.use(Tokens::read("wiki " + kToken + "\n").value());
  }

  string answered(const string& head, const string& body = {}) {
    leave_sample("http_request", head);
    const ReadHead read = read_head(head);
    EXPECT_EQ(read.reading, Reading::whole) << head;
    string out;
    const Responded responded = api_.answer(read.request, body, kStart, out, [this] { ++again_; });
    EXPECT_EQ(responded == Responded::later, out.empty());
    return out;
  }
  void begins(const string& head, const string& with, const string& body = {}) {
    EXPECT_EQ(answered(head, body).substr(0, with.size()), with) << head << body;
  }
  static string asking(const string& line, const string& headers = "X-Client: 192.0.2.1\r\n") {
    return line + " HTTP/1.1\r\n" + headers + "\r\n";
  }
  static string reporting(const string& headers) {
    return "POST /v1/offence HTTP/1.1\r\n" + headers + "\r\n";
  }

  std::vector<WantedBlock> blocks_;
  int again_ = 0;
  Api api_;
};

TEST_F(Answers, AreWhatProxiesUnderstand) {
  for (int i = 0; i < 10; ++i)
    EXPECT_EQ(answered(asking("GET /v1/limit/password")), "HTTP/1.1 204 No Content\r\n\r\n");
  EXPECT_EQ(answered(asking("GET /v1/limit/password")),
            "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n");
  EXPECT_EQ(answered(asking("GET /v1/limit/password?refuse=403")),
            "HTTP/1.1 403 Forbidden\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n");
}

TEST_F(Answers, SayWhatIsWrong) {
  begins(asking("GET /"), "HTTP/1.1 404 ");
  begins(asking("GET /v1/limit/passwords"), "HTTP/1.1 404 ");
  begins(asking("GET /v1/limit/"), "HTTP/1.1 404 ");
  begins(asking("POST /v1/limit/password"), "HTTP/1.1 405 ");
  begins(asking("GET /v1/limit/password?refuse=200"), "HTTP/1.1 400 ");
  begins(asking("GET /v1/limit/password", ""), "HTTP/1.1 400 ");
  begins(asking("GET /v1/limit/password", "X-Client: unix:\r\n"), "HTTP/1.1 400 ");
  begins(asking("GET /v1/limit/password", "X-Client: 1.2.3.4, 5.6.7.8\r\n"), "HTTP/1.1 400 ");
  begins(asking("GET /v1/limit/account"), "HTTP/1.1 400 ");
  begins(asking("GET /v1/limit/account", "X-Account: " + string(257, 'a') + "\r\n"),
         "HTTP/1.1 400 ");
  begins(asking("GET /v1/limit/account", "X-Account: " + string(256, 'a') + "\r\n"),
         "HTTP/1.1 204 ");
}

TEST_F(Answers, WhoIsRefusedAgainAndAgainIsToBeBlocked) {
  for (int i = 0; i < 12; ++i) answered(asking("GET /v1/limit/password"));
  EXPECT_TRUE(blocks_.empty());
  answered(asking("GET /v1/limit/password"));
  ASSERT_EQ(blocks_.size(), 1u);
  EXPECT_EQ(blocks_[0].client, ip("192.0.2.1"));
}

TEST_F(Answers, AClientBehindAProxyIsRefusedAndNotBlocked) {
  const string behind = "X-Client: 2001:db8::1\r\nX-Peer: 198.51.100.1\r\n";
  for (int i = 0; i < 20; ++i) answered(asking("GET /v1/limit/password", behind));
  begins(asking("GET /v1/limit/password", behind), "HTTP/1.1 429 ");
  EXPECT_TRUE(blocks_.empty());
  const string direct = "X-Client: 2001:db8::1\r\nX-Peer: 2001:DB8:0::1\r\n";
  for (int i = 0; i < 3; ++i) answered(asking("GET /v1/limit/password", direct));
  EXPECT_EQ(blocks_.size(), 1u);
}

TEST_F(Answers, ABlockedClientBehindAProxyIsRefused) {
  const string behind = "X-Client: 2001:db8::1\r\nX-Peer: 198.51.100.1\r\n";
  const string limit = asking("GET /v1/limit/password?refuse=403&blocked=403", behind);
  const string page = asking("GET /v1/blocked", behind);
  for (const string& question : {limit, page}) EXPECT_EQ(answered(question), "") << question;
  const auto asked = api_.blocked().next_question();
  EXPECT_EQ(asked, std::vector<Ip>{ip("2001:db8::1")});
  api_.blocked().answered(asked, asked, 999'999ms);
  EXPECT_EQ(again_, 2);
  for (const string& question : {limit, page})
    EXPECT_EQ(answered(question), "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n");
  // Who asks about the limit alone hears of that alone.
  begins(asking("GET /v1/limit/password", behind), "HTTP/1.1 204 ");
  // Packets of a direct one were dropped.
  begins(asking("GET /v1/blocked"), "HTTP/1.1 204 ");
  begins(asking("GET /v1/blocked", ""), "HTTP/1.1 400 ");
  begins(asking("POST /v1/blocked"), "HTTP/1.1 405 ");
}

TEST_F(Answers, AClientBehindAProxyThatAsksForBlocksIsBlocked) {
  const string behind = "X-Client: 2001:db8::1\r\nX-Peer: 198.51.100.1\r\nX-Site: wiki\r\n";
  const string question = asking("GET /v1/limit/password?blocked=403", behind);
  answered(question);
  const auto asked = api_.blocked().next_question();
  api_.blocked().answered(asked, std::vector<Ip>{}, 999'999ms);
  for (int i = 0; i < 10; ++i) begins(question, "HTTP/1.1 204 ");
  for (int i = 0; i < 2; ++i) begins(question, "HTTP/1.1 429 ");
  EXPECT_TRUE(blocks_.empty());
  begins(reporting("X-Site: wiki\r\nAuthorization: Bearer " + kToken + "\r\n"), "HTTP/1.1 202 ",
         R"({"client": "2001:db8::1"})");
  ASSERT_EQ(blocks_.size(), 1u);
  EXPECT_EQ(blocks_[0].client, ip("2001:db8::1"));
}

TEST_F(Answers, ASiteReportsWhomItWasAskedBy) {
  const string body = R"({"client": "192.0.2.1", "reason": "wrong password"})";
  const string by_wiki = "X-Site: wiki\r\nAuthorization: Bearer " + kToken + "\r\n";
  begins(reporting(""), "HTTP/1.1 401 ", body);
  begins(reporting("X-Site: wiki\r\nAuthorization: Bearer " + string(32, 'x') + "\r\n"),
         "HTTP/1.1 401 ", body);
  begins(reporting("X-Site: chat\r\nAuthorization: Bearer " + kToken + "\r\n"), "HTTP/1.1 401 ",
         body);
  begins(asking("GET /v1/offence", by_wiki), "HTTP/1.1 405 ");
  begins(reporting(by_wiki), "HTTP/1.1 400 ", "hello");
  begins(reporting(by_wiki), "HTTP/1.1 403 ", body);
  // Asked by another site, or by a proxy in front, it is still unknown.
  answered(asking("GET /v1/limit/http", "X-Client: 192.0.2.1\r\nX-Site: chat\r\n"));
  answered(
      asking("GET /v1/limit/http", "X-Client: 192.0.2.1\r\nX-Site: wiki\r\nX-Peer: 192.0.2.9\r\n"));
  begins(reporting(by_wiki), "HTTP/1.1 403 ", body);
  answered(asking("GET /v1/limit/http", "X-Client: 192.0.2.1\r\nX-Site: wiki\r\n"));
  for (int i = 0; i < 3; ++i) begins(reporting(by_wiki), "HTTP/1.1 202 ", body);
  ASSERT_EQ(blocks_.size(), 1u);
  EXPECT_EQ(blocks_[0].site, "wiki");
}

// ---- The server

/// A server in a thread, and its clients.
class HttpSocket : public ::testing::Test {
 protected:
  HttpSocket() : path_(fs::temp_directory_path() / ("http-" + std::to_string(getpid()))) {
    EXPECT_TRUE(server_.listen(path_.string()));
    thread_ = std::thread([this] { io_.run(); });
  }
  ~HttpSocket() override {
    io_.stop();
    thread_.join();
  }

  File connected() const {
    File socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un to{};
    to.sun_family = AF_UNIX;
    std::strcpy(to.sun_path, path_.c_str());
    EXPECT_EQ(::connect(socket.fd(), reinterpret_cast<const sockaddr*>(&to), sizeof to), 0);
    const timeval patience{.tv_sec = 20, .tv_usec = 0};
    ::setsockopt(socket.fd(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    return socket;
  }
  static void send(const File& socket, const string& bytes) {
    EXPECT_EQ(::send(socket.fd(), bytes.data(), bytes.size(), MSG_NOSIGNAL),
              static_cast<::ssize_t>(bytes.size()));
  }
  /// So many bytes, or all until the end.
  static string received(const File& socket, std::size_t most = string::npos) {
    string out;
    char byte = 0;
    while (out.size() < most && ::recv(socket.fd(), &byte, 1, 0) == 1) out += byte;
    return out;
  }

  boost::asio::io_context io_{1};
  fs::path path_;
  HttpServer server_{io_, [this](const HttpRequest& request, std::string_view body, string& out,
                                 const Again& again) {
                       if (request.path == "/later" && !known_.exchange(true)) {
                         boost::asio::post(io_, again);
                         return Responded::later;
                       }
                       append_response(out, "200 OK", string(request.path) + string(body));
                       return Responded::now;
                     }};
  std::atomic<bool> known_ = false;  // that the answer to /later is
  std::thread thread_;
};

string ok(const string& text) {
  string out;
  append_response(out, "200 OK", text);
  return out;
}

TEST_F(HttpSocket, AnswersManyRequestsOfOneConnection) {
  const File client = connected();
  for (const string path : {"/a", "/b", "/c"}) {
    send(client, "GET " + path + " HTTP/1.1\r\n\r\n");
    EXPECT_EQ(received(client, ok(path).size()), ok(path));
  }
  // In one piece, and in many.
  send(client, "GET /d HTTP/1.1\r\n\r\nPOST /e HTTP/1.1\r\nContent-Length: 2\r\n\r\nhiGET /f HT");
  EXPECT_EQ(received(client, (ok("/d") + ok("/ehi")).size()), ok("/d") + ok("/ehi"));
  for (const char c : string("TP/1.1\r\nConnection: close\r\n\r\n")) send(client, string(1, c));
  EXPECT_EQ(received(client), ok("/f"));
}

TEST_F(HttpSocket, AnAnswerThatIsNotKnownYetHoldsUpItsClientAlone) {
  const File client = connected();
  send(client, "GET /a HTTP/1.1\r\n\r\nGET /later HTTP/1.1\r\n\r\nGET /b HTTP/1.1\r\n\r\n");
  const string all = ok("/a") + ok("/later") + ok("/b");
  EXPECT_EQ(received(client, all.size()), all);
  known_ = false;
  {
    const File gone = connected();
    send(gone, "GET /later HTTP/1.1\r\n\r\n");
  }
  const File other = connected();
  send(other, "GET /later HTTP/1.1\r\nConnection: close\r\n\r\n");
  EXPECT_EQ(received(other), ok("/later"));
}

TEST_F(HttpSocket, RejectsWhatIsNoRequestAndCloses) {
  const auto status = [this](const string& bytes) {
    const File client = connected();
    send(client, bytes);
    return received(client).substr(0, 12);
  };
  EXPECT_EQ(status("\x16\x03\x01 hello\r\n\r\n"), "HTTP/1.1 400");
  EXPECT_EQ(status("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"), "HTTP/1.1 501");
  EXPECT_EQ(status("POST / HTTP/1.1\r\nContent-Length: 4097\r\n\r\n"), "HTTP/1.1 413");
  EXPECT_EQ(status("GET / HTTP/1.1\r\nX: " + string(kServiceHeadMax, 'x')), "HTTP/1.1 431");
  EXPECT_EQ(status("GET / HTTP/1.1\r\nX: " + string(kServiceHeadMax / 2, 'x') +
                   "\r\nConnection: "
                   "close\r\n\r\n"),
            "HTTP/1.1 200");
}

TEST_F(HttpSocket, ManyClientsMakeRoomForOthers) {
  std::vector<File> idle;
  for (std::size_t i = 0; i < kServiceClientsMax + 20; ++i) idle.push_back(connected());
  send(idle.back(), "GET /x HTTP/1.1\r\n\r\n");
  EXPECT_EQ(received(idle.back(), ok("/x").size()), ok("/x"));
  EXPECT_EQ(received(idle.front()), "");
}

TEST_F(HttpSocket, AClientThatDoesNotReadHoldsUpNobody) {
  const File deaf = connected();
  const int small = 1;
  ::setsockopt(deaf.fd(), SOL_SOCKET, SO_SNDBUF, &small, sizeof small);
  string many;
  for (int i = 0; i < 200; ++i) many += "GET /" + string(500, 'x') + " HTTP/1.1\r\n\r\n";
  for (int i = 0; i < 20; ++i)
    (void)::send(deaf.fd(), many.data(), many.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  const File other = connected();
  send(other, "GET /y HTTP/1.1\r\n\r\n");
  EXPECT_EQ(received(other, ok("/y").size()), ok("/y"));
}

TEST_F(HttpSocket, TheSocketIsForItsGroup) {
  struct ::stat status {};
  ASSERT_EQ(::stat(path_.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777u, 0660u);
}

}  // namespace
}  // namespace fw::services
