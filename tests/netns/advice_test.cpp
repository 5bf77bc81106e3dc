// What commands say of slips: the right reason, the right place, and what to do.
// SPDX-License-Identifier: GPL-2.0-or-later
#include <filesystem>

#include <fmt/format.h>

#include "tests/lab/base.hpp"
#include "tests/lab/family.hpp"

namespace lab {
namespace {

class Advice : public ::testing::Test {
 protected:
  void expect_said(const std::vector<std::string>& words, int exit, const std::string& text) const {
    const Output output = fw.run(words);
    EXPECT_EQ(output.exit, exit) << words.front() << ": " << to_string(output);
    EXPECT_NE((output.out + output.err).find(text), std::string::npos)
        << words.front() << ": " << text << " is not in\n"
        << to_string(output);
  }
  Network net;
  Firewall fw{net.host};
};

TEST_F(Advice, AListWithoutAFileIsAnErrorOfThePolicy) {
  for (const char* file : {"", "file = \"\"\n"}) {
    fw.policy(std::string("[[list]]\nname = \"bad\"\n") + file);
    for (const char* command : {"check", "plan", "apply"}) {
      expect_said({command}, 1, "policy.toml:");
      EXPECT_EQ(fw.run({command}).err.find("cannot write the output"), std::string::npos);
    }
    EXPECT_EQ(fw.json({"check"}).at("ok"), false);
  }
}

TEST_F(Advice, SshByAnAbsentInterfaceAlone) {
  for (const char* name : {"nope0", "wg*"}) {
    fw.policy(
        fmt::format("[ports]\ntcp = [80]\n[[open]]\nports = [22]\ninterfaces = [\"{}\"]\n", name));
    const std::string text = fmt::format(
        "policy.toml:3:1: warning: there is no interface \"{}\" now; SSH is open only on it", name);
    expect_said({"check"}, 0, text);
    expect_said({"plan"}, 2, text);
    expect_said({"apply", "--dry-run"}, 0, text);
  }
  for (const char* names : {"\"nope0\", \"eth0\"", "\"et*\""}) {
    fw.policy(
        fmt::format("[ports]\ntcp = [80]\n[[open]]\nports = [22]\ninterfaces = [{}]\n", names));
    EXPECT_EQ(fw.must({"check"}).err.find("no interface"), std::string::npos) << names;
  }
}

TEST_F(Advice, HostBitsBelowAShortPrefix) {
  const std::string list = fw.file("wide.txt", "198.18.0.1\n192.3.4.5/9\n2001:db8::1/20\n");
  fw.policy("[[list]]\nname = \"wide\"\nfile = \"wide.txt\"\n");
  for (const char* text : {"wide.txt:2: ", "192.3.4.5/9 means all of 192.0.0.0/9",
                           "2001:db8::1/20 means all of 2001::/20"}) {
    expect_said({"check"}, 0, text);
  }
  const Output block = fw.run({"block", "--from", fw.file("some.txt", "9.3.4.5/9\n")});
  EXPECT_NE(block.err.find("some.txt:1: 9.3.4.5/9 means all of 9.0.0.0/9"), std::string::npos)
      << to_string(block);
}

TEST_F(Advice, UnblockLeavesOutWhatBlockLeavesOut) {
  fw.apply();
  const std::string from = fw.file("all.txt", "0.0.0.0/0\n192.0.2.7\n");
  fw.must({"block", "192.0.2.8"});
  const Output block = fw.run({"block", "--from", from});
  EXPECT_EQ(block.exit, 3) << to_string(block);
  const Output unblock = fw.run({"unblock", "--from", from});
  EXPECT_EQ(unblock.exit, 3) << to_string(unblock);
  EXPECT_NE(unblock.err.find("all.txt:1: 0.0.0.0/0"), std::string::npos) << to_string(unblock);
  EXPECT_NE(fw.must({"blocks"}).out.find("192.0.2.8"), std::string::npos);
  EXPECT_EQ(fw.must({"blocks"}).out.find("192.0.2.7"), std::string::npos);
}

TEST_F(Advice, StatusSaysForWhomThePortIsOpenInTheKernel) {
  fw.apply("[ports]\ntcp = [80]\n[[open]]\nports = [22]\ninterfaces = [\"eth0\"]\n");
  fw.policy("[ports]\ntcp = [22, 80]\n");
  EXPECT_NE(fw.run({"status"}).out.find("tcp/22 by eth0"), std::string::npos);
}

TEST_F(Advice, WithoutDockerNamesTheSettingOfThePolicy) {
  fw.policy(
      fmt::format("[apps]\ndiscover = \"docker\"\ndocker = \"{}\"\n", fw.dir() / "nobody.sock"));
  const Output plan = fw.run({"plan"});
  EXPECT_NE(plan.err.find("cloudron-fw: warning: Docker is not running"), std::string::npos)
      << to_string(plan);
  EXPECT_NE(plan.err.find("[apps] docker = "), std::string::npos) << to_string(plan);
  EXPECT_EQ(plan.err.find("--docker"), std::string::npos) << to_string(plan);
}

TEST_F(Advice, ReadingMakesNoStateFolder) {
  for (const char* command : {"status", "plan", "verify", "check", "blocks", "activity", "show"}) {
    const Output output = fw.run({command});
    EXPECT_NE(output.exit, 1) << command << ": " << to_string(output);
    EXPECT_FALSE(std::filesystem::exists(fw.state_dir())) << command;
  }
  const Output unblock = fw.run({"unblock", "192.0.2.1"});
  EXPECT_NE(unblock.err.find("was not blocked"), std::string::npos) << to_string(unblock);
  EXPECT_EQ(unblock.err.find("stored for the next"), std::string::npos) << to_string(unblock);
}

TEST_F(Advice, WordsThatAreNearARightOne) {
  fw.policy(std::string("[apps]\nnetwork = [") + kAppNetworks +
            "]\n[[app]]\nname = \"wiki\"\naddresses = [\"172.18.0.5\"]\n");
  expect_said({"render", "apparmor", "wikki"}, 1, "did you mean \"wiki\"?");
  fw.must({"render", "apparmor", "wiki"});
  expect_said({"explain", "192.0.2.1", "99999"}, 64, "port 99999 is not between 1 and 65535");
  expect_said({"explain", "192.0.2.1", "22/tcp"}, 64, "write tcp/22");
  expect_said({"explain", "192.0.2.1", "foo"}, 64, "port (tcp/443");
  expect_said({"check", "-"}, 64, "needs the name of a file");
  expect_said({"block", "127.0.0.1"}, 1, "127.0.0.1 is this host:");
  fw.apply("");
  expect_said({"reset"}, 1, "there is no terminal to ask for confirmation; use --yes");
}

TEST_F(Advice, APanicThatLetsNobodyInSaysSo) {
  fw.apply();
  expect_said({"panic", "on", "--force"}, 0, "SSH too: nobody can log in until");
  expect_said({"status"}, 0, "SSH too: nobody can log in until");
  fw.must({"panic", "off"});
}

TEST_F(Advice, AByteOrderMarkBeforeRulesIsSkipped) {
  std::filesystem::create_directory(fw.dir() / "rules.d");
  fw.file("rules.d/10-own.nft",
          "\xef\xbb\xbf"
          "chain CLOUDRON_BEFORE {\n  tcp dport 9100 accept\n}\n");
  fw.policy("");
  fw.must({"check"});
  fw.apply();
}

}  // namespace
}  // namespace lab
