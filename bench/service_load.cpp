// Asks the limiter's service on its Unix socket as fast as it answers: decisions a second, and how
// long each took.
// SPDX-License-Identifier: GPL-2.0-or-later
//
//   service_load SOCKET PATH CONNECTIONS SECONDS CLIENTS
//
// Each connection has one question under way. CLIENTS addresses ask in a random order, half of them
// of IPv6; with SECONDS 0 each asks once, in order.
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace {

using Clock = std::chrono::steady_clock;

[[noreturn]] void die(const char* what) {
  std::perror(what);
  std::exit(1);
}

int connected(const char* path) {
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un to{};
  to.sun_family = AF_UNIX;
  std::strncpy(to.sun_path, path, sizeof to.sun_path - 1);
  if (fd < 0 || ::connect(fd, reinterpret_cast<const sockaddr*>(&to), sizeof to) != 0)
    die("connect");
  return fd;
}

std::string address(std::uint32_t n) {
  char text[64];
  const std::uint32_t v = n / 2;
  if (n % 2 == 0)
    std::snprintf(text, sizeof text, "%u.%u.%u.%u", 11 + (v >> 24), v >> 16 & 255, v >> 8 & 255,
                  v & 255);
  else
    std::snprintf(text, sizeof text, "2001:db8:%x:%x::1", v >> 16, v & 0xffff);
  return text;
}

struct Load {
  std::string path;
  std::vector<int> sockets;
  std::vector<Clock::time_point> asked;
  std::vector<std::uint32_t> took_ns;
  std::uint64_t admitted = 0;

  /// As nginx writes it.
  void ask(std::size_t i, std::uint32_t client) {
    const std::string request = "GET " + path + " HTTP/1.1\r\nX-Client: " + address(client) +
                                "\r\nX-Site: wiki.example.org\r\nHost: cloudron_fw_limit\r\n\r\n";
    asked[i] = Clock::now();
    if (::send(sockets[i], request.data(), request.size(), MSG_NOSIGNAL) < 0) die("send");
  }
  void take(std::size_t i) {
    char answer[4096];
    const auto size = ::recv(sockets[i], answer, sizeof answer, 0);
    if (size < 12) die("recv");
    const auto took = std::chrono::nanoseconds(Clock::now() - asked[i]).count();
    took_ns.push_back(static_cast<std::uint32_t>(std::min<std::int64_t>(took, UINT32_MAX)));
    if (std::memcmp(answer + 9, "204", 3) == 0)
      ++admitted;
    else if (std::memcmp(answer + 9, "429", 3) != 0)
      die(answer);
  }
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 6)
    return std::fputs("service_load SOCKET PATH CONNECTIONS SECONDS CLIENTS\n", stderr), 1;
  const auto connections = std::strtoul(argv[3], nullptr, 10);
  const std::chrono::seconds seconds(std::strtoul(argv[4], nullptr, 10));
  const auto clients = static_cast<std::uint32_t>(std::strtoul(argv[5], nullptr, 10));
  Load load{argv[2], {}, std::vector<Clock::time_point>(connections), {}};
  const int epoll = ::epoll_create1(EPOLL_CLOEXEC);
  for (std::uint64_t i = 0; i < connections; ++i) {
    load.sockets.push_back(connected(argv[1]));
    epoll_event event{EPOLLIN, {.u64 = i}};
    ::epoll_ctl(epoll, EPOLL_CTL_ADD, load.sockets[i], &event);
  }
  std::minstd_rand random(1);
  std::uint32_t next = 0;
  const bool once = seconds.count() == 0;
  const auto pick = [&] { return once ? next++ : static_cast<std::uint32_t>(random() % clients); };
  const auto begin = Clock::now();
  std::size_t under_way = 0;
  for (std::size_t i = 0; i < connections; ++i, ++under_way) load.ask(i, pick());
  while (under_way != 0) {
    epoll_event events[256];
    const int ready = ::epoll_wait(epoll, events, 256, -1);
    const bool goes_on = once ? next < clients : Clock::now() - begin < seconds;
    for (int e = 0; e < ready; ++e) {
      load.take(events[e].data.u64);
      --under_way;
      if (!goes_on || (once && next >= clients)) continue;
      load.ask(events[e].data.u64, pick());
      ++under_way;
    }
  }
  const double took = std::chrono::duration<double>(Clock::now() - begin).count();
  std::ranges::sort(load.took_ns);
  const auto at = [&](double part) {
    return load.took_ns[static_cast<std::size_t>(part *
                                                 static_cast<double>(load.took_ns.size() - 1))] /
           1000.0;
  };
  std::printf("{\"per_second\": %.0f, \"p50_us\": %.1f, \"p99_us\": %.1f, \"admitted\": %.4f}\n",
              static_cast<double>(load.took_ns.size()) / took, at(0.5), at(0.99),
              static_cast<double>(load.admitted) / static_cast<double>(load.took_ns.size()));
}
