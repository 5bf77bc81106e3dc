// A server of many TCP and UDP ports inside a namespace that sends back what it gets.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <thread>
#include <vector>

#include "tests/lab/namespace.hpp"

namespace lab {

class Server {
 public:
  enum class Stream { plain, multipath };
  /// Listens on every address of both families; ready when this returns.
  explicit Server(const Namespace& where, const PortList& tcp, const PortList& udp = {},
                  Stream stream = Stream::plain);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  /// Connections that came through to the program so far.
  std::size_t accepted(std::uint16_t tcp_port) const { return accepted_.at(tcp_port); }
  /// Datagrams that came through to the program so far.
  std::size_t received(std::uint16_t udp_port) const { return received_.at(udp_port); }

 private:
  struct Listener {
    Fd fd;
    bool stream = true;
    std::atomic<std::size_t>* count = nullptr;
  };

  void add(const Namespace& where, bool stream, std::uint16_t port, Stream protocol);
  void serve();
  void take_connections(Listener& listener);
  void answer_datagrams(Listener& listener);
  void answer_connection(int fd);

  Fd epoll_;
  Fd stop_;
  std::map<int, Listener> listeners_;
  std::map<int, Fd> connections_;
  std::map<std::uint16_t, std::atomic<std::size_t>> accepted_;
  std::map<std::uint16_t, std::atomic<std::size_t>> received_;
  std::thread thread_;
};

}  // namespace lab
