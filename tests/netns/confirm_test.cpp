// Apply on trial: what is not confirmed is rolled back, whatever happens to whoever applied it.
// SPDX-License-Identifier: GPL-2.0-or-later
#include <algorithm>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <random>
#include <regex>
#include <thread>

#include <boost/json.hpp>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/lab/apps.hpp"
#include "tests/lab/family.hpp"

namespace lab {
namespace {

namespace fs = std::filesystem;

std::string ports(const std::string& tcp) { return "[ports]\ntcp = [" + tcp + "]\n"; }

/// Processes of a name that work with a state folder.
std::vector<pid_t> processes(const std::string& name, const std::string& state_dir) {
  std::vector<pid_t> out;
  for (const auto& entry : fs::directory_iterator("/proc")) {
    const std::string id = entry.path().filename();
    if (id.find_first_not_of("0123456789") != std::string::npos) continue;
    std::ifstream comm(entry.path() / "comm");
    std::ifstream words(entry.path() / "cmdline");
    std::string is;
    std::string line;
    if (!std::getline(comm, is) || is != name || !std::getline(words, line)) continue;
    if (line.find(state_dir) != std::string::npos) out.push_back(std::stoi(id));
  }
  return out;
}

class Trial : public testing::Test {
 protected:
  Trial() {
    fw.apply(old_policy);
    old_rules = rules_only(net.host);
  }
  void begin(const std::string& time = "60s") {
    fw.policy(new_policy);
    fw.must({"apply", "--confirm", time});
    EXPECT_NE(rules(), old_rules);
  }
  std::string rules() const { return rules_only(net.host); }
  bool waits() const { return fs::exists(fw.state_dir() + "/pending"); }
  /// A process that was forked has its name and its signals a moment later: the command does not
  /// wait for that.
  pid_t guardian() const {
    std::vector<pid_t> all;
    EXPECT_TRUE(eventually([&] {
      all = processes("fw-guardian", fw.state_dir());
      return all.size() == 1;
    }));
    return all.empty() ? -1 : all.front();
  }
  /// By any name: it has the command's until it has its own.
  bool no_guardian() const {
    return eventually([&] {
      return processes("fw-guardian", fw.state_dir()).empty() &&
             processes("cloudron-fw", fw.state_dir()).empty();
    });
  }
  /// The time of the trial is over, now.
  void time_is_over() const {
    const std::string path = fw.state_dir() + "/pending";
    write_file(path + ".new",
               std::regex_replace(read_file(path), std::regex("\nuntil \\d+"), "\nuntil 0"));
    fs::rename(path + ".new", path);
  }
  void expect_rolled_back() const {
    EXPECT_EQ(rules(), old_rules);
    EXPECT_FALSE(waits());
    EXPECT_TRUE(no_guardian());
    EXPECT_EQ(read_file(fw.policy_path()), new_policy) << "the file is the admin's";
    EXPECT_EQ(fw.run({"plan"}).exit, 2);
  }

  Network net;
  Firewall fw{net.host};
  const std::string old_policy = ports("22, 80");
  const std::string new_policy =
      ports("22, 443") + limit_toml("ssh", "22", "outside", "ip", "7/10s");
  std::string old_rules;
};

TEST_F(Trial, IsRolledBackWhenNobodyConfirms) {
  const auto start = Clock::now();
  fw.policy(new_policy);
  fw.must({"apply", "--confirm", "2s"});
  EXPECT_TRUE(waits() || passed(start, 2s));
  EXPECT_TRUE(eventually([&] { return rules() == old_rules; }));
  EXPECT_TRUE(passed(start, 2s));
  EXPECT_TRUE(eventually([&] { return !waits(); }));
  expect_rolled_back();
  const Output late = fw.run({"confirm"});
  EXPECT_EQ(late.exit, 1) << to_string(late);
  EXPECT_NE(late.err.find("no policy is on trial"), std::string::npos) << to_string(late);
}

TEST_F(Trial, StaysWhenItIsConfirmed) {
  begin();
  fw.must({"confirm"});
  EXPECT_FALSE(waits());
  EXPECT_TRUE(no_guardian()) << "it does not wait for the end of the time";
  const std::string confirmed = rules();
  EXPECT_EQ(confirmed.find("ssh.5/10s"), std::string::npos) << "the earlier limit's sets are gone";
  EXPECT_EQ(fw.run({"plan"}).exit, 0);
  nft(net.host, "delete table inet cloudron\n");
  EXPECT_EQ(fw.must({"apply", "--boot"}).err, "");
  EXPECT_EQ(rules(), confirmed);
}

TEST_F(Trial, IsRolledBackAtOnceOnDemand) {
  begin();
  fw.must({"rollback"});
  expect_rolled_back();
  EXPECT_NE(fw.must({"rollback"}).out.find("nothing to do"), std::string::npos);
}

TEST_F(Trial, WhatIsKeptForTheRollbackIsNoDifference) {
  begin();
  EXPECT_NE(rules().find("ssh.5/10s.slot4.1"), std::string::npos);
  EXPECT_EQ(fw.run({"plan"}).exit, 0);
  EXPECT_EQ(fw.run({"status"}).exit, 0);
  const auto trial = fw.json({"status"}).at("trial").as_object();
  EXPECT_EQ(trial.at("policy").as_string(), fw.policy_path());
  EXPECT_GE(trial.at("seconds_left").to_number<int>(), 50);
  EXPECT_LE(trial.at("seconds_left").to_number<int>(), 60);
  const Output status = fw.run({"status"});
  EXPECT_NE(status.out.find("cloudron-fw confirm"), std::string::npos) << status.out;
}

TEST_F(Trial, NoOtherApplyComesBetween) {
  begin();
  const std::string before = rules();
  fw.policy(ports("22"));
  for (const std::vector<std::string>& words :
       {std::vector<std::string>{"apply"}, {"apply", "--confirm", "5s"}}) {
    const Output output = fw.run(words);
    EXPECT_EQ(output.exit, 1) << to_string(output);
    EXPECT_NE(output.err.find("cloudron-fw rollback"), std::string::npos) << to_string(output);
    EXPECT_EQ(rules(), before);
  }
  EXPECT_EQ(fw.run({"plan"}).exit, 2);
  fw.must({"confirm"});
  EXPECT_NE(rules().find("443"), std::string::npos) << "what was on trial, not the file";
  fw.apply();
}

TEST_F(Trial, OfNothingNewIsNone) {
  fw.policy("# the same\n" + old_policy);
  const Output output = fw.must({"apply", "--confirm", "60s"});
  EXPECT_NE(output.out.find("nothing to confirm"), std::string::npos) << to_string(output);
  EXPECT_FALSE(waits());
  EXPECT_TRUE(no_guardian());
}

TEST_F(Trial, OfAPolicyWithErrorsOrForNoTimeIsRefused) {
  fw.policy(new_policy);
  for (const char* time : {"0s", "2d", "soon", ""}) {
    EXPECT_EQ(fw.run({"apply", "--confirm", time}).exit, 64) << time;
  }
  EXPECT_EQ(fw.run({"apply", "--confirm", "5s", "--dry-run"}).exit, 64);
  EXPECT_EQ(fw.run({"apply", "--confirm", "5s", "--boot"}).exit, 64);
  EXPECT_EQ(fw.run({"apply", "--dry-run", "--boot"}).exit, 64) << "which would apply";
  fw.policy("[ports]\ntcp = [99999]\n");
  EXPECT_EQ(fw.run({"apply", "--confirm", "60s"}).exit, 1);
  EXPECT_EQ(rules(), old_rules);
  EXPECT_FALSE(waits());
  EXPECT_TRUE(no_guardian());
}

TEST_F(Trial, OfTheFirstPolicyEndsWithoutATable) {
  fw.must({"reset", "--yes"});
  fs::remove_all(fw.state_dir());
  fw.policy(new_policy);
  fw.must({"apply", "--confirm", "60s"});
  EXPECT_NE(listing(net.host), "");
  const Output output = fw.must({"rollback"});
  EXPECT_NE(output.out.find("no firewall"), std::string::npos) << to_string(output);
  EXPECT_EQ(listing(net.host), "");
  EXPECT_TRUE(fs::exists(fw.state_dir() + "/off")) << "nobody repairs what was not there";
  fw.apply();
  EXPECT_FALSE(fs::exists(fw.state_dir() + "/off"));
}

TEST_F(Trial, SurvivesTheLossOfItsSession) {
  begin();
  const pid_t id = guardian();
  ASSERT_GT(id, 0);
  EXPECT_EQ(::getsid(id), id);
  const std::string proc = "/proc/" + std::to_string(id);
  EXPECT_TRUE(eventually([&] { return fs::read_symlink(proc + "/cwd") == "/"; }));
  for (const char* fd : {"/fd/0", "/fd/1", "/fd/2"}) {
    EXPECT_TRUE(eventually([&] { return fs::read_symlink(proc + fd) == "/dev/null"; })) << fd;
  }
  ASSERT_EQ(::kill(id, SIGHUP), 0);
  time_is_over();
  EXPECT_TRUE(eventually([&] { return !waits(); }));
  expect_rolled_back();
}

TEST_F(Trial, WithoutItsGuardianTheNextCommandRollsBack) {
  const std::vector<std::vector<std::string>> commands = {
      {"block", "198.18.0.9"}, {"unblock", "198.18.0.9"}, {"rollback"}, {"confirm"}};
  for (const auto& words : commands) {
    begin();
    const pid_t id = guardian();
    ASSERT_GT(id, 0);
    ASSERT_EQ(::kill(id, SIGKILL), 0);
    EXPECT_TRUE(eventually([&] { return processes("fw-guardian", fw.state_dir()).empty(); }));
    time_is_over();
    EXPECT_EQ(fw.json({"status"}).at("trial").at("seconds_left").to_number<int>(), 0);
    EXPECT_NE(rules(), old_rules) << "looking changes nothing";
    const Output output = fw.run(words);
    EXPECT_EQ(output.exit, words.front() == "confirm" ? 1 : 0) << to_string(output);
    EXPECT_NE((output.out + output.err).find("rolled back"), std::string::npos)
        << to_string(output);
    if (words.front() == "block") fw.must({"unblock", "198.18.0.9"});
    expect_rolled_back();
    if (words.front() == "block") fw.must({"block", "198.18.0.9"});
  }
}

/// A reboot takes the table and the guardian, and gives the kernel another boot id.
class Reboot : public Trial {
 protected:
  void reboot() {
    const pid_t id = guardian();
    ASSERT_GT(id, 0);
    ASSERT_EQ(::kill(id, SIGKILL), 0);
    const std::string path = fw.state_dir() + "/pending";
    write_file(path, std::regex_replace(read_file(path), std::regex("^boot \\S+"),
                                        "boot 00000000-0000-0000-0000-000000000000"));
    nft(net.host, "delete table inet cloudron\n");
  }
};

TEST_F(Reboot, BringsTheLastConfirmedPolicy) {
  begin("1d");
  reboot();
  for (int i = 0; i < 2; ++i) {
    const Output output = fw.must({"apply", "--boot"});
    EXPECT_NE(output.err.find("was rolled back at"), std::string::npos) << to_string(output);
    EXPECT_NE(output.err.find("last good policy is applied instead"), std::string::npos);
    expect_rolled_back();
    nft(net.host, "delete table inet cloudron\n");
  }
  fw.must({"apply"});
  const std::string applied = rules();
  EXPECT_NE(applied, old_rules) << "now it is the admin's word";
  nft(net.host, "delete table inet cloudron\n");
  EXPECT_EQ(fw.must({"apply", "--boot"}).err, "");
  EXPECT_EQ(rules(), applied);
}

TEST_F(Reboot, OfNoMachineKeepsTheTrial) {
  begin("60s");
  const std::string on_trial = rules();
  fw.must({"apply", "--boot"});  // the unit was restarted
  EXPECT_EQ(rules(), on_trial);
  EXPECT_TRUE(waits());
  fw.must({"rollback"});
  expect_rolled_back();
}

TEST_F(Reboot, AfterAMendedFileBringsThat) {
  begin("1d");
  reboot();
  fw.policy(ports("22, 8080"));
  EXPECT_EQ(fw.must({"apply", "--boot"}).err, "");
  EXPECT_NE(rules().find("8080"), std::string::npos);
}

TEST_F(Trial, KilledAtAnyMomentLeavesARollback) {
  const auto started = Clock::now();
  begin();
  auto longest = std::chrono::ceil<std::chrono::microseconds>(Clock::now() - started);
  const std::string new_rules = rules();
  fw.must({"rollback"});
  std::mt19937 random{std::random_device{}()};
  std::size_t killed = 0;
  std::size_t in_force = 0;
  for (int i = 0; i < 100; ++i) {
    Process process(net.host, fw.command({"apply", "--confirm", i % 10 == 0 ? "1s" : "60s"}));
    std::this_thread::sleep_for(std::chrono::microseconds(
        std::uniform_int_distribution<std::int64_t>(0, longest.count())(random)));
    process.kill(SIGKILL);
    const bool was_killed = process.wait().signal == SIGKILL;
    longest = was_killed ? longest * 102 / 100 : longest * 95 / 100;
    killed += was_killed ? 1 : 0;
    const std::string now = rules();
    ASSERT_TRUE(now == old_rules || now == new_rules) << "kill " << i << " left\n" << now;
    in_force += now == new_rules ? 1 : 0;
    if (i % 10 == 0 && now == new_rules) {
      ASSERT_TRUE(eventually([&] { return !waits(); })) << "kill " << i;
    } else {
      fw.must({"rollback"});
    }
    ASSERT_EQ(rules(), old_rules) << "kill " << i;
    ASSERT_FALSE(waits());
  }
  RecordProperty("killed", static_cast<int>(killed));
  RecordProperty("in_force", static_cast<int>(in_force));
  EXPECT_GE(killed, 50u);
  EXPECT_GE(in_force, 5u);
  EXPECT_TRUE(no_guardian());
}

/// What limits had counted before a trial counts after its rollback.
class TrialOfLimits : public OverFamily {
 protected:
  void rolled_back_by(const std::string& other, unsigned who) {
    const std::string before = rules_only(net.host);
    const auto spent_at = Clock::now();
    const auto spent = [&] {
      return from(who).tcp(host(), 22, kShort) != Outcome::served || passed(spent_at, 10s);
    };
    EXPECT_EQ(served(from(who).tries(host(), {22}, {5})), 5u);
    EXPECT_EQ(served(from(who).tries(host(), {2000}, {20})), 20u);
    EXPECT_TRUE(spent());
    EXPECT_NE(from(who).tcp(host(), 2000, kShort), Outcome::served);
    fw.policy(other);
    fw.must({"apply", "--confirm", "60s"});
    EXPECT_EQ(from(who).tcp(host(), 22), Outcome::served) << "a limit of its own";
    EXPECT_EQ(from(who).tcp(host(), 2000), Outcome::served);
    fw.must({"block", to_string(client(family(), who + 1))});
    fw.must({"rollback"});
    EXPECT_TRUE(spent());
    EXPECT_NE(from(who).tcp(host(), 2000, kShort), Outcome::served);
    EXPECT_EQ(from(who + 2).tcp(host(), 22), Outcome::served);
    EXPECT_EQ(from(who + 2).tcp(host(), 2000), Outcome::served);
    EXPECT_EQ(from(who + 1).tcp(host(), 80, kShort), Outcome::timed_out) << "blocked meanwhile";
    fw.must({"unblock", to_string(client(family(), who + 1))});
    EXPECT_EQ(rules_only(net.host), before);
    EXPECT_TRUE(eventually([&] { return from(who).tcp(host(), 22, kShort) == Outcome::served; }));
    EXPECT_GE(seconds_of(Clock::now() - spent_at), 10) << "a slot lasts its whole window";
    EXPECT_NE(from(who).tcp(host(), 2000, kShort), Outcome::served);
  }

  Server server{net.host, {22, 80, 2000}};
  const std::string both = ports("22, 80, 2000");
};
BOTH_FAMILIES(TrialOfLimits);

TEST_P(TrialOfLimits, WithOtherRatesFindsThemAsTheyWere) {
  fw.apply(both + limit_toml("calls", "2000", "outside", "ip", "20/d"));
  rolled_back_by(both + limit_toml("calls", "2000", "outside", "ip", "30/d", "burst = 40") +
                     limit_toml("ssh", "22", "outside", "ip", "6/20s"),
                 1);
}

TEST_P(TrialOfLimits, WithoutThemFindsThemAsTheyWere) {
  fw.apply(both + limit_toml("calls", "2000", "outside", "ip", "20/d"));
  rolled_back_by(both + "[[limit]]\nname = \"ssh\"\nenabled = false\n", 1);
}

/// The same for budgets of named apps, which are limit objects.
TEST_P(TrialOfLimits, OfAppsFindsThemAsTheyWere) {
  AppBridge bridge(net);
  App& wiki = bridge.add(2);
  App& chat = bridge.add(3);
  const auto policy = [&](const std::string& rate) {
    return both + apps_toml() + app_toml("wiki", wiki) + app_toml("chat", chat) +
           (rate.empty() ? "" : limit_toml("calls", "2000", "apps", "app", rate));
  };
  const auto call = [&](const App& app) {
    return Client(app.inside, app.address(family())).tcp(bridge_address(family()), 2000, kShort);
  };
  for (const auto& [rate, count] : {std::pair{"3/d", 3}, {"20/d", 20}}) {
    fw.apply(policy(rate));
    const std::string before = rules_only(net.host);
    for (int i = 0; i < count; ++i) EXPECT_EQ(call(wiki), Outcome::served) << i;
    EXPECT_NE(call(wiki), Outcome::served);
    for (const char* other : {"5/d", "25/d", ""}) {
      fw.policy(policy(other));
      fw.must({"apply", "--confirm", "60s"});
      EXPECT_EQ(call(wiki), Outcome::served) << other;
      fw.must({"rollback"});
      EXPECT_NE(call(wiki), Outcome::served) << other;
      EXPECT_EQ(rules_only(net.host), before) << other;
    }
    EXPECT_EQ(call(chat), Outcome::served);
  }
}

}  // namespace
}  // namespace lab
