// A real fail2ban bans through the action that is installed with the product.
// SPDX-License-Identifier: GPL-2.0-or-later
#include <csignal>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include <boost/json.hpp>

#include "tests/e2e/ssh.hpp"
#include "tests/lab/daemon.hpp"

namespace lab {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;

/// fail2ban-server on the host with files of its own and one jail, "sshd".
class Fail2ban {
 public:
  Fail2ban(const Firewall& fw, const std::string& socket) : host_(fw.host()) {
    write_file(dir_ / "auth.log", "");
    fs::create_directories(dir_ / "action.d");
    fs::copy_file(CLOUDRON_FW_TESTS "/../packaging/fail2ban/cloudron-fw.py",
                  dir_ / "action.d/cloudron-fw.py");
    fs::create_directory_symlink("/etc/fail2ban/filter.d", dir_ / "filter.d");
    write_file(dir_ / "fail2ban.conf", fmt::format(R"([Definition]
loglevel = INFO
logtarget = STDERR
socket = {0}/socket
pidfile = {0}/pid
dbfile = {0}/database
)",
                                                   dir_.path()));
    std::string program;
    for (const std::string& word : fw.command({"--socket", socket})) program += word + " ";
    write_file(dir_ / "jail.conf", fmt::format(R"([sshd]
enabled = true
filter = sshd
backend = polling
logpath = {}/auth.log
datepattern = {{NONE}}
usedns = no
maxretry = 3
findtime = 10m
bantime = 10m
action = cloudron-fw.py[socket="{}", program="{}"]
)",
                                               dir_.path(), socket, program));
    process_ = std::make_unique<Process>(
        host_, std::vector<std::string>{"fail2ban-server", "-c", dir_.path(), "-f", "start"});
    if (!eventually([&] { return says("Server ready"); })) fail("no fail2ban: " + log());
  }

  /// Passes on what sshd has said since, as syslog does.
  void hear(const std::string& log) {
    std::ofstream file(dir_ / "auth.log", std::ios::app);
    for (std::size_t end; (end = log.find("\r\n", heard_)) != std::string::npos; heard_ = end + 2) {
      file << "host sshd[7]: " << log.substr(heard_, end - heard_) << '\n';
    }
  }
  /// A command of fail2ban-client's, which must be obeyed.
  void must(const std::string& command) const {
    must_run(host_, {"sh", "-c", "fail2ban-client -c " + dir_.path() + " " + command});
  }
  /// Ends it as `systemctl stop` does.
  void stop() const {
    process_->kill(SIGTERM);
    (void)process_->wait();
  }
  std::string log() const { return process_->err_so_far() + process_->out_so_far(); }
  bool says(const std::string& what) const { return log().find(what) != std::string::npos; }

 private:
  const Namespace& host_;
  TempDir dir_;
  std::unique_ptr<Process> process_;
  std::size_t heard_ = 0;
};

class Banned : public RealSsh {
 protected:
  Banned() { fw.apply(); }

  /// A login of nobody's; it is over when sshd has said so.
  void guess(unsigned n) const {
    std::vector<std::string> words = ssh(n);
    words.back() = "intruder@" + to_string(host());
    EXPECT_EQ(run(net.outside, words).exit, 255);
  }
  /// Everything that is blocked, of one origin.
  json::array blocks(const std::string& origin = "fail2ban sshd") const {
    json::array out;
    const json::value all = fw.json({"blocks"});
    for (const json::value& block : all.at("blocks").as_array()) {
      if (block.at("origin") == json::value(origin)) out.push_back(block);
    }
    return out;
  }
  /// What a ban of that client blocks: a /64 is one client.
  std::string whole(unsigned n) const {
    const std::string text = address(n);
    return family() == Family::ipv4 ? text : text.substr(0, text.rfind("::") + 2) + "/64";
  }
  bool gets_in(unsigned n) const { return got_in(login(n, 3s)); }

  Daemon daemon{fw};
  Fail2ban fail2ban{fw, daemon.path()};
};
BOTH_FAMILIES(Banned);

TEST_P(Banned, WhoGuessesIsBlockedUntilTheBanIsLifted) {
  for (int i = 0; i < 3; ++i) guess(1);
  fail2ban.hear(sshd.log());
  ASSERT_TRUE(eventually([&] { return blocks().size() == 1; })) << fail2ban.log();
  const json::object block = blocks()[0].as_object();
  EXPECT_EQ(block.at("address"), json::value(whole(1)));
  EXPECT_EQ(block.at("reason"), "fail2ban sshd: 3 failures");
  EXPECT_FALSE(gets_in(1));
  EXPECT_TRUE(gets_in(2));
  fail2ban.must("set sshd unbanip " + address(1));
  EXPECT_TRUE(blocks().empty());
  EXPECT_TRUE(gets_in(1));
  EXPECT_FALSE(fail2ban.says("ERROR")) << fail2ban.log();
}

TEST_P(Banned, ABanEndsByItselfOrLastsForGood) {
  const auto left = [&](const json::value& block) { return block.at("seconds_left"); };
  fail2ban.must("set sshd banip " + address(1));
  ASSERT_EQ(blocks().size(), 1u) << fail2ban.log();
  EXPECT_GT(left(blocks()[0]).to_number<int>(), 580);
  EXPECT_LE(left(blocks()[0]).to_number<int>(), 601);
  fail2ban.must("set sshd unbanip " + address(1));
  fail2ban.must("set sshd bantime -1");
  fail2ban.must("set sshd banip " + address(2));
  ASSERT_EQ(blocks().size(), 1u) << fail2ban.log();
  EXPECT_TRUE(left(blocks()[0]).is_null());
}

TEST_P(Banned, ATimeThatGrowsFromBanToBanReachesTheBlock) {
  fail2ban.must("set sshd bantime.increment true");
  fail2ban.must("set sshd bantime 1");
  fail2ban.must("set sshd banip " + address(1));
  ASSERT_TRUE(eventually([&] { return fail2ban.says("Unban"); })) << fail2ban.log();
  fail2ban.must("set sshd bantime 600");
  fail2ban.must("set sshd banip " + address(1));
  EXPECT_TRUE(eventually(
      [&] {
        return blocks().size() == 1 && blocks()[0].at("seconds_left").to_number<int>() > 1100;
      },
      30s))
      << fail2ban.log();
}

TEST_P(Banned, ABlockOfTheAdminsStays) {
  fw.must({"block", whole(1)});
  fail2ban.must("set sshd banip " + address(1));
  fail2ban.must("set sshd unbanip " + address(1));
  EXPECT_EQ(blocks("admin").size(), 1u);
  EXPECT_FALSE(gets_in(1));
}

/// And for as long as the admin said, though the ban would have been longer.
TEST_P(Banned, AShorterBlockOfTheAdminsStaysToo) {
  for (const bool first : {true, false}) {
    if (first) fw.must({"block", whole(1), "--for", "1m"});
    fail2ban.must("set sshd banip " + address(1));
    EXPECT_EQ(blocks().size(), 1u) << fail2ban.log();
    if (!first) fw.must({"block", whole(1), "--for", "1m"});
    fail2ban.must("set sshd unbanip " + address(1));
    ASSERT_EQ(blocks("admin").size(), 1u);
    EXPECT_LE(blocks("admin")[0].at("seconds_left").to_number<int>(), 60);
    EXPECT_TRUE(blocks().empty());
    EXPECT_FALSE(gets_in(1));
    fw.must({"unblock", whole(1)});
  }
  EXPECT_FALSE(fail2ban.says("ERROR")) << fail2ban.log();
}

/// With the daemon and without it.
TEST_P(Banned, OnTheHostsOwnLinkOneAddressIsAndNeverTheRouter) {
  const bool v4 = family() == Family::ipv4;
  const std::string neighbour = v4 ? "203.0.113.99" : "2001:db8:ffff::99";
  for (const bool daemon_runs : {true, false}) {
    if (!daemon_runs) daemon.process().kill(SIGKILL);
    fail2ban.must("set sshd banip " + neighbour);
    ASSERT_EQ(blocks().size(), 1u) << fail2ban.log();
    EXPECT_EQ(blocks()[0].at("address"), json::value(neighbour));
    fail2ban.must("set sshd unbanip " + neighbour);
    EXPECT_TRUE(blocks().empty());
    EXPECT_FALSE(fail2ban.says("ERROR") && daemon_runs) << fail2ban.log();
    const std::string router = to_string(gateway_address(family()));
    fail2ban.must("set sshd banip " + router);
    EXPECT_TRUE(eventually([&] { return fail2ban.says("is a router of this host"); }))
        << fail2ban.log();
    fail2ban.must("set sshd unbanip " + router);
    EXPECT_TRUE(blocks().empty()) << fail2ban.log();
  }
}

TEST_P(Banned, WithoutTheDaemonTheProgramDoesIt) {
  daemon.process().kill(SIGKILL);
  fail2ban.must("set sshd banip " + address(1));
  fail2ban.must("set sshd banip " + address(2));
  EXPECT_EQ(blocks().size(), 2u) << fail2ban.log();
  EXPECT_FALSE(gets_in(1));
  fail2ban.must("set sshd unbanip " + address(1));
  EXPECT_EQ(blocks().size(), 1u);
  EXPECT_TRUE(gets_in(1));
  EXPECT_FALSE(fail2ban.says("ERROR")) << fail2ban.log();
}

TEST_P(Banned, AStopLiftsAllOfThem) {
  fw.must({"block", address(3)});
  for (const unsigned n : {1u, 2u}) fail2ban.must("set sshd banip " + address(n));
  EXPECT_EQ(blocks().size(), 2u) << fail2ban.log();
  fail2ban.stop();
  EXPECT_TRUE(blocks().empty()) << fail2ban.log();
  EXPECT_EQ(blocks("admin").size(), 1u);
}

}  // namespace
}  // namespace lab
