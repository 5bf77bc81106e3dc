// The Docker API over the daemon's unix socket: requests that wait for their answer.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <chrono>
#include <string>
#include <utility>

#include "fw/base/limits.hpp"
#include "fw/base/result.hpp"

namespace fw::docker {

inline constexpr const char* kSocket = "/run/docker.sock";

/// Who asks. A connection is made for each request, so an object holds nothing that can go stale.
class Client {
 public:
  /// `patience` is for the whole of one request: connecting, sending, and the answer's last byte.
  /// `setting` is how the admin names another socket.
  explicit Client(std::string socket = kSocket,
                  std::chrono::milliseconds patience = kDockerPatience,
                  std::string setting = "[apps] docker = \"PATH\"")
      : socket_(std::move(socket)), patience_(patience), setting_(std::move(setting)) {}

  /// The body of GET `path` ("/containers/json?all=0"; without a version the daemon takes its
  /// newest), of at most kDockerAnswerMax bytes. Errors: `permission` when the socket is not for
  /// us, `missing` when Docker knows no such thing (404), `unsupported` when `path` cannot be asked
  /// for, else `io`: no process listens, no answer in time, too long an answer, another status than
  /// 200.
  Result<std::string> get(const std::string& path) const;

  const std::string& socket() const { return socket_; }

 private:
  std::string socket_;
  std::chrono::milliseconds patience_;
  std::string setting_;
};

/// Is this what Docker gives as an id: 12 to 64 hexadecimal digits? Only such goes into a path.
bool is_id(const std::string& text);

}  // namespace fw::docker
