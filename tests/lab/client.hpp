// Real clients: TCP and UDP attempts from a chosen address, and connections that stay.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstdint>
#include <cstring>
#include <optional>
#include <ostream>
#include <utility>
#include <vector>

#include <netinet/in.h>
#include <sys/socket.h>

#include "tests/lab/network.hpp"
#include "tests/lab/protocol.hpp"

namespace lab {

struct SockAddr {
  sockaddr_storage storage{};
  socklen_t size = 0;

  SockAddr(Ip ip, std::uint16_t port) {
    const auto bytes = to_bytes(ip);
    if (ip.family == Family::ipv4) {
      auto& in = reinterpret_cast<sockaddr_in&>(storage);
      in.sin_family = AF_INET;
      in.sin_port = htons(port);
      std::memcpy(&in.sin_addr, bytes.data(), bytes.size());
      size = sizeof in;
    } else {
      auto& in6 = reinterpret_cast<sockaddr_in6&>(storage);
      in6.sin6_family = AF_INET6;
      in6.sin6_port = htons(port);
      std::memcpy(&in6.sin6_addr, bytes.data(), bytes.size());
      size = sizeof in6;
    }
  }
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
};

/// What a client sees.
enum class Outcome {
  served,     ///< the server answered as its protocol has it
  refused,    ///< a reset, an ICMP error, or another answer
  timed_out,  ///< nothing
};
std::ostream& operator<<(std::ostream& out, Outcome outcome);

/// One of many attempts. A served one was admitted at some time between `from` and `until`.
struct Try {
  Clock::time_point from;
  Clock::time_point until;
  Outcome outcome = Outcome::timed_out;
};
std::size_t served(const std::vector<Try>& tries);
/// The most that were certainly admitted within less than `window`: never too many.
std::size_t most_in(Clock::duration window, const std::vector<Try>& tries);

/// How attempts follow one another.
struct Pace {
  std::size_t count = 1;
  Clock::duration gap{0};         ///< between the starts of two; 0: all at once
  Clock::duration patience = 3s;  ///< of each; then it is given up
};

/// A connection that stays.
class Session {
 public:
  explicit Session(Fd fd) : fd_(std::move(fd)) {}
  /// Do that many bytes come back?
  bool echoes(Clock::duration patience = 3s, std::size_t bytes = 6);
  int fd() const { return fd_.get(); }

 private:
  Fd fd_;
};

/// Someone with an address. Both must outlive it.
class Client {
 public:
  Client(const Namespace& where, Ip source) : where_(&where), source_(source) {}
  /// The same, with TCP Fast Open: once it has a server's cookie its SYNs carry data.
  Client with_fast_open() const {
    Client other = *this;
    other.fast_open_ = true;
    return other;
  }
  /// The same with Multipath TCP, where the namespace has it.
  Client with_multipath() const {
    Client other = *this;
    other.multipath_ = true;
    return other;
  }
  /// The same, of another protocol than that of the lab's own servers.
  Client speaking(Protocol protocol) const {
    Client other = *this;
    other.protocol_ = std::move(protocol);
    return other;
  }

  Outcome tcp(Ip to, std::uint16_t port, Clock::duration patience = 3s) const;
  Outcome udp(Ip to, std::uint16_t port, Clock::duration patience = 3s) const;
  /// Attempts in a row, each with a connection of its own, to the ports in turn.
  std::vector<Try> tries(Ip to, const PortList& ports, Pace pace) const;
  /// Fails when there is no connection.
  Session session(Ip to, std::uint16_t port) const;

 private:
  Fd start(int kind, Ip to, std::uint16_t port) const;
  const Namespace* where_;
  Ip source_;
  bool fast_open_ = false;
  bool multipath_ = false;
  Protocol protocol_{"hello", {}};
};

/// Patience where nothing is expected to come: longer than any answer takes, shorter than the first
/// repetition of a SYN (1 s).
inline constexpr auto kShort = 400ms;

}  // namespace lab
