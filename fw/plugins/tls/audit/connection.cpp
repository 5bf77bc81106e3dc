// Connections to the host that is audited.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/plugins/tls/audit/connection.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>

#include <fmt/format.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fw/base/limits.hpp"

namespace fw::tls {
namespace {

int poll_ms(Clock::time_point until) {
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - Clock::now()).count();
  return static_cast<int>(std::clamp<std::int64_t>(left, 0, 60'000));
}

int begin_connect(const File& socket, const Endpoint& to) {
  const auto bytes = to_bytes(to.ip);
  if (to.ip.family == Family::ipv4) {
    ::sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(to.port);
    std::memcpy(&address.sin_addr, bytes.data(), 4);
    return ::connect(socket.fd(), reinterpret_cast<const ::sockaddr*>(&address), sizeof address);
  }
  ::sockaddr_in6 address{};
  address.sin6_family = AF_INET6;
  address.sin6_port = htons(to.port);
  std::memcpy(&address.sin6_addr, bytes.data(), 16);
  return ::connect(socket.fd(), reinterpret_cast<const ::sockaddr*>(&address), sizeof address);
}

/// One connection: it is made, asks for TLS where it must, sends, and reads until it is enough.
class Exchange {
 public:
  Exchange(const Target& target, const Question* question, Clock::time_point deadline,
           std::size_t most)
      : question_(question),
        until_(std::min(deadline, Clock::now() + kTlsPatience)),
        most_(most),
        greeting_(target.starttls) {
    const int family = target.endpoint.ip.family == Family::ipv4 ? AF_INET : AF_INET6;
    socket_ = File(::socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (!socket_ || (begin_connect(socket_, target.endpoint) != 0 && errno != EINPROGRESS))
      end(Reply::End::unreachable, errno);
  }

  bool ended() const { return ended_; }
  Clock::time_point until() const { return until_; }
  Reply& reply() { return reply_; }
  File take_socket() { return std::move(socket_); }

  ::pollfd wanted() const {
    const bool writes = !connected_ || !unsent_.empty();
    return {socket_.fd(), static_cast<short>(writes ? POLLOUT : POLLIN), 0};
  }
  void on_ready(short events) {
    if (events == 0) return;
    if (!connected_) {
      on_connected();
    } else if (!unsent_.empty()) {
      write_some();
    } else {
      read_more();
    }
  }
  void on_clock(Clock::time_point now) {
    if (!ended_ && now >= until_)
      end(connected_ ? Reply::End::late : Reply::End::unreachable, ETIMEDOUT);
  }

 private:
  void end(Reply::End how, int sys_errno = 0) {
    reply_.end = how;
    reply_.sys_errno = sys_errno;
    ended_ = true;
    if (how != Reply::End::enough || question_ != nullptr) socket_.close();
  }
  void on_connected() {
    int error = 0;
    ::socklen_t size = sizeof error;
    ::getsockopt(socket_.fd(), SOL_SOCKET, SO_ERROR, &error, &size);
    if (error != 0) return end(Reply::End::unreachable, error);
    connected_ = true;
    if (greeting_.done()) talk();
  }
  /// TLS may begin.
  void talk() {
    talks_ = true;
    if (question_ == nullptr) return end(Reply::End::enough);
    unsent_ = question_->bytes;
    write_some();
  }
  void write_some() {
    if (unsent_.empty()) return;
    const ssize_t sent = ::send(socket_.fd(), unsent_.data(), unsent_.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN && errno != EINTR) return end(Reply::End::closed, errno);
    if (sent > 0) unsent_.erase(0, static_cast<std::size_t>(sent));
  }
  void read_more() {
    char buffer[16 * 1024];
    const ssize_t got = ::recv(socket_.fd(), buffer, sizeof buffer, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (got <= 0) return end(Reply::End::closed, got < 0 ? errno : 0);
    const std::string_view bytes(buffer, static_cast<std::size_t>(got));
    if (talks_) {
      reply_.bytes += bytes;
      if (question_->enough(reply_.bytes) || reply_.bytes.size() > most_) end(Reply::End::enough);
      return;
    }
    unsent_ = greeting_.on(bytes);
    if (!greeting_.failure().empty()) {
      reply_.why = greeting_.failure();
      return end(Reply::End::no_tls);
    }
    if (greeting_.done()) return talk();
    write_some();
  }

  const Question* question_;
  Clock::time_point until_;
  std::size_t most_;
  Greeting greeting_;
  File socket_;
  std::string unsent_;
  Reply reply_;
  bool connected_ = false;
  bool talks_ = false;
  bool ended_ = false;
};

/// Waits for any of them, and lets each go on.
void go_on(std::vector<Exchange*>& running) {
  std::vector<::pollfd> wanted;
  Clock::time_point until = Clock::time_point::max();
  for (const Exchange* one : running) {
    wanted.push_back(one->wanted());
    until = std::min(until, one->until());
  }
  ::poll(wanted.data(), wanted.size(), poll_ms(until));
  const auto now = Clock::now();
  for (std::size_t i = 0; i < running.size(); ++i) {
    running[i]->on_ready(wanted[i].revents);
    running[i]->on_clock(now);
  }
  std::erase_if(running, [](const Exchange* one) { return one->ended(); });
}

}  // namespace

std::vector<Reply> ask(const Target& target, std::span<const Question> questions,
                       Clock::time_point deadline, std::size_t most) {
  std::vector<std::unique_ptr<Exchange>> all;
  std::vector<Exchange*> running;
  while (all.size() < questions.size() || !running.empty()) {
    while (all.size() < questions.size() && running.size() < kTlsConnectionsMax) {
      all.push_back(std::make_unique<Exchange>(target, &questions[all.size()], deadline, most));
      if (!all.back()->ended()) running.push_back(all.back().get());
    }
    if (!running.empty()) go_on(running);
  }
  std::vector<Reply> replies;
  replies.reserve(all.size());
  for (const auto& one : all) replies.push_back(std::move(one->reply()));
  return replies;
}

Result<File> connect_to(const Target& target, Clock::time_point deadline) {
  Exchange one(target, nullptr, deadline, 0);
  std::vector<Exchange*> running{&one};
  if (one.ended()) running.clear();
  while (!running.empty()) go_on(running);
  const Reply& reply = one.reply();
  switch (reply.end) {
    case Reply::End::enough:
      return one.take_socket();
    case Reply::End::no_tls:
      return fail(ErrorCode::unsupported, "the server " + reply.why);
    case Reply::End::unreachable:
    case Reply::End::closed:
      return fail_errno(ErrorCode::io, "no connection to " + to_string(target.endpoint),
                        reply.sys_errno);
    case Reply::End::late:
      break;
  }
  return fail(ErrorCode::io,
              fmt::format("{} accepts connections and says nothing", to_string(target.endpoint)));
}

bool wait_for(int fd, short events, Clock::time_point deadline) {
  for (;;) {
    ::pollfd one{fd, events, 0};
    const int ready = ::poll(&one, 1, poll_ms(deadline));
    if (ready > 0) return true;
    if (ready == 0 || errno != EINTR) return false;
  }
}

}  // namespace fw::tls
