// One change at a time: apply, block and reset take turns.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <optional>
#include <string>
#include <utility>

#include "fw/base/file.hpp"
#include "fw/base/result.hpp"

namespace fw {

/// Held until destroyed; the kernel lets go of it when the process dies.
class StateLock {
 public:
  /// Makes `state_dir` (0700) if need be and waits for the lock in it.
  static Result<StateLock> take(const std::string& state_dir);

  /// The same without waiting: nothing when another program holds it. `name`: of the file.
  static Result<std::optional<StateLock>> try_take(const std::string& state_dir,
                                                   const char* name = "lock");

 private:
  static Result<StateLock> open(const std::string& state_dir, const char* name = "lock");
  explicit StateLock(File file) : file_(std::move(file)) {}
  File file_;
};

/// Opens a file of the state folder to be locked, and makes it and the folder if need be.
Result<File> open_lock_file(const std::string& state_dir, const char* name);

}  // namespace fw
