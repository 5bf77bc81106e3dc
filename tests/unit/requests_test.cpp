// Requests that need neither kernel nor store.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/daemon/requests.hpp"

#include <stdexcept>
#include <string>
#include <utility>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <gtest/gtest.h>

#include "fw/base/limits.hpp"
#include "fw/effective/policy.hpp"
#include "fw/wire/wire.hpp"

namespace fw {
namespace {

using namespace std::chrono_literals;
namespace json = boost::json;

class FakeDaemon final : public RequestContext {
 public:
  explicit FakeDaemon(Policy policy = {}) : policy_(std::move(policy)) {}

  const std::string& state_dir() const override { return state_dir_; }
  const Policy& policy() const override { return policy_; }
  HttpRules http_rules() override { return fw::http_rules(policy_); }
  const BlockGuard& guard() override { throw std::logic_error("guard"); }
  chains::Kernel& kernel() override { throw std::logic_error("kernel"); }
  Store& store() override { throw std::logic_error("store"); }
  const TrafficStats& traffic() const override { throw std::logic_error("traffic"); }
  DaemonCounts counts() const override { return {}; }
  void applied(std::chrono::microseconds took) override {
    ++applies;
    last_apply = took;
  }
  void with_lock(std::function<void()> work, std::function<void(const Error&)>) override { work(); }
  void record(const std::string&, const Actor&, const std::string&, const json::object&) override {}

  json::object ask(const char* request, bool may_change = true) {
    return ask_as({.pid = 1, .uid = 0, .may_change = may_change}, request);
  }
  json::object ask_as(const Peer& peer, const char* request) {
    json::object out;
    serve(*this, peer, json::parse(request).as_object(),
          [&out](json::object answer) { out = std::move(answer); });
    return out;
  }

  int applies = 0;
  std::chrono::microseconds last_apply{};

 private:
  std::string state_dir_ = "/var/lib/cloudron-fw";
  Policy policy_;
};

TEST(Requests, AnApplyOfACommandIsCounted) {
  FakeDaemon daemon;
  EXPECT_EQ(daemon.ask(R"({"do": "applied", "took_us": 2500})").at("ok"), true);
  EXPECT_EQ(daemon.applies, 1);
  EXPECT_EQ(daemon.last_apply, 2500us);
}

TEST(Requests, OnlyWhoMayChangeSaysThatItApplied) {
  FakeDaemon daemon;
  EXPECT_EQ(daemon.ask(R"({"do": "applied", "took_us": 1})", false).at("ok"), false);
  EXPECT_EQ(daemon.ask(R"({"do": "applied", "state_dir": "/elsewhere"})").at("ok"), false);
  for (const char* wrong :
       {R"({"do": "applied", "took_us": -1})", R"({"do": "applied", "took_us": "long"})"}) {
    EXPECT_EQ(daemon.ask(wrong).at("ok"), false) << wrong;
  }
  EXPECT_EQ(daemon.applies, 0);
}

TEST(Requests, LimitsOfRequestsAreToldToWhoMayOnlyAsk) {
  FakeDaemon daemon(default_policy());
  const json::object answer = daemon.ask(R"({"do": "limits"})", false);
  EXPECT_EQ(
      json::serialize(answer.at("limits").at(0)),
      R"({"name":"password","per":"client","rate":"10/s","burst":10,"prefix4":32,"prefix6":64})");
  EXPECT_EQ(answer.at("limits").as_array().size(), 2u);
  EXPECT_EQ(answer.at("translated").at(0), "64:ff9b::/96");
  // And read back by the service.
  const auto report = wire::from_json<HttpRules>(answer);
  ASSERT_TRUE(report);
  EXPECT_EQ(*report, fw::http_rules(default_policy()));
}

TEST(Requests, OnlyAFewSingleAddressesAreAskedAboutAtOnce) {
  FakeDaemon daemon;
  // It gets as far as the kernel, which this daemon has not.
  EXPECT_THROW(daemon.ask(R"({"do": "blocked", "addresses": ["192.0.2.1", "::1"]})", false),
               std::logic_error);
  std::string many = R"({"do": "blocked", "addresses": ["::1")";
  for (std::size_t i = 0; i < kBlockedAskedMax; ++i) many += R"(, "::1")";
  many += "]}";
  for (const char* wrong : {R"({"do": "blocked"})", R"({"do": "blocked", "addresses": []})",
                            R"({"do": "blocked", "addresses": ["192.0.2.0/31"]})", many.c_str()}) {
    EXPECT_EQ(daemon.ask(wrong).at("ok"), false) << wrong;
  }
}

TEST(Requests, AServiceBlocksOneClientAsItselfAndDoesNothingElse) {
  FakeDaemon daemon;
  const Peer service{.pid = 1, .uid = 999, .may_change = false, .is_service = true};
  // It gets as far as the guard, which this daemon has not.
  EXPECT_THROW(daemon.ask_as(service, R"({"do": "block", "addresses": ["192.0.2.1"], "for": "1h",
                                          "origin": "services/wiki"})"),
               std::logic_error);
  for (const char* beyond :
       {R"({"do": "block", "addresses": ["192.0.2.1"], "for": "1h"})",
        R"({"do": "block", "addresses": ["192.0.2.1"], "for": "1h", "origin": "admin"})",
        R"({"do": "block", "addresses": ["192.0.2.1"], "origin": "services/wiki"})",
        R"({"do": "block", "addresses": ["192.0.2.1"], "for": "31d", "origin": "services/wiki"})",
        R"({"do": "block", "addresses": ["192.0.2.0/31"], "for": "1h", "origin": "services/w"})",
        R"({"do": "block", "addresses": ["::1", "::2"], "for": "1h", "origin": "services/w"})",
        R"({"do": "block", "addresses": ["2001:db8::1"], "for": "1h", "origin": "services/w",
            "prefix6": 32})",
        R"({"do": "block", "addresses": ["192.0.2.1"], "for": "1h", "origin": "services/w",
            "force": true})",
        R"({"do": "block", "addresses": ["192.0.2.1"], "for": "1h", "origin": "services/w",
            "by": {"user": "root"}})",
        R"({"do": "unblock", "addresses": ["192.0.2.1"], "origin": "services/w"})",
        R"({"do": "applied", "took_us": 1})"}) {
    const json::object answer = daemon.ask_as(service, beyond);
    EXPECT_EQ(answer.at("ok"), false) << beyond;
    EXPECT_EQ(answer.at("error").at("code"), "permission") << beyond;
  }
  EXPECT_EQ(daemon.ask_as(service, R"({"do": "hello"})").at("ok"), true);
}

TEST(Requests, WhatThereIsIsToldToWhoAsksForElse) {
  FakeDaemon daemon;
  const json::object answer = daemon.ask(R"({"do": "dance"})");
  EXPECT_NE(json::serialize(answer).find("known are hello, applied, block, unblock, "
                                         "blocks, blocked, counts, limits, status, activity"),
            std::string::npos)
      << answer;
}

}  // namespace
}  // namespace fw
