// Requests that need neither kernel nor store.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/daemon/requests.hpp"

#include <stdexcept>
#include <utility>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <gtest/gtest.h>

namespace fw {
namespace {

using namespace std::chrono_literals;
namespace json = boost::json;

class FakeDaemon final : public RequestContext {
 public:
  const std::string& state_dir() const override { return state_dir_; }
  const Policy& policy() const override { return policy_; }
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
    json::object out;
    serve(*this, {.pid = 1, .uid = 0, .may_change = may_change}, json::parse(request).as_object(),
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

TEST(Requests, WhatThereIsIsToldToWhoAsksForElse) {
  FakeDaemon daemon;
  const json::object answer = daemon.ask(R"({"do": "dance"})");
  EXPECT_NE(json::serialize(answer).find("known are hello, applied, block, unblock, "
                                         "blocks, counts, status, activity"),
            std::string::npos)
      << answer;
}

}  // namespace
}  // namespace fw
