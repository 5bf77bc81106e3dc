// Asking the daemon.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/service/client.hpp"

#include <cerrno>
#include <cstring>

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include "fw/base/file.hpp"
#include "fw/base/limits.hpp"

namespace fw {
namespace {

/// For each call on its own, connecting too: the answer comes in one piece or not for long.
bool wait_at_most(int fd, std::chrono::milliseconds patience) {
  const timeval time{patience.count() / 1000, patience.count() % 1000 * 1000};
  return ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &time, sizeof time) == 0 &&
         ::setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &time, sizeof time) == 0;
}

Result<File> connect_to(const std::string& path, std::chrono::milliseconds patience) {
  sockaddr_un to{};
  to.sun_family = AF_UNIX;
  if (path.size() >= sizeof to.sun_path) {
    return fail(ErrorCode::usage, fmt::format("{} is too long for a socket path", path));
  }
  std::memcpy(to.sun_path, path.data(), path.size());
  File socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!socket) return fail_errno(ErrorCode::io, "cannot make a socket", errno);
  if (!wait_at_most(socket.fd(), patience)) {
    return fail_errno(ErrorCode::io, "cannot bound the waiting for the daemon", errno);
  }
  if (::connect(socket.fd(), reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0) return socket;
  if (errno == EACCES || errno == EPERM) {
    return fail(ErrorCode::permission,
                fmt::format("{} is for root and the group cloudron-fw (try: sudo)", path));
  }
  if (errno == EAGAIN) return fail_errno(ErrorCode::io, "the daemon does not answer", errno);
  return fail(ErrorCode::io,
              fmt::format("the daemon is not running: no process listens on {} (systemctl start "
                          "cloudron-fwd; root does not need it: sudo)",
                          path));
}

}  // namespace

Result<std::string> ask(const std::string& socket, const std::string& request,
                        std::chrono::milliseconds patience) {
  const auto connected = connect_to(socket, patience);
  if (!connected) return std::unexpected(connected.error());
  const int fd = connected->fd();
  const auto failed = [](int reason) {
    return fail_errno(ErrorCode::io, "the daemon does not answer", reason);
  };
  const std::string line = request + "\n";
  for (std::size_t sent = 0; sent < line.size();) {
    const auto n = ::send(fd, line.data() + sent, line.size() - sent, MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return failed(errno);
    sent += static_cast<std::size_t>(n);
  }
  std::string answer;
  char bytes[65'536];
  while (answer.size() <= kControlAnswerMax) {
    const auto n = ::recv(fd, bytes, sizeof bytes, 0);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return failed(errno);
    if (n == 0) return failed(ECONNRESET);
    answer.append(bytes, static_cast<std::size_t>(n));
    if (answer.back() != '\n') continue;
    answer.pop_back();
    return answer;
  }
  return failed(EMSGSIZE);
}

}  // namespace fw
