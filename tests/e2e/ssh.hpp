// A real sshd on the host, and real ssh clients outside.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cerrno>
#include <memory>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "tests/lab/family.hpp"

namespace lab {

/// sshd in the host's namespace, with files of its own. It and all its children end with it.
class Sshd {
 public:
  explicit Sshd(const Namespace& host)
      : Sshd(host,
             {"unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child"},
             "mount --bind", "mount -t tmpfs lab /run\n", "") {}
  /// In a machine that runs there: words that lead into it, and where it has our files.
  Sshd(const Namespace& host, const std::vector<std::string>& into, const std::string& files)
      : Sshd(host, into, "cp", "", files) {}

  std::string log() const { return process_->err_so_far(); }
  std::string key() const { return dir_ / "key"; }
  /// A new socket of a client's.
  std::string socket() { return dir_ / fmt::format("s{}", ++sockets_); }

 private:
  Sshd(const Namespace& host, std::vector<std::string> into, const std::string& put,
       const std::string& first, const std::string& files) {
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
                                            files + dir_.path()));
    // What root's shell does here when it starts is no part of a test; it may even wait for others.
    const std::string start = fmt::format(
        "{2}{1} {0}/shadow /etc/shadow\n"
        "mkdir -p /run/sshd\n"
        "! test -e /root/.bashrc || {1} /dev/null /root/.bashrc\n"
        "echo 0 >/proc/self/loginuid && exec /usr/sbin/sshd -D -e -f {0}/config",
        files + dir_.path(), put, first);  // who logs in is noted, as PAM does it
    into.insert(into.end(), {"sh", "-ec", start});
    process_ = std::make_unique<Process>(host, into);
    const auto ready = [&] { return log().find("listening on ::") != std::string::npos; };
    if (!eventually(ready)) fail("sshd does not start: " + log());
  }

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
  /// A command with a terminal, as somebody types it.
  Output typed(const std::string& command) const {
    return run(where_, words({"-tt", "-o", "LogLevel=QUIET"}, command), {}, 20s);
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

/// The words of a client's up to the command.
inline std::vector<std::string> ssh_words(const Sshd& sshd, Ip own, Ip to, seconds patience = 8s) {
  std::vector<std::string> words = {"ssh", "-F", "none", "-i", sshd.key(), "-b", to_string(own)};
  for (const char* option :
       {"BatchMode=yes", "IdentitiesOnly=yes", "IdentityAgent=none", "StrictHostKeyChecking=no",
        "UserKnownHostsFile=/dev/null", "LogLevel=ERROR"}) {
    words.insert(words.end(), {"-o", option});
  }
  words.insert(words.end(), {"-o", fmt::format("ConnectTimeout={}", patience.count())});
  words.push_back("root@" + to_string(to));
  return words;
}

class RealSsh : public OverFamily {
 protected:
  RealSsh() { net.outside.sysctl("ipv6/ip_nonlocal_bind", "1"); }  // for ssh -b

  std::string address(unsigned n) const { return to_string(client(family(), n)); }
  /// The words up to the command.
  std::vector<std::string> ssh(unsigned n, seconds patience = 8s) const {
    return ssh_words(sshd, client(family(), n), host(), patience);
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

}  // namespace lab
