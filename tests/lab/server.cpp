// A server that sends back what it gets.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/lab/server.hpp"

#include <algorithm>
#include <array>
#include <cerrno>

#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>

namespace lab {
namespace {

constexpr int kBacklog = 65'535;
constexpr rlim_t kFilesWanted = 65'536;

void allow_many_files() {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  if (limit.rlim_cur >= kFilesWanted) return;
  limit.rlim_cur = kFilesWanted;
  limit.rlim_max = std::max(limit.rlim_max, kFilesWanted);
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

}  // namespace

Server::Server(const Namespace& where, const PortList& tcp, const PortList& udp, Stream stream)
    : epoll_(::epoll_create1(EPOLL_CLOEXEC)), stop_(::eventfd(0, EFD_CLOEXEC)) {
  allow_many_files();
  epoll_event event{EPOLLIN, {.fd = stop_.get()}};
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, stop_.get(), &event);
  for (const std::uint16_t port : tcp) add(where, true, port, stream);
  for (const std::uint16_t port : udp) add(where, false, port, stream);
  thread_ = std::thread([this] { serve(); });
}

Server::~Server() {
  ::eventfd_write(stop_.get(), 1);
  thread_.join();
}

void Server::add(const Namespace& where, bool stream, std::uint16_t port, Stream protocol) {
  const int kind = (stream ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC | SOCK_NONBLOCK;
  const int number = stream && protocol == Stream::multipath ? IPPROTO_MPTCP : 0;
  Fd fd(where.in([kind, number] { return ::socket(AF_INET6, kind, number); }));
  const int one = 1;
  const int zero = 0;
  const int bytes = 16 << 20;
  ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes);
  ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  ::setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &zero, sizeof zero);
  sockaddr_in6 any{};
  any.sin6_family = AF_INET6;
  any.sin6_port = htons(port);
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&any), sizeof any) < 0 ||
      (stream && ::listen(fd.get(), kBacklog) < 0)) {
    fail("cannot serve port " + std::to_string(port));
  }
  epoll_event event{EPOLLIN, {.fd = fd.get()}};
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd.get(), &event);
  auto& count = (stream ? accepted_ : received_)[port];
  const int key = fd.get();
  listeners_.emplace(key, Listener{std::move(fd), stream, &count});
}

void Server::serve() {
  std::array<epoll_event, 256> events{};
  for (;;) {
    const int count = ::epoll_wait(epoll_.get(), events.data(), events.size(), -1);
    for (int i = 0; i < count; ++i) {
      const int fd = events[static_cast<std::size_t>(i)].data.fd;
      if (fd == stop_.get()) return;
      const auto listener = listeners_.find(fd);
      if (listener == listeners_.end()) {
        answer_connection(fd);
      } else if (listener->second.stream) {
        take_connections(listener->second);
      } else {
        answer_datagrams(listener->second);
      }
    }
  }
}

void Server::take_connections(Listener& listener) {
  for (;;) {
    Fd fd(::accept4(listener.fd.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!fd.open()) return;
    ++*listener.count;
    epoll_event event{EPOLLIN, {.fd = fd.get()}};
    ::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd.get(), &event);
    const int number = fd.get();
    connections_[number] = std::move(fd);
  }
}

void Server::answer_datagrams(Listener& listener) {
  std::array<char, 2048> data{};
  for (;;) {
    sockaddr_in6 peer{};
    socklen_t size = sizeof peer;
    const ssize_t got = ::recvfrom(listener.fd.get(), data.data(), data.size(), 0,
                                   reinterpret_cast<sockaddr*>(&peer), &size);
    if (got < 0) return;
    ++*listener.count;
    (void)::sendto(listener.fd.get(), data.data(), static_cast<std::size_t>(got), 0,
                   reinterpret_cast<const sockaddr*>(&peer), size);
  }
}

void Server::answer_connection(int fd) {
  std::array<char, 64 * 1024> data{};
  const ssize_t got = ::recv(fd, data.data(), data.size(), 0);
  if (got < 0 && errno == EAGAIN) return;
  if (got <= 0) {
    connections_.erase(fd);
    return;
  }
  // A peer that reads too slowly holds up the others for a moment: small answers only.
  for (ssize_t sent = 0; sent < got;) {
    const ssize_t some =
        ::send(fd, data.data() + sent, static_cast<std::size_t>(got - sent), MSG_NOSIGNAL);
    if (some > 0) sent += some;
    if (some < 0 && errno != EAGAIN) break;
  }
}

}  // namespace lab
