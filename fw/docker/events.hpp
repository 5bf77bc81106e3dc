// The events of a Docker engine, as they happen.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include "fw/base/result.hpp"

namespace fw::docker {

/// An answer of the Docker API that has no end. Blocks.
class Events {
 public:
  /// Begins GET `target`; the engine has begun to answer when it returns. Errors: no process
  /// listens, or answers in `patience`, or with 200.
  static Result<Events> follow(const std::string& socket, const std::string& target,
                               std::chrono::milliseconds patience);
  Events(Events&&) noexcept;
  Events& operator=(Events&&) noexcept;
  ~Events();

  /// The next line; none when none comes in `patience` (without one: ever). Errors: the engine hung
  /// up, or stop() was called.
  Result<std::optional<std::string>> next(std::optional<std::chrono::milliseconds> patience);

  /// For another thread: ends next(), now or when it is called.
  void stop();

 private:
  struct Parts;
  explicit Events(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

}  // namespace fw::docker
