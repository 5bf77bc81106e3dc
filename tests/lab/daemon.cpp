// The daemon and its control socket.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/lab/daemon.hpp"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <iterator>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace lab {
namespace {

Fd try_connect(const std::string& path) {
  sockaddr_un to{};
  to.sun_family = AF_UNIX;
  std::strncpy(to.sun_path, path.c_str(), sizeof to.sun_path - 1);
  Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&to), sizeof to) != 0) return Fd{};
  return fd;
}

}  // namespace

Control::Control(const std::string& path) : fd_(try_connect(path)) {
  if (!fd_.open()) fail("nobody listens on " + path);
}

void Control::send(const std::string& bytes) const {
  std::size_t at = 0;
  while (at < bytes.size()) {
    const auto sent = ::send(fd_.get(), bytes.data() + at, bytes.size() - at, MSG_NOSIGNAL);
    if (sent < 0) return;  // the other side closed: what it said before can be read
    at += static_cast<std::size_t>(sent);
  }
}

std::string Control::line(Clock::duration patience) {
  const auto until = Clock::now() + patience;
  for (;;) {
    if (const auto end = read_.find('\n'); end != std::string::npos) {
      const std::string line = read_.substr(0, end);
      read_.erase(0, end + 1);
      return line;
    }
    const auto left = std::chrono::ceil<milliseconds>(until - Clock::now());
    pollfd ready{fd_.get(), POLLIN, 0};
    if (left <= 0ms || ::poll(&ready, 1, static_cast<int>(left.count())) != 1) return {};
    char bytes[65'536];
    const auto got = ::recv(fd_.get(), bytes, sizeof bytes, 0);
    if (got <= 0) return {};
    read_.append(bytes, static_cast<std::size_t>(got));
  }
}

boost::json::object Control::ask(const boost::json::object& request) {
  send(boost::json::serialize(request) + "\n");
  const std::string answer = line();
  errno = 0;
  if (answer.empty()) fail("no answer to " + boost::json::serialize(request));
  return boost::json::parse(answer).as_object();
}

Daemon::Daemon(const Firewall& fw, std::vector<std::string> before)
    : fw_(fw), before_(std::move(before)), path_(fw.dir() / "control.sock") {
  start();
}

void Daemon::start() {
  std::vector<std::string> words = before_;
  std::ranges::copy(fw_.command({"--socket", path_, "daemon"}), std::back_inserter(words));
  process_ = std::make_unique<Process>(fw_.host(), words);
  const bool answers = eventually([this] { return try_connect(path_).open(); });
  errno = 0;
  if (!answers) fail("the daemon does not answer: " + process_->err_so_far());
  (void)ask("hello");  // connecting is possible before it is ready
}

void Daemon::kill_and_start() {
  process_->kill(SIGKILL);
  (void)process_->wait();
  start();
}

std::int64_t Daemon::repairs() const {
  return ask("counts").at("daemon").at("repairs").to_number<std::int64_t>();
}

}  // namespace lab
