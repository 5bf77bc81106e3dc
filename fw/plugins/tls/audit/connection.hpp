// Connections to the host that is audited: many at once, each with a bound of time and bytes.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <chrono>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "fw/base/endpoint.hpp"
#include "fw/base/file.hpp"
#include "fw/plugins/tls/audit/starttls.hpp"

namespace fw::tls {

using Clock = std::chrono::steady_clock;

/// Where to connect, and as whom the server is meant.
struct Target {
  Endpoint endpoint;
  std::string name;  ///< that is asked for; an address where there is no name
  Starttls starttls = Starttls::none;
};

/// What is sent once connected, and how to know that enough came back.
struct Question {
  std::string bytes;
  std::function<bool(std::string_view)> enough;
};

struct Reply {
  enum class End : std::uint8_t {
    enough,
    closed,       ///< the server closed it, or reset it
    late,         ///< the time was up
    unreachable,  ///< no connection
    no_tls        ///< it was not willing to begin TLS
  };

  End end = End::late;
  std::string bytes;  ///< at most a bit more than `most`
  int sys_errno = 0;  ///< of `unreachable` and `closed`
  std::string why;    ///< of `no_tls`
};

/// Asks all of them, each on a connection of its own, kTlsConnectionsMax at once. A connection has
/// kTlsPatience, all together until `deadline`; bytes beyond `most` end one.
std::vector<Reply> ask(const Target& target, std::span<const Question> questions,
                       Clock::time_point deadline, std::size_t most);

/// A connection at which TLS (or another protocol) may begin; its descriptor does not block.
Result<File> connect_to(const Target& target, Clock::time_point deadline);

/// Waits for `events` of poll(2); false when the time is up.
bool wait_for(int fd, short events, Clock::time_point deadline);

}  // namespace fw::tls
