// Operations up to where the kernel is asked: what they refuse, remember and tell.
// SPDX-License-Identifier: GPL-2.0-or-later
#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>

#include "fw/effective/policy.hpp"
#include "fw/host/host_facts.hpp"
#include "fw/host/last_good.hpp"
#include "fw/host/trial_record.hpp"
#include "fw/ops/apply.hpp"
#include "fw/ops/block.hpp"
#include "fw/ops/panic.hpp"
#include "fw/ops/trial.hpp"

namespace fw::ops {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

class Ops : public testing::Test {
 protected:
  Ops() {
    fs::create_directories(state);
    env.state_dir = state;
    env.socket = folder / "no.sock";
    env.tell = [this](const Problem& problem) { told += to_string(problem) + "\n"; };
    env.caller = Caller([this] { return ++looks, session; },
                        [](const auto&) {
                          return Actor{"ann", 1000, "", ""};
                        });
  }
  ~Ops() override { fs::remove_all(folder); }

  PolicySource write_policy(const std::string& text) const {
    const std::string path = folder / "policy.toml";
    std::ofstream(path) << text;
    return {.path = path};
  }
  /// As it is while a policy waits for its confirmation.
  void begin_trial(std::chrono::milliseconds left) const {
    TrialRecord record;
    record.begin = this_moment();
    record.until = record.begin.uptime + left;
    record.until_wall = wall_clock() + left;
    record.phase = TrialRecord::Phase::waiting;
    record.path = "/etc/other.toml";
    record.text = "";
    ASSERT_TRUE(save_trial_record(state, record));
  }

  const fs::path folder = fs::temp_directory_path() / fs::path("ops." + std::to_string(getpid()));
  const std::string state = folder / "state";
  std::optional<Session> session;
  int looks = 0;
  std::string told;
  Environment env;
};

TEST_F(Ops, APolicyWithErrorsIsToldAndNotLoaded) {
  EXPECT_FALSE(load_policy(env, write_policy("[ports]\ntcp = [\"x\"]\n")));
  EXPECT_NE(told.find("policy.toml:2:"), std::string::npos) << told;
}

TEST_F(Ops, WhatMustGoOnTakesTheLastGoodPolicy) {
  const PolicySource broken = write_policy("[ports\n");
  ASSERT_TRUE(save_last_good(state, broken.path, "[ports]\ntcp = [22, 8080]\n"));
  const LoadedPolicy loaded = load_some_policy(env, broken);
  EXPECT_TRUE(loaded.stands_in);
  EXPECT_EQ(loaded.name, "the last good policy");
  EXPECT_NE(told.find("the policy is unusable: the last good policy is used instead"),
            std::string::npos)
      << told;
}

TEST_F(Ops, ABootDoesNotTakeWhatWasRolledBack) {
  PolicySource source = write_policy("[ports]\ntcp = [22]\n");
  TrialRecord record;
  record.path = source.path;
  record.text = "[ports]\ntcp = [22]\n";
  ASSERT_TRUE(refuse_policy(state, record, wall_clock()));
  EXPECT_FALSE(load_some_policy(env, source).stands_in) << "a command takes it";
  source.boot = true;
  EXPECT_TRUE(load_some_policy(env, source).stands_in);
  EXPECT_NE(told.find("was rolled back at "), std::string::npos) << told;
}

TEST_F(Ops, AnApplyOfABrokenPolicyChangesNothing) {
  const auto done = apply(env, {write_policy("[ports\n"), false, false});
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, ErrorCode::policy);
  EXPECT_TRUE(fs::is_empty(state));
}

TEST_F(Ops, NoApplyWhileATrialIsOn) {
  begin_trial(60s);
  const auto done = apply(env, {write_policy("[ports]\ntcp = [22]\n"), false, false});
  ASSERT_FALSE(done);
  EXPECT_NE(done.error().what.find("/etc/other.toml is on trial"), std::string::npos);
  EXPECT_TRUE(read_trial_record(state));
  EXPECT_FALSE(read_last_good(state));
}

TEST_F(Ops, NoTrialWithoutAGuardian) {
  const auto done = apply_on_trial(
      env, {write_policy("[ports]\ntcp = [22]\n"), true, false}, 60s,
      []() -> Result<std::unique_ptr<Guardian>> { return fail(ErrorCode::memory, "no process"); });
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().what, "no process");
  EXPECT_FALSE(read_trial_record(state));
}

TEST_F(Ops, WithoutATrialThereIsNothingToConfirmOrRollBack) {
  EXPECT_FALSE(confirm(env));
  const auto done = rollback(env);
  ASSERT_TRUE(done);
  EXPECT_FALSE(*done);
}

TEST_F(Ops, ABootEndsATrialOfAnotherBoot) {
  begin_trial(60s);
  end_trial_at_boot(env);
  EXPECT_TRUE(read_trial_record(state)) << "its time is not over";
  TrialRecord other = *read_trial_record(state);
  other.begin.boot = "another";
  ASSERT_TRUE(save_trial_record(state, other));
  end_trial_at_boot(env);
  EXPECT_FALSE(read_trial_record(state));
  EXPECT_TRUE(refused_at(state, "", this_moment()));
}

TEST_F(Ops, ABlockOfOneselfIsRefusedAndSaysHow) {
  LoadedPolicy policy;
  policy.policy = default_policy();
  session.emplace();
  session->remote = parse_ip("203.0.113.9").value();
  BlockRequest request;
  request.addresses = {parse_ip_range("203.0.113.0/24").value()};
  const auto done = block(env, policy, request);
  ASSERT_FALSE(done);
  EXPECT_NE(done.error().what.find("203.0.113.9"), std::string::npos) << done.error().what;
  EXPECT_NE(done.error().what.find("use --force"), std::string::npos) << done.error().what;
  EXPECT_FALSE(fs::exists(state + "/state.db"));
}

TEST_F(Ops, OfAFileOnlyWhatTheGuardObjectsToIsLeftOut) {
  LoadedPolicy policy;
  policy.policy = default_policy();
  BlockRequest request;
  request.listed = {"a file", {parse_ip_range("127.0.0.1").value()}};
  const auto done = block(env, policy, request);
  ASSERT_TRUE(done);
  ASSERT_EQ(done->left_out.size(), 1u);
  EXPECT_EQ(done->left_out.front().index, 0u);
  EXPECT_TRUE(done->blocked.empty());
  EXPECT_FALSE(fs::exists(state + "/state.db")) << "nothing was left to block";
}

TEST_F(Ops, WhoAsksIsLookedForOnceAndOnlyWhenNeeded) {
  EXPECT_EQ(looks, 0);
  const Environment copy = env;
  (void)copy.caller.actor();
  (void)env.caller.session();
  EXPECT_EQ(looks, 1);
}

TEST_F(Ops, RowsOfTheLogNameTheFirstAddresses) {
  BlockRequest request;
  request.lasts = 1h;
  request.reason = "guessing";
  request.origin = "fail2ban sshd";
  BlockReport report;
  for (int i = 1; i <= 5; ++i) {
    report.blocked.push_back(
        {parse_ip_range("198.51.100." + std::to_string(i)).value(), {}, "", "", {}});
  }
  EXPECT_EQ(row_of(request, report).summary,
            "198.51.100.1, 198.51.100.2, 198.51.100.3 and 2 more for 1h by \"fail2ban sshd\": "
            "guessing");
}

}  // namespace
}  // namespace fw::ops
