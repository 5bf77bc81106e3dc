// At boot something comes into force, whatever the state of the files (S1).
// SPDX-License-Identifier: GPL-2.0-or-later
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include <boost/json.hpp>

#include "tests/lab/family.hpp"

namespace lab {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;

class Boot : public OverFamily {
 protected:
  /// What a reboot does to the kernel.
  void reboot() const { nft(net.host, "delete table inet cloudron\n"); }
  std::string address(unsigned n) const { return to_string(client(family(), n)); }
  bool blocked(unsigned n) const { return from(n).tcp(host(), 80, kShort) == Outcome::timed_out; }

  Output boot(const std::vector<std::string>& before = {}) const {
    Output output =
        before.empty() ? fw.run({"apply", "--boot"}) : fw.run_by(before, {"apply", "--boot"});
    EXPECT_TRUE(output.exit == 0 || output.exit == 3) << to_string(output);
    return output;
  }
  /// Says it with the journal's priority "error".
  static void expect_said(const Output& output, const std::string& what) {
    std::size_t begin = 0;
    for (std::size_t end; (end = output.err.find('\n', begin)) != std::string::npos;) {
      const std::string line = output.err.substr(begin, end - begin);
      if (line.starts_with("<3>") && line.find(what) != std::string::npos) return;
      begin = end + 1;
    }
    ADD_FAILURE() << "no <3> line with '" << what << "': " << to_string(output);
  }
  /// SSH and the web are open, and more only if so said.
  void expect_in_force(Outcome at_8080 = Outcome::timed_out) const {
    EXPECT_EQ(from(1).tcp(host(), 22), Outcome::served);
    EXPECT_EQ(from(1).tcp(host(), 80), Outcome::served);
    EXPECT_EQ(from(1).tcp(host(), 8080, at_8080 == Outcome::served ? 3s : Clock::duration(kShort)),
              at_8080);
    EXPECT_EQ(from(1).tcp(host(), 9090, kShort), Outcome::timed_out);
  }

  static constexpr const char* kMorePorts = "[ports]\ntcp = [22, 80, 8080]\n";
  Server server{net.host, {22, 80, 8080, 9090}};
};
BOTH_FAMILIES(Boot);

TEST_P(Boot, AppliesThePolicyInSilence) {
  fw.policy(kMorePorts);
  const Output output = boot();
  EXPECT_EQ(output.exit, 0);
  EXPECT_EQ(output.err, "");
  expect_in_force(Outcome::served);
}

TEST_P(Boot, WithoutAPolicyTheDefaultIsInForce) {
  fs::remove(fw.policy_path());
  expect_said(boot(), "built-in default policy is applied instead");
  expect_in_force();
}

TEST_P(Boot, WithABrokenPolicyAndNoOtherTheDefaultIsInForce) {
  fw.policy("[ports]\ntcp = [99999]\n");
  const Output output = boot();
  expect_said(output, fw.policy_path() + ":2:8: error: ");
  expect_said(output, "built-in default policy is applied instead");
  expect_in_force();
}

TEST_P(Boot, WithABrokenPolicyTheLastGoodIsInForce) {
  fw.apply(kMorePorts);
  for (const std::string broken : {"[ports]\ntcp = [99999]\n", "garbage", "[ports\n"}) {
    reboot();
    fw.policy(broken);
    EXPECT_EQ(fw.run({"apply"}).exit, 1);
    EXPECT_EQ(listing(net.host), "") << "only a boot does that";
    const Output output = boot();
    expect_said(output, fw.policy_path());
    expect_said(output, "last good policy is applied instead");
    EXPECT_EQ(from(1).tcp(host(), 8080), Outcome::served);
  }
  reboot();
  fs::remove(fw.policy_path());
  expect_said(boot(), "last good policy is applied instead");
  fw.must({"reset", "--yes"});
  boot();
  expect_in_force(Outcome::served);
}

TEST_P(Boot, WithADamagedStateTheRulesAreInForce) {
  fw.apply(kMorePorts);
  fw.must({"block", address(7)});
  reboot();
  for (const char* name : {"state.db", "state.db-wal", "state.db-shm"}) {
    write_file(fw.state_dir() + "/" + name, std::string(5'000, '\x5a'));
  }
  const Output output = boot();
  expect_said(output, fw.state_dir() + "/state.db is damaged");
  expect_said(output, "blocks are not in force");
  expect_in_force(Outcome::served);
  EXPECT_EQ(fw.run({"block", address(8)}).exit, 1) << "a block that would not last";
  EXPECT_FALSE(blocked(8));
}

TEST_P(Boot, WithADamagedPageTheRulesAreInForce) {
  fw.apply(kMorePorts);
  fw.must({"block", address(7)});
  reboot();
  std::string bytes = read_file(fw.state_dir() + "/state.db");
  for (std::size_t i = 100; i < bytes.size(); ++i) bytes[i] = static_cast<char>(i * 7);
  write_file(fw.state_dir() + "/state.db", bytes);
  fs::remove(fw.state_dir() + "/state.db-wal");
  expect_said(boot(), "state.db");
  expect_in_force(Outcome::served);
}

TEST_P(Boot, WithOnlyTheFirstPageTheRulesAreInForce) {
  fw.apply(kMorePorts);
  fw.must({"block", address(7)});
  reboot();
  const std::string bytes = read_file(fw.state_dir() + "/state.db");
  ASSERT_GT(bytes.size(), 4'096u);
  write_file(fw.state_dir() + "/state.db",
             bytes.substr(0, 4'096) + std::string(bytes.size() - 4'096, '\0'));
  fs::remove(fw.state_dir() + "/state.db-wal");
  const Output output = boot();
  EXPECT_EQ(output.exit, 3);
  expect_said(output, "state.db");
  expect_said(output, "blocks are not in force");
  expect_in_force(Outcome::served);
}

/// The policy at its default place, which is made empty for each command.
TEST_P(Boot, WithThePolicyLostTheLastGoodIsInForceUntilTheDefaultIsApplied) {
  const auto at_default = [this](const std::string& toml, const std::vector<std::string>& words) {
    const std::string write = toml.empty() ? ""
                                           : "mkdir /etc/cloudron-fw; printf '" + toml +
                                                 "' >/etc/cloudron-fw/policy.toml;";
    std::vector<std::string> whole = {"unshare",
                                      "--mount",
                                      "--propagation",
                                      "private",
                                      "sh",
                                      "-ec",
                                      "mount -t tmpfs none /etc;" + write + "exec \"$@\"",
                                      "sh",
                                      program(),
                                      "--state-dir",
                                      fw.state_dir()};
    whole.insert(whole.end(), words.begin(), words.end());
    Output output = run(net.host, whole);
    EXPECT_TRUE(output.exit == 0 || output.exit == 3) << to_string(output);
    return output;
  };
  at_default(kMorePorts, {"apply"});
  reboot();
  const Output output = at_default("", {"apply", "--boot"});
  expect_said(output, "/etc/cloudron-fw/policy.toml no longer exists");
  expect_said(output, "last good policy is applied instead");
  expect_in_force(Outcome::served);
  at_default("", {"apply", "--dry-run"});
  EXPECT_TRUE(fs::exists(fw.state_dir() + "/last-good.toml"));
  at_default("", {"apply"});
  EXPECT_FALSE(fs::exists(fw.state_dir() + "/last-good.toml"));
  expect_in_force();
  reboot();
  EXPECT_EQ(at_default("", {"apply", "--boot"}).err, "");
  expect_in_force();
}

TEST_P(Boot, WithStrangeThingsInTheStateFolderTheRulesAreInForce) {
  const std::string held = fw.state_dir() + "/observed";
  fs::create_directory(fw.state_dir());
  const std::vector<std::string> commands = {"mkfifo " + held, "mkdir " + held,
                                             "ln -s /dev/zero " + held, "truncate -s 1T " + held};
  for (const std::string& command : commands) {
    fs::remove_all(held);
    must_run(net.host, {"sh", "-ec", command});
    fw.policy(kMorePorts);
    EXPECT_EQ(boot().err, "") << command;
    EXPECT_EQ(boot().err, "") << command;
    expect_in_force(Outcome::served);
    reboot();
  }
  EXPECT_LT(fs::file_size(held), 256u) << "written anew";
}

TEST_P(Boot, WhereTheStateIsReadOnlyTheRulesAreInForce) {
  fw.apply(kMorePorts);
  fw.must({"block", address(7)});
  reboot();
  const std::string mount = "mount --bind " + fw.state_dir() + " " + fw.state_dir() +
                            " && mount -o remount,bind,ro " + fw.state_dir() + " && exec \"$@\"";
  const Output output =
      boot({"unshare", "--mount", "--propagation", "private", "sh", "-ec", mount, "sh"});
  expect_said(output, fw.state_dir());
  expect_in_force(Outcome::served);
}

TEST_P(Boot, WithoutAPlaceForTheStateTheRulesAreInForce) {
  fw.policy(kMorePorts);
  write_file(fw.state_dir(), "a file where a folder should be");
  expect_said(boot(), fw.state_dir());
  expect_in_force(Outcome::served);
}

TEST_P(Boot, BlocksComeBackWithTheTimeLeft) {
  fw.apply();
  const auto begin = Clock::now();
  fw.must({"block", address(1), "--for", "10s"});
  fw.must({"block", address(2), "--for", "1h"});
  fw.must({"block", address(3)});
  fw.must({"block", address(4), "--for", "1s"});
  std::this_thread::sleep_for(2s);
  reboot();
  EXPECT_FALSE(blocked(1));
  const Output output = boot();
  EXPECT_EQ(output.err, "");
  EXPECT_TRUE(blocked(1) || passed(begin, 10s));
  EXPECT_TRUE(blocked(2));
  EXPECT_TRUE(blocked(3));
  EXPECT_FALSE(blocked(4)) << "it ended meanwhile";
  std::vector<std::int64_t> left;  // as the kernel has it
  for (const std::string& text :
       elements(net.host, family() == Family::ipv4 ? "block4" : "block6")) {
    const json::value element = json::parse(text);
    const json::value* inner =
        element.is_object() ? element.as_object().if_contains("elem") : nullptr;
    const json::value* expires =
        inner != nullptr ? inner->as_object().if_contains("expires") : nullptr;
    if (expires != nullptr) left.push_back(expires->to_number<std::int64_t>());
  }
  ASSERT_TRUE(left.size() == 2 || (left.size() == 1 && passed(begin, 10s)));
  const auto longer = std::ranges::max(left);
  EXPECT_LE(longer, 3598);
  EXPECT_GE(longer, 3600 - 2 - seconds_of(Clock::now() - begin));
  EXPECT_TRUE(eventually([&] { return !blocked(1); }));
  EXPECT_GE(seconds_of(Clock::now() - begin), 10);
  EXPECT_TRUE(blocked(2));
  EXPECT_TRUE(blocked(3));
}

}  // namespace
}  // namespace lab
