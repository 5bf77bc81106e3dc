// One change at a time: apply, block and reset take turns.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <optional>
#include <string>

#include "fw/base/result.hpp"

namespace fw {

/// Held until destroyed; the kernel lets go of it when the process dies.
class StateLock {
 public:
  /// Makes `state_dir` (0700) if need be and waits for the lock in it.
  static Result<StateLock> take(const std::string& state_dir);

  /// The same without waiting: nothing when another program holds it.
  static Result<std::optional<StateLock>> try_take(const std::string& state_dir);

  StateLock(StateLock&& other) noexcept;
  StateLock& operator=(StateLock&& other) noexcept;
  ~StateLock();

 private:
  static Result<StateLock> open(const std::string& state_dir);
  explicit StateLock(int fd) : fd_(fd) {}
  int fd_ = -1;
};

}  // namespace fw
