// A real sshd and real ssh clients: the limit, and sessions that outlive every apply but no block.
#include <cerrno>
#include <list>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <fmt/format.h>

#include "tests/lab/family.hpp"

namespace lab {
namespace {

/// sshd in the host's namespace, with files of its own. It and all its children end with it.
class Sshd {
 public:
  explicit Sshd(const Namespace& host) {
    for (const char* key : {"host_key", "key"}) {
      must_run(host, {"ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", dir_ / key});
    }
    write_file(dir_ / "shadow", "root:*:20000:0:99999:7:::\n");  // root may be locked here
    write_file(dir_ / "config", fmt::format(R"(Port 22
ListenAddress 0.0.0.0
ListenAddress ::
HostKey {0}/host_key
AuthorizedKeysFile {0}/key.pub
PidFile none
StrictModes no
UsePAM no
UseDNS no
PermitRootLogin prohibit-password
PermitUserRC no
PrintMotd no
PrintLastLog no
)",
                                            dir_.path()));
    const std::string start = fmt::format(
        "mount -t tmpfs lab /run && mkdir /run/sshd && mount --bind {0}/shadow /etc/shadow && "
        "exec /usr/sbin/sshd -D -e -f {0}/config",
        dir_.path());
    process_ = std::make_unique<Process>(
        host, std::vector<std::string>{"unshare", "--mount", "--propagation", "private", "--pid",
                                       "--fork", "--kill-child", "sh", "-ec", start});
    const auto ready = [&] { return log().find("listening on ::") != std::string::npos; };
    if (!eventually(ready)) fail("sshd does not start: " + log());
  }
  std::string log() const { return process_->err_so_far(); }
  std::string key() const { return dir_ / "key"; }
  /// A new socket of a client's.
  std::string socket() { return dir_ / fmt::format("s{}", ++sockets_); }

 private:
  TempDir dir_;
  std::unique_ptr<Process> process_;
  unsigned sockets_ = 0;
};

/// An open connection of ssh's, which commands go through.
class SshSession {
 public:
  SshSession(const Namespace& where, std::vector<std::string> ssh, std::string socket)
      : where_(where), socket_(std::move(socket)) {
    ssh.insert(ssh.end() - 1, {"-N", "-M", "-S", socket_});
    master_ = std::make_unique<Process>(where_, ssh);
    if (!eventually([&] { return through({"-O", "check"}).ok(); })) {
      errno = 0;
      fail("no ssh session: " + master_->err_so_far());
    }
  }
  /// Does a command run through it within two seconds?
  bool works() const {
    const Output output = through({}, "echo still here");
    return output.ok() && output.out == "still here\n";
  }
  /// A command that goes on.
  Process start(const std::string& command) const { return {where_, words({}, command)}; }

 private:
  std::vector<std::string> words(const std::vector<std::string>& options,
                                 const std::string& command) const {
    // Never a connection of its own.
    std::vector<std::string> all = {"ssh", "-F", "none", "-S", socket_, "-o", "ProxyCommand=false"};
    all.insert(all.end(), options.begin(), options.end());
    all.emplace_back("root@host");
    if (!command.empty()) all.push_back(command);
    return all;
  }
  Output through(const std::vector<std::string>& options, const std::string& command = {}) const {
    std::vector<std::string> all = {"timeout", "-k", "1", "2"};
    for (const std::string& word : words(options, command)) all.push_back(word);
    return run(where_, all);
  }

  const Namespace& where_;
  std::string socket_;
  std::unique_ptr<Process> master_;
};

class RealSsh : public OverFamily {
 protected:
  RealSsh() { net.outside.sysctl("ipv6/ip_nonlocal_bind", "1"); }  // for ssh -b

  std::string address(unsigned n) const { return to_string(client(family(), n)); }
  /// The words up to the command.
  std::vector<std::string> ssh(unsigned n, seconds patience = 8s) const {
    std::vector<std::string> words = {"ssh", "-F", "none", "-i", sshd.key(), "-b", address(n)};
    for (const char* option :
         {"BatchMode=yes", "IdentitiesOnly=yes", "IdentityAgent=none", "StrictHostKeyChecking=no",
          "UserKnownHostsFile=/dev/null", "LogLevel=ERROR"}) {
      words.insert(words.end(), {"-o", option});
    }
    words.insert(words.end(), {"-o", fmt::format("ConnectTimeout={}", patience.count())});
    words.push_back("root@" + to_string(host()));
    return words;
  }
  Process login(unsigned n, seconds patience = 8s) const {
    std::vector<std::string> words = ssh(n, patience);
    words.emplace_back("echo got in");
    return {net.outside, words};
  }
  static bool got_in(Process login) { return login.wait().out == "got in\n"; }
  SshSession open(unsigned n) { return {net.outside, ssh(n), sshd.socket()}; }

  Sshd sshd{net.host};
};
BOTH_FAMILIES(RealSsh);

TEST_P(RealSsh, FiveLoginsGetInAndTheSixthDoesNot) {
  fw.apply();
  const auto begin = Clock::now();
  std::list<Process> logins;
  for (int i = 0; i < 5; ++i) logins.push_back(login(1));
  ASSERT_TRUE(eventually([&] { return counter(net.host, "ssh.accepted") == 5; }));
  Process refused = login(1, 3s);
  Process other = login(2);
  const Output output = refused.wait();
  ASSERT_LT(Clock::now() - begin, 10s) << "the machine is too slow for this test";
  EXPECT_EQ(output.exit, 255) << to_string(output);
  EXPECT_EQ(output.out, "");
  EXPECT_TRUE(got_in(std::move(other))) << "another source";
  for (Process& one : logins) EXPECT_TRUE(got_in(std::move(one)));
  std::this_thread::sleep_until(begin + 11s);
  EXPECT_TRUE(got_in(login(1))) << "ten seconds later";
}

TEST_P(RealSsh, SessionsGoOnThroughAppliesAndAreCutByABlock) {
  const SshSession before = open(1);
  ASSERT_TRUE(before.works());
  fw.apply();
  EXPECT_TRUE(before.works()) << "made before the first apply";
  const SshSession after = open(2);
  const auto expect_both = [&](const std::string& when) {
    EXPECT_TRUE(before.works()) << when;
    EXPECT_TRUE(after.works()) << when;
  };
  expect_both("applied");
  fw.apply("[mail]\nenabled = true\n[ports]\ntcp = [22, 8080]\n");
  expect_both("another policy applied");
  fw.must({"block", address(9)});
  expect_both("another address blocked");
  fw.must({"unblock", address(9)});
  fw.apply("");
  expect_both("the first policy applied again");

  const Process theirs = before.start("while sleep 0.1; do echo tick; done");
  const Process others = after.start("while sleep 0.1; do echo tick; done");
  const auto heard = [](const Process& process) { return process.out_so_far().size(); };
  ASSERT_TRUE(eventually([&] { return heard(theirs) > 10 && heard(others) > 10; }));
  fw.must({"block", address(1)});
  std::this_thread::sleep_for(2s);
  const std::size_t theirs_heard = heard(theirs);
  const std::size_t others_heard = heard(others);
  EXPECT_TRUE(eventually([&] { return heard(others) > others_heard + 10; }));
  EXPECT_EQ(heard(theirs), theirs_heard) << "a blocked client hears nothing any more";
  EXPECT_FALSE(before.works());
  EXPECT_TRUE(after.works());
}

}  // namespace
}  // namespace lab
