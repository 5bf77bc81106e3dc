// What a service tells systemd, in the protocols that systemd documents: its library would bring
// five more libraries into the start of every command.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/service/messages.hpp"

#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <utility>

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "fw/base/limits.hpp"
#include "fw/base/suggest.hpp"

namespace fw {
namespace {

constexpr const char* kJournal = "/run/systemd/journal/socket";

/// A datagram socket that leads to a path; "@" begins an abstract name. None when nobody is there.
File datagrams_to(std::string_view path) {
  sockaddr_un to{};
  to.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof to.sun_path) return {};
  std::memcpy(to.sun_path, path.data(), path.size());
  if (path.front() == '@') to.sun_path[0] = '\0';
  File socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!socket) return {};
  const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size());
  if (::connect(socket.fd(), reinterpret_cast<const sockaddr*>(&to), length) == 0) return socket;
  return {};
}

/// "NAME=value", or with the length before it where the value has line breaks.
/// Source: systemd's "Native Journal Protocol".
void append(std::string& datagram, std::string_view name, std::string_view value) {
  datagram += name;
  if (value.find('\n') == std::string_view::npos) {
    datagram += '=';
  } else {
    datagram += '\n';
    for (int shift = 0; shift < 64; shift += 8) {
      datagram += static_cast<char>(std::uint64_t{value.size()} >> shift & 0xff);
    }
  }
  datagram += value;
  datagram += '\n';
}

}  // namespace

void notify_manager(std::string_view state) {
  const char* const path = std::getenv("NOTIFY_SOCKET");
  if (path == nullptr) return;
  const File socket = datagrams_to(path);
  if (!socket) return;
  // A manager that does not read must not hold up the service.
  constexpr timeval kPatience{.tv_sec = kNotifyPatience.count(), .tv_usec = 0};
  ::setsockopt(socket.fd(), SOL_SOCKET, SO_SNDTIMEO, &kPatience, sizeof kPatience);
  [[maybe_unused]] const auto sent = ::send(socket.fd(), state.data(), state.size(), MSG_NOSIGNAL);
}

std::chrono::microseconds watchdog_period() {
  const char* const text = std::getenv("WATCHDOG_USEC");
  if (text == nullptr) return std::chrono::microseconds{0};
  std::int64_t period = 0;
  std::from_chars(text, text + std::strlen(text), period);
  return std::chrono::microseconds{std::max<std::int64_t>(period, 0)};
}

bool is_journal(int fd, const char* stream) {
  struct stat status {};
  if (stream == nullptr || ::fstat(fd, &status) != 0) return false;
  return fmt::format("{}:{}", status.st_dev, status.st_ino) == stream;
}

Messages::Messages(std::string service)
    : service_(std::move(service)),
      socket_(is_journal(STDERR_FILENO, std::getenv("JOURNAL_STREAM")) ? datagrams_to(kJournal)
                                                                       : File()) {}

void Messages::send(Level level, const std::string& text, const std::vector<Field>& fields) {
  static constexpr auto kQuota =
      limiter::Quota::of(kMessagesRate, std::chrono::seconds{1}, kMessagesBurst);
  const auto now = limiter::to_ticks(std::chrono::steady_clock::now().time_since_epoch());
  const limiter::Step step = limiter::gcra(budget_, kQuota, now);
  budget_ = step.stored;
  // What an admin must not miss is rare by itself.
  if (!step.verdict.admitted() && level >= Level::notice) {
    ++suppressed_;
    ++unsaid_;
    return;
  }
  if (unsaid_ != 0) {
    write(Level::warning, fmt::format("{} messages left out", std::exchange(unsaid_, 0)), {});
  }
  write(level, text, fields);
}

void Messages::write(Level level, const std::string& text, const std::vector<Field>& fields) {
  if (socket_) {
    std::string datagram;
    append(datagram, "MESSAGE", text);
    append(datagram, "PRIORITY", std::to_string(static_cast<int>(level)));
    append(datagram, "SYSLOG_IDENTIFIER", service_);
    for (const Field& field : fields) append(datagram, field.name, field.value);
    if (::send(socket_.fd(), datagram.data(), datagram.size(), MSG_NOSIGNAL | MSG_DONTWAIT) >= 0)
      return;
  }
  std::string line =
      fmt::format("<{}>{}: {}", static_cast<int>(level), service_, printable(text, text.size()));
  for (const Field& field : fields) {
    line += fmt::format(" {}={}", field.name, printable(field.value));
  }
  line += '\n';
  [[maybe_unused]] const auto written = ::write(STDERR_FILENO, line.data(), line.size());
}

}  // namespace fw
