// Real clients.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/lab/client.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <iterator>
#include <string>
#include <string_view>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

namespace lab {
namespace {

int milliseconds_left(Clock::time_point end) {
  const auto left = std::chrono::ceil<milliseconds>(end - Clock::now()).count();
  return static_cast<int>(std::max<std::int64_t>(left, 0));
}

/// An attempt under way: first the connection, then a word there and back.
struct TrialRecord {
  Fd fd;
  const Protocol* protocol;
  bool connected = false;
  Try result;

  short wanted() const { return connected ? POLLIN : POLLOUT; }

  /// True when the outcome is known.
  bool advance() {
    result.until = Clock::now();
    result.outcome = Outcome::refused;
    if (!connected) {
      int error = 0;
      socklen_t size = sizeof error;
      ::getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &error, &size);
      if (error != 0) return true;
      connected = true;
      const std::string& word = protocol->word;
      return !word.empty() && ::send(fd.get(), word.data(), word.size(), MSG_NOSIGNAL) < 0;
    }
    char answer[512];
    const ssize_t got = ::recv(fd.get(), answer, sizeof answer, 0);
    if (got > 0 &&
        std::string_view(answer, static_cast<std::size_t>(got)).starts_with(protocol->answer)) {
      result.outcome = Outcome::served;
    }
    return true;
  }
};

/// Waits for news of any attempt; moves those that are over to `done`.
void progress(std::vector<TrialRecord>& pending, std::vector<Try>& done, Clock::duration patience,
              Clock::time_point wake) {
  std::vector<pollfd> polled;
  for (const TrialRecord& one : pending) polled.push_back({one.fd.get(), one.wanted(), 0});
  if (!pending.empty()) wake = std::min(wake, pending.front().result.from + patience);
  ::poll(polled.data(), polled.size(), milliseconds_left(wake));
  const auto now = Clock::now();
  for (std::size_t i = pending.size(); i-- > 0;) {
    TrialRecord& one = pending[i];
    bool over = polled[i].revents != 0 && one.advance();
    if (!over && now - one.result.from >= patience) {
      one.result.outcome = Outcome::timed_out;
      one.result.until = now;
      over = true;
    }
    if (!over) continue;
    done.push_back(one.result);
    pending.erase(pending.begin() + static_cast<std::ptrdiff_t>(i));
  }
}

}  // namespace

std::ostream& operator<<(std::ostream& out, Outcome outcome) {
  static constexpr const char* kNames[] = {"served", "refused", "timed out"};
  return out << kNames[static_cast<int>(outcome)];
}

std::size_t served(const std::vector<Try>& tries) {
  return static_cast<std::size_t>(std::count_if(
      tries.begin(), tries.end(), [](const Try& t) { return t.outcome == Outcome::served; }));
}

std::size_t most_in(Clock::duration window, const std::vector<Try>& tries) {
  std::vector<Try> admitted;
  std::copy_if(tries.begin(), tries.end(), std::back_inserter(admitted),
               [](const Try& t) { return t.outcome == Outcome::served; });
  std::size_t most = 0;
  for (const Try& first : admitted) {
    most = std::max(most, static_cast<std::size_t>(
                              std::count_if(admitted.begin(), admitted.end(), [&](const Try& t) {
                                return t.from >= first.from && t.until - first.from < window;
                              })));
  }
  return most;
}

Fd Client::start(int kind, Ip to, std::uint16_t port) const {
  const int family = to.family == Family::ipv4 ? AF_INET : AF_INET6;
  const int protocol = multipath_ && kind == SOCK_STREAM ? IPPROTO_MPTCP : 0;
  Fd fd(
      where_->in([&] { return ::socket(family, kind | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol); }));
  const int one = 1;
  if (family == AF_INET) ::setsockopt(fd.get(), IPPROTO_IP, IP_FREEBIND, &one, sizeof one);
  if (family == AF_INET6) ::setsockopt(fd.get(), IPPROTO_IPV6, IPV6_FREEBIND, &one, sizeof one);
  if (fast_open_) {
    ::setsockopt(fd.get(), IPPROTO_TCP, TCP_FASTOPEN_CONNECT, &one, sizeof one);
  }
  const SockAddr from(source_, 0);
  if (::bind(fd.get(), from.get(), from.size) < 0) fail("cannot use " + to_string(source_));
  const SockAddr target(to, port);
  if (::connect(fd.get(), target.get(), target.size) < 0 && errno != EINPROGRESS) {
    fail("cannot connect from " + to_string(source_) + " to " + to_string(to));
  }
  return fd;
}

Outcome Client::tcp(Ip to, std::uint16_t port, Clock::duration patience) const {
  return tries(to, {port}, {1, {}, patience}).front().outcome;
}

Outcome Client::udp(Ip to, std::uint16_t port, Clock::duration patience) const {
  TrialRecord one{start(SOCK_DGRAM, to, port), &protocol_, false, {}};
  if (one.advance()) return one.result.outcome;
  pollfd polled{one.fd.get(), POLLIN, 0};
  if (::poll(&polled, 1, milliseconds_left(Clock::now() + patience)) != 1) {
    return Outcome::timed_out;
  }
  one.advance();
  return one.result.outcome;
}

std::vector<Try> Client::tries(Ip to, const PortList& ports, Pace pace) const {
  std::vector<Try> done;
  std::vector<TrialRecord> pending;
  const auto begin = Clock::now();
  for (std::size_t started = 0; done.size() < pace.count;) {
    const auto next = begin + pace.gap * static_cast<std::int64_t>(started);
    if (started < pace.count && Clock::now() >= next) {
      TrialRecord one{{}, &protocol_, false, {}};
      one.result.from = Clock::now();
      one.fd = start(SOCK_STREAM, to, ports[started % ports.size()]);
      pending.push_back(std::move(one));
      ++started;
      if (pace.gap.count() == 0) continue;
    }
    const auto wake = started < pace.count ? next : Clock::now() + pace.patience;
    progress(pending, done, pace.patience, wake);
  }
  std::sort(done.begin(), done.end(), [](const Try& a, const Try& b) { return a.from < b.from; });
  return done;
}

Session Client::session(Ip to, std::uint16_t port) const {
  Fd fd = start(SOCK_STREAM, to, port);
  pollfd polled{fd.get(), POLLOUT, 0};
  int error = 0;
  socklen_t size = sizeof error;
  if (::poll(&polled, 1, 5000) != 1 ||
      ::getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &error, &size) < 0 || error != 0) {
    errno = error;
    fail("no connection to " + to_string(to) + " port " + std::to_string(port));
  }
  return Session(std::move(fd));
}

bool Session::echoes(Clock::duration patience, std::size_t bytes) {
  const std::string said(bytes, 'x');
  std::string heard(bytes, '\0');
  std::size_t sent = 0;
  std::size_t got = 0;
  for (const auto end = Clock::now() + patience; got < bytes;) {
    const auto wanted = static_cast<short>(sent < bytes ? POLLIN | POLLOUT : POLLIN);
    pollfd polled{fd_.get(), wanted, 0};
    if (::poll(&polled, 1, milliseconds_left(end)) != 1) return false;
    if ((polled.revents & POLLOUT) != 0) {
      const ssize_t some = ::send(fd_.get(), said.data() + sent, bytes - sent, MSG_NOSIGNAL);
      if (some < 0 && errno != EAGAIN) return false;
      if (some > 0) sent += static_cast<std::size_t>(some);
    }
    if ((polled.revents & ~POLLOUT) == 0) continue;
    const ssize_t some = ::recv(fd_.get(), heard.data() + got, bytes - got, 0);
    if (some <= 0) return false;
    got += static_cast<std::size_t>(some);
  }
  return heard == said;
}

}  // namespace lab
