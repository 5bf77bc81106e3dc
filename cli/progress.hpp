// The progress of a long operation, on a terminal.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "cli/context.hpp"

namespace cli {

/// From the first second on a line that is written over; it is gone afterwards. Where stderr is no
/// terminal, or with --quiet, nothing is written.
class Progress {
 public:
  Progress(const Context& context, std::string what);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  /// `done` of `all` (0: it is not known), and so many packets.
  void tell(std::uint64_t done, std::uint64_t all, std::uint64_t packets);

 private:
  using Clock = std::chrono::steady_clock;

  std::string what_;
  bool shown_;
  bool written_ = false;
  Clock::time_point begin_ = Clock::now();
  Clock::time_point next_ = begin_ + std::chrono::seconds(1);
};

}  // namespace cli
