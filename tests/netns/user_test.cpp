// As the units run it: the boot and the daemon as a user of their own with few capabilities, and
// root's commands beside them on one state folder.
// SPDX-License-Identifier: GPL-2.0-or-later
#include <algorithm>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include <boost/json/array.hpp>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/lab/apps.hpp"
#include "tests/lab/daemon.hpp"
#include "tests/lab/family.hpp"

namespace lab {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;
using Words = std::vector<std::string>;

constexpr uid_t kUser = 64999;  // needs no entry in /etc/passwd
constexpr uid_t kPerson = 64998;
constexpr uid_t kService = 64997;

class OwnUser : public OverFamily {
 protected:
  OwnUser() {
    // The checkout may lie where others cannot go.
    fs::copy_file(program(), program_);
    fs::permissions(fw.dir().path(), fs::perms{0711});
    make_folder(fw.state_dir(), fs::perms{0700});
    make_folder(run_, fs::perms{0750});
    // The daemon knows the group whose members may ask.
    write_file(groups_, read_file("/etc/group") + "cloudron-fw:x:" + std::to_string(kUser) + ":\n");
    const std::string service = std::to_string(kService);
    write_file(users_, read_file("/etc/passwd") + "cloudron-fw-services:x:" + service + ":" +
                           service + "::/:/usr/sbin/nologin\n");
    secret(apps_toml() + app_toml("wiki", wiki));
  }

  /// As cloudron-fw-services.service does it, in a folder of its own.
  std::unique_ptr<Process> service(const std::string& folder) const {
    make_folder(folder, fs::perms{0750});
    if (::chown(folder.c_str(), kService, kService) != 0) fail("cannot give " + folder + " away");
    const std::string user = std::to_string(kService);
    Words words = {"setpriv",
                   "--reuid",
                   user,
                   "--regid",
                   user,
                   "--groups",
                   std::to_string(kUser),
                   "--no-new-privs",
                   "--inh-caps",
                   "-all",
                   "--bounding-set",
                   "-all",
                   program_,
                   "--socket",
                   socket_,
                   "services",
                   "--runtime-dir",
                   folder};
    auto process = std::make_unique<Process>(net.host, words);
    EXPECT_TRUE(eventually([&] { return fs::exists(folder + "/limit.sock"); }))
        << process->err_so_far();
    return process;
  }
  /// What it answers about a client of the site "wiki".
  std::string asked(const std::string& folder, unsigned n, const Words& more = {}) const {
    Words words = {"curl",
                   "-s",
                   "-o",
                   "/dev/null",
                   "-w",
                   "%{http_code}",
                   "--unix-socket",
                   folder + "/limit.sock",
                   "-H",
                   "X-Site: wiki",
                   "-H",
                   "X-Client: " + address(n)};
    words.insert(words.end(), more.begin(), more.end());
    words.push_back("http://x/v1/limit/password");
    return run(net.host, words).out;
  }
  /// Of the user, as systemd makes them.
  static void make_folder(const std::string& path, fs::perms mode) {
    fs::create_directory(path);
    fs::permissions(path, mode);
    if (::chown(path.c_str(), kUser, kUser) != 0) fail("cannot give " + path + " away");
  }
  /// A policy that only root can read.
  void secret(const std::string& toml) {
    fw.policy(toml);
    fs::permissions(fw.policy_path(), fs::perms{0600});
  }
  Words as_user(const std::string& capabilities, const Words& words) const {
    const std::string user = std::to_string(kUser);
    Words whole = {"setpriv",        "--reuid",        user,         "--regid",    user,
                   "--clear-groups", "--no-new-privs", "--inh-caps", capabilities, "--ambient-caps",
                   capabilities,     "--bounding-set", capabilities, program_};
    const Words command = fw.command(words);
    whole.insert(whole.end(), command.begin() + 1, command.end());
    return whole;
  }
  /// A person without any right, who is a member of a group or not.
  Output by_person(const std::string& group, const Words& words) const {
    const std::string person = std::to_string(kPerson);
    Words whole = {"setpriv",  "--reuid", person,           "--regid", person,
                   "--groups", group,     "--no-new-privs", program_};
    Words command = fw.command({"--socket", socket_});
    command.insert(command.end(), words.begin(), words.end());
    whole.insert(whole.end(), command.begin() + 1, command.end());
    return run(net.host, whole);
  }
  /// As cloudron-fw.service does it.
  void boot() const {
    const Output output =
        run(net.host, as_user("-all,+net_admin,+dac_read_search", {"apply", "--boot"}));
    EXPECT_EQ(output.exit, 0) << to_string(output);
    EXPECT_EQ(output.err, "");
  }
  void reboot() const { nft(net.host, "delete table inet cloudron\n"); }
  /// As cloudron-fwd.service does it, with the processes of others hidden; waits until it
  /// answers.
  std::unique_ptr<Process> daemon(const std::string& environment = "LANG=C") const {
    Words words = {"env",
                   "-S",
                   environment,
                   "unshare",
                   "--mount",
                   "--propagation",
                   "private",
                   "sh",
                   "-ec",
                   "mount -t proc -o hidepid=invisible lab /proc && mount --bind " + groups_ +
                       " /etc/group && mount --bind " + users_ + " /etc/passwd && exec \"$@\"",
                   "sh"};
    const Words command = as_user("-all,+net_admin", {"--socket", socket_, "daemon"});
    words.insert(words.end(), command.begin(), command.end());
    auto process = std::make_unique<Process>(net.host, words);
    const auto answers = [&] {
      try {
        return Control(socket_).ask({{"do", "hello"}}).at("ok") == true;
      } catch (const std::runtime_error&) {
        return false;
      }
    };
    EXPECT_TRUE(eventually(answers)) << process->err_so_far();
    return process;
  }
  std::string run_dir() const { return run_; }
  json::object ask(const json::object& request) const { return Control(socket_).ask(request); }
  json::object block(unsigned n, const json::object& by = {}) const {
    json::object request{{"do", "block"}, {"addresses", {address(n)}}};
    if (!by.empty()) request["by"] = by;
    return ask(request);
  }
  /// A command of root's must have nothing to say, but that the state is the user's: it has no name
  /// here, so it is not known for the units' own.
  void root(const Words& words) const {
    Words whole = {"--socket", socket_};
    whole.insert(whole.end(), words.begin(), words.end());
    std::istringstream said(fw.must(whole).err);
    const std::string known = "belongs to user " + std::to_string(kUser);
    for (std::string line; std::getline(said, line);) {
      EXPECT_NE(line.find(known), std::string::npos) << words.front() << ": " << line;
    }
    expect_all_is_the_users(words.front());
  }
  void expect_all_is_the_users(const std::string& after) const {
    for (const auto& entry : fs::recursive_directory_iterator(fw.state_dir())) {
      struct ::stat status {};
      ASSERT_EQ(::lstat(entry.path().c_str(), &status), 0);
      EXPECT_EQ(status.st_uid, kUser) << entry.path() << " after " << after;
      EXPECT_EQ(status.st_gid, kUser) << entry.path() << " after " << after;
      EXPECT_EQ(status.st_mode & 0077, 0u) << entry.path() << " after " << after;
    }
  }
  /// The latest row of the activity log, as who asks the daemon sees it.
  json::object last() const {
    return ask({{"do", "activity"}}).at("activity").as_array().back().as_object();
  }
  std::string address(unsigned n) const { return to_string(client(family(), n)); }
  /// None while there is no table.
  std::size_t blocked() const {
    try {
      return elements(net.host, family() == Family::ipv4 ? "block4" : "block6").size();
    } catch (const std::runtime_error&) {
      return 0;
    }
  }
  bool bridged() const {
    return net.host.sysctl(family() == Family::ipv4 ? "bridge/bridge-nf-call-iptables"
                                                    : "bridge/bridge-nf-call-ip6tables") == "1";
  }

  AppBridge bridge{net};
  App& wiki = bridge.add(2);
  Server server{net.host, {22, 8080}};

 private:
  std::string program_ = fw.dir() / "cloudron-fw";
  std::string run_ = fw.dir() / "run";
  std::string groups_ = fw.dir() / "group";
  std::string users_ = fw.dir() / "passwd";
  std::string socket_ = run_ + "/control.sock";
};
BOTH_FAMILIES(OwnUser);

TEST_P(OwnUser, BootsWithAPolicyThatOnlyRootCanRead) {
  EXPECT_FALSE(bridged());
  boot();
  EXPECT_TRUE(bridged());
  EXPECT_EQ(from(1).tcp(host(), 22), Outcome::served);
  EXPECT_EQ(from(1).tcp(host(), 8080, kShort), Outcome::timed_out);
  const Output blind = run(net.host, as_user("-all,+net_admin", {"apply", "--boot"}));
  EXPECT_NE(blind.err.find(fw.policy_path()), std::string::npos)
      << "without CAP_DAC_READ_SEARCH it is another policy: " << to_string(blind);
}

TEST_P(OwnUser, RootsCommandsAndTheDaemonTakeTurns) {
  boot();
  {
    const auto process = daemon();
    root({"block", address(1)});  // by the daemon
    EXPECT_EQ(block(2).at("ok"), true);
    secret("[ports]\ntcp = [22, 8080]\n");
    root({"apply", "--confirm", "1h"});
    root({"confirm"});
    root({"panic", "on", "--force"});
    root({"panic", "off"});
    root({"activity"});
    process->kill(SIGTERM);
    const Output output = process->wait();
    EXPECT_EQ(output.exit, 0) << to_string(output);
    EXPECT_EQ(output.err.find("<3>"), std::string::npos) << output.err;
  }
  root({"block", address(3)});  // by itself
  root({"unblock", address(1)});
  reboot();
  boot();
  expect_all_is_the_users("a boot");
  EXPECT_EQ(blocked(), 2u);
  EXPECT_EQ(from(1).tcp(host(), 8080), Outcome::served);
}

TEST_P(OwnUser, WhoAsksIsKnownThoughProcessesAreHidden) {
  boot();
  const auto process = daemon();
  EXPECT_EQ(block(1).at("ok"), true);
  EXPECT_EQ(last().at("user"), "root");
  root({"block", address(2)});
  EXPECT_EQ(last().at("user"), "root");
  EXPECT_EQ(last().at("uid"), 0);
  const json::object by{
      {"user", "ann"}, {"uid", 1000}, {"tty", "pts/3"}, {"remote", "198.18.0.9:50000"}};
  EXPECT_EQ(block(3, by).at("ok"), true);
  for (const auto& [key, value] : by) EXPECT_EQ(last().at(key), value);
  EXPECT_EQ(block(4, {{"uid", "ann"}}).at("ok"), false);
  EXPECT_EQ(blocked(), 3u);
}

TEST_P(OwnUser, MembersOfItsGroupSeeWhatRootSees) {
  boot();
  const std::string member = std::to_string(kUser);
  const std::string stranger = std::to_string(kPerson);
  {
    const auto process = daemon();
    root({"block", address(1), "--reason", "gu\xe9ssing \\ \"quoted\""});
    root({"block", address(2)});
    secret("[ports]\ntcp = [22, 8080]\n");
    root({"apply"});
    for (const Words& words : {Words{"blocks"}, Words{"blocks", "--json"}, Words{"activity"},
                               Words{"activity", "--json"}, Words{"activity", "--what", "apply"}}) {
      const Output seen = by_person(member, words);
      EXPECT_EQ(seen.exit, 0) << to_string(seen);
      EXPECT_EQ(seen.out, fw.must(words).out);
      EXPECT_NE(seen.out.find(words.back() == "apply" ? "policy.toml: " : address(2)),
                std::string::npos)
          << seen.out;
      const Output kept_out = by_person(stranger, words);
      EXPECT_EQ(kept_out.exit, 1) << to_string(kept_out);
      EXPECT_EQ(kept_out.out, "");
      EXPECT_NE(kept_out.err.find("group cloudron-fw"), std::string::npos) << to_string(kept_out);
    }
    root({"panic", "on", "--force"});
    for (const Words& words : {Words{"status"}, Words{"status", "--json"}}) {
      const Output seen = by_person(member, words);
      EXPECT_EQ(seen.exit, 0) << to_string(seen);
      // They may not read the policy file: theirs is the policy in force.
      std::string same = fw.must(words).out;
      const std::size_t at = same.find(fw.policy_path());
      ASSERT_NE(at, std::string::npos) << same;
      same.replace(at, fw.policy_path().size(), "the policy that was applied");
      EXPECT_EQ(seen.out, same);
      EXPECT_NE(seen.out.find("8080"), std::string::npos) << seen.out;
      EXPECT_EQ(by_person(stranger, words).exit, 1);
    }
    EXPECT_NE(by_person(member, {"status"}).out.find("PANIC since"), std::string::npos);
    root({"panic", "off"});
    const Output refused = by_person(member, {"block", address(3)});
    EXPECT_EQ(refused.exit, 1) << to_string(refused);
    EXPECT_EQ(blocked(), 2u);
    process->kill(SIGTERM);
    (void)process->wait();
  }
  const Output alone = by_person(member, {"blocks"});
  EXPECT_EQ(alone.exit, 1) << to_string(alone);
  EXPECT_NE(alone.err.find("the daemon is not running"), std::string::npos) << to_string(alone);
}

TEST_P(OwnUser, AServiceWithoutRightsHasABruteForcerBlocked) {
  secret(
      "[ports]\ntcp = [22, 8080]\n[[limit]]\nname = \"password\"\nlayer = \"http\"\n"
      "rate = \"2/h\"\n[[offender]]\nafter = \"3 refused/10m\"\nlimits = [\"password\"]\n");
  boot();
  const auto process = daemon();
  const auto blocks = [this] { return ask({{"do", "blocks"}}).at("blocks").as_array(); };
  const std::string folder = fw.dir() / "services";
  const auto limiter = service(folder);
  EXPECT_EQ(asked(folder, 1), "204") << limiter->err_so_far();
  EXPECT_EQ(asked(folder, 1), "204");
  for (int i = 0; i < 2; ++i) EXPECT_EQ(asked(folder, 1), "429") << limiter->err_so_far();
  EXPECT_TRUE(blocks().empty());
  EXPECT_EQ(from(1).tcp(host(), 8080), Outcome::served);
  EXPECT_EQ(asked(folder, 1), "429");
  EXPECT_TRUE(eventually([&] { return blocks().size() == 1; })) << limiter->err_so_far();
  EXPECT_EQ(from(1).tcp(host(), 8080, kShort), Outcome::timed_out);
  EXPECT_EQ(from(2).tcp(host(), 8080), Outcome::served);
  const json::object block = blocks().front().as_object();
  EXPECT_EQ(block.at("origin"), "services/wiki");
  EXPECT_EQ(block.at("reason"), "3 refused by limit password in 10m");
  // Behind a proxy it is refused, and not blocked.
  for (int i = 0; i < 8; ++i) asked(folder, 3, {"-H", "X-Peer: 192.0.2.99"});
  EXPECT_EQ(asked(folder, 3, {"-H", "X-Peer: 192.0.2.99"}), "429");
  // Whom the guard keeps is not blocked either.
  const auto own = [&](const Words& more) {
    Words words = {"curl",
                   "-s",
                   "--unix-socket",
                   folder + "/limit.sock",
                   "-H",
                   "X-Client: " + to_string(host_address(family()))};
    words.insert(words.end(), more.begin(), more.end());
    return run(net.host, words);
  };
  for (int i = 0; i < 6; ++i) own({"http://x/v1/limit/password"});
  EXPECT_TRUE(eventually(
      [&] { return limiter->err_so_far().find("is not blocked: ") != std::string::npos; }));
  EXPECT_EQ(blocks().size(), 1u);
  limiter->kill(SIGTERM);
  EXPECT_TRUE(limiter->wait().ok());
}

TEST_P(OwnUser, SystemdHearsThatItIsReadyAndAlive) {
  const std::string path = run_dir() + "/notify";
  sockaddr_un to{};
  to.sun_family = AF_UNIX;
  std::strncpy(to.sun_path, path.c_str(), sizeof to.sun_path - 1);
  const Fd socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ASSERT_EQ(::bind(socket.get(), reinterpret_cast<const sockaddr*>(&to), sizeof to), 0);
  fs::permissions(path, fs::perms{0777});
  std::vector<std::string> heard;
  const auto hears = [&](const std::string& what, std::ptrdiff_t times) {
    char bytes[256];
    for (ssize_t got; (got = ::recv(socket.get(), bytes, sizeof bytes, MSG_DONTWAIT)) > 0;) {
      heard.emplace_back(bytes, static_cast<std::size_t>(got));
    }
    return std::ranges::count_if(
               heard, [&](const std::string& one) { return one.starts_with(what); }) >= times;
  };
  boot();
  const auto process = daemon("NOTIFY_SOCKET=" + path + " WATCHDOG_USEC=300000");
  EXPECT_TRUE(eventually([&] { return hears("READY=1", 1); }));
  EXPECT_TRUE(eventually([&] { return hears("WATCHDOG=1", 5); }));
  EXPECT_FALSE(hears("STOPPING=1", 1));
  process->kill(SIGTERM);
  EXPECT_TRUE(eventually([&] { return hears("STOPPING=1", 1); }));
}

TEST_P(OwnUser, WhatRootMadeFirstIsOfUseToTheUser) {
  root({"apply"});
  root({"block", address(1)});
  root({"panic", "on", "--force"});
  root({"panic", "off"});
  const auto process = daemon();
  EXPECT_EQ(block(2).at("ok"), true);
  EXPECT_EQ(ask({{"do", "unblock"}, {"addresses", {address(1)}}}).at("ok"), true);
  EXPECT_EQ(blocked(), 1u);
  // What others remove it puts back, with the bridge's switches.
  nft(net.host, "flush chain inet cloudron input\n");
  EXPECT_TRUE(eventually([&] {
    return ask({{"do", "counts"}}).at("daemon").at("repairs").to_number<int>() == 1;
  }));
  reboot();
  EXPECT_TRUE(eventually([&] { return blocked() == 1; }));
  const auto rows = ask({{"do", "activity"}, {"what", "block"}}).at("activity").as_array();
  EXPECT_EQ(rows.size(), 2u);
  boot();
  expect_all_is_the_users("the daemon");
  EXPECT_EQ(process->err_so_far().find("<3>"), std::string::npos) << process->err_so_far();
}

}  // namespace
}  // namespace lab
