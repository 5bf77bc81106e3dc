// A real dockerd on the host, with files of its own, and an image to make containers of.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cerrno>
#include <csignal>
#include <memory>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "tests/lab/network.hpp"
#include "tests/lab/process.hpp"

namespace lab {

/// A unix socket that listens there, for those who only pretend to be an engine.
inline Fd listen_at(const std::string& path) {
  Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un to{};
  to.sun_family = AF_UNIX;
  path.copy(to.sun_path, sizeof to.sun_path - 1);
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&to), sizeof to) != 0 ||
      ::listen(fd.get(), 8) != 0) {
    fail("cannot listen on " + path);
  }
  return fd;
}

/// dockerd in the host's network namespace, and in namespaces of processes and mounts of its own:
/// it, containerd and all containers end with it, however the test ends. Its answers come from
/// socket(). What it writes outside of its folder (/run, /etc/docker) goes with its mounts.
class Dockerd {
 public:
  explicit Dockerd(const Namespace& host, const std::vector<std::string>& options = {})
      : host_(host) {
    command_ = fmt::format(
        "mkdir -p /etc/docker && mount -t tmpfs lab /etc/docker && mount -t tmpfs lab /run && "
        "rm -f {0}/pid {0}/exec/containerd/containerd.pid && "  // of one that was killed
        "exec dockerd --host unix://{0}/docker.sock --data-root {0}/data --exec-root {0}/exec "
        "--pidfile {0}/pid --group root --storage-driver vfs --shutdown-timeout 2",
        dir_.path());
    for (const std::string& option : options) command_ += " " + option;
    begin();
    import_image();
  }
  /// Containers end first: their control groups would stay without dockerd.
  ~Dockerd() {
    const Output all = run(host_, words({"ps", "-aq"}));
    if (!all.ok() || all.out.empty()) return;
    run(host_, {"sh", "-c",
                fmt::format("/usr/bin/docker -H unix://{0} rm -fv $(/usr/bin/docker -H unix://{0} "
                            "ps -aq)",
                            socket())});
  }
  /// Again, after end() or kill().
  void begin() {
    process_ = std::make_unique<Process>(
        host_,
        std::vector<std::string>{"unshare", "--mount", "--propagation", "private", "--pid",
                                 "--fork", "--kill-child", "--mount-proc", "sh", "-ec", command_});
    const auto ready = [&] { return log().find("API listen on") != std::string::npos; };
    if (!eventually(ready, 60s)) {
      errno = 0;
      fail("these tests need a dockerd that starts (Debian: docker.io): " + log());
    }
  }
  /// As `systemctl stop` does.
  void end() {
    // unshare does not pass signals on.
    ::kill(daemon(), SIGTERM);
    (void)process_->wait(30s);
  }
  /// It and all its containers.
  void kill() {
    process_->kill(SIGKILL);
    (void)process_->wait();
  }
  Dockerd(const Dockerd&) = delete;
  Dockerd& operator=(const Dockerd&) = delete;

  std::string socket() const { return dir_ / "docker.sock"; }
  std::string log() const { return process_->err_so_far(); }

  /// Runs `docker ...`, which must exit with 0; gives what it printed, without the last newline.
  std::string docker(const std::vector<std::string>& arguments) const {
    std::string out = must_run(host_, words(arguments));
    if (out.ends_with('\n')) out.pop_back();
    return out;
  }
  /// A running container that does nothing, and ends at once when it is told to.
  void start(const std::string& name, const std::vector<std::string>& options = {}) const {
    docker(with({"run", "-d", "--name", name}, options));
  }
  /// One that was made, but does not run: for what the lab's kernel does not grant (--privileged).
  void create(const std::string& name, const std::vector<std::string>& options = {}) const {
    docker(with({"create", "--name", name}, options));
  }

  /// A running container that answers at TCP ports of its own with what it gets.
  void serve(const std::string& name, const std::vector<int>& ports,
             const std::vector<std::string>& options = {}) const {
    std::string script;
    for (const int port : ports) script += fmt::format("nc -ll -p {} -e cat & ", port);
    std::vector<std::string> all{"run", "-d", "--name", name};
    all.insert(all.end(), options.begin(), options.end());
    all.insert(all.end(), {kImage, "sh", "-c", script + "trap exit TERM; sleep 3600 & wait"});
    docker(all);
  }
  /// Of a container, "" while it has none.
  std::string address(const std::string& name, Family family = Family::ipv4) const {
    return of_networks(name, family == Family::ipv4 ? "IPAddress" : "GlobalIPv6Address");
  }
  Mac mac(const std::string& name) const {
    const std::string text = of_networks(name, "MacAddress");
    Mac out{};
    for (std::size_t i = 0; i < out.size(); ++i) {
      out[i] = static_cast<std::uint8_t>(std::stoi(text.substr(3 * i, 2), nullptr, 16));
    }
    return out;
  }
  /// The network namespace of a container that runs.
  Namespace inside(const std::string& name) const {
    return Namespace(
        fmt::format("/proc/{}/root{}", daemon(),
                    docker({"inspect", "-f", "{{.NetworkSettings.SandboxKey}}", name})));
  }
  /// Whether somebody in a container gets an answer of a server.
  bool reaches(const std::string& from, const std::string& address, int port) const {
    const std::string ask = fmt::format("echo hello | nc -w 1 {} {}", address, port);
    const Output out = run(host_, words({"exec", from, "sh", "-c", ask}));
    return out.out.find("hello") != std::string::npos;
  }

  /// Busybox, and nothing else. Its PATH finds sh, sleep, httpd, nc, ip and the like.
  static constexpr const char* kImage = "lab:1";

 private:
  std::vector<std::string> words(const std::vector<std::string>& arguments) const {
    std::vector<std::string> all = {"/usr/bin/docker", "-H", "unix://" + socket()};
    all.insert(all.end(), arguments.begin(), arguments.end());
    return all;
  }
  std::string of_networks(const std::string& name, const char* key) const {
    return docker(
        {"inspect", "-f",
         fmt::format("{{{{range .NetworkSettings.Networks}}}}{{{{.{}}}}}{{{{end}}}}", key), name});
  }
  static std::vector<std::string> with(std::vector<std::string> words,
                                       const std::vector<std::string>& options) {
    words.insert(words.end(), options.begin(), options.end());
    words.insert(words.end(), {kImage, "sh", "-c", "trap exit TERM; sleep 3600 & wait"});
    return words;
  }
  /// From a folder, so that nothing is fetched.
  void import_image() const {
    must_run(host_, {"sh", "-ec",
                     fmt::format(
                         "mkdir -p {0}/image/bin {0}/image/tmp && cp /bin/busybox {0}/image/bin && "
                         "for name in sh sleep httpd nc wget ip cat echo ls id mount ping; do "
                         "ln -s busybox {0}/image/bin/$name; done && "
                         "tar -C {0}/image -c . | /usr/bin/docker -H unix://{1} import - {2}",
                         dir_.path(), socket(), kImage)});
  }

  /// The daemon itself: the child of unshare.
  pid_t daemon() const {
    const std::string child = read_file(fmt::format("/proc/{0}/task/{0}/children", process_->id()));
    if (child.empty()) fail("dockerd has ended: " + log());
    return std::stoi(child);
  }

  const Namespace& host_;
  TempDir dir_;
  std::string command_;
  std::unique_ptr<Process> process_;
};

}  // namespace lab
