// Programs inside a namespace: run to their end with their output, or kept until the object goes.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <string>
#include <vector>

#include <sys/types.h>

#include "tests/lab/namespace.hpp"

namespace lab {

struct Output {
  int exit = -1;    ///< -1: ended by a signal
  int signal = 0;   ///< which
  std::string out;  ///< stdout
  std::string err;  ///< stderr

  bool ok() const { return exit == 0; }
};

/// For a failure's message: all of it.
std::string to_string(const Output& output);

/// A program that is killed, by its own id, when the object goes or the test dies.
class Process {
 public:
  /// The words are the program (searched in PATH) and its arguments.
  Process(const Namespace& where, const std::vector<std::string>& words,
          const std::string& input = {});
  ~Process();
  Process(Process&& other) noexcept;
  Process& operator=(Process&&) = delete;

  pid_t id() const { return pid_; }
  void kill(int signal) const;
  /// Waits for its end; a program that takes longer than `patience` is killed, and that fails.
  Output wait(Clock::duration patience = 60s);
  /// What it wrote until now.
  std::string out_so_far() const;
  std::string err_so_far() const;

 private:
  pid_t pid_ = -1;
  std::string name_;
  Fd pidfd_;
  Fd out_;  // files in memory: nothing blocks, nothing is left behind
  Fd err_;
};

/// Runs a program to its end.
Output run(const Namespace& where, const std::vector<std::string>& words,
           const std::string& input = {}, Clock::duration patience = 60s);

/// The same, and fails unless it exits with 0; gives what it wrote to stdout.
std::string must_run(const Namespace& where, const std::vector<std::string>& words,
                     const std::string& input = {});

}  // namespace lab
