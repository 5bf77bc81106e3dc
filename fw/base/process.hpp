// Runs another program: no shell, a clean environment, bounds on time and output. What a plugin
// installs alone may use it (tests/tidy), fw/plugins/*/install.cpp.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "fw/base/result.hpp"

namespace fw {

struct ProcessBounds {
  std::chrono::milliseconds time;  ///< then SIGTERM, and after kProcessGrace SIGKILL
  std::size_t output_bytes;        ///< of stdout and stderr together; what is beyond is dropped
};

struct ProcessEnd {
  int exit_status = 0;  ///< -1 when a signal ended it
  int signal = 0;       ///< 0 when it exited by itself
  bool timed_out = false;
  bool output_cut = false;
  std::string output;  ///< stdout and stderr, as they came

  bool ok() const { return exit_status == 0 && !timed_out; }
  bool operator==(const ProcessEnd&) const = default;
};

/// Runs the program words[0] with words as its arguments, and waits for its end. The program is an
/// absolute path, or a name that is looked up in /usr/sbin, /usr/bin, /sbin and /bin. It reads
/// `input` and nothing else, stands in /, inherits no other file, no signal mask, and of the
/// environment nothing: it has PATH and LC_ALL=C. It leads a process group of its own, of which
/// nothing is left when this returns; only what leaves that group by itself (a daemon) lives on.
/// May be called from any thread; SIGCHLD must not be ignored. `missing` when there is no such
/// program, `usage` for words that cannot be passed.
Result<ProcessEnd> run_process(const std::vector<std::string>& words, const ProcessBounds& bounds,
                               std::string_view input = {});

}  // namespace fw
