// The progress of a long operation, on a terminal.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/progress.hpp"

#include <utility>

#include <fmt/format.h>
#include <unistd.h>

namespace cli {

Progress::Progress(const Context& context, std::string what)
    : what_(std::move(what)), shown_(!context.quiet && isatty(STDERR_FILENO) == 1) {}

Progress::~Progress() {
  if (written_) fmt::print(stderr, "\r\x1b[K");
}

void Progress::tell(std::uint64_t done, std::uint64_t all, std::uint64_t packets) {
  const auto now = Clock::now();
  if (!shown_ || now < next_) return;
  next_ = now + std::chrono::milliseconds(200);
  written_ = true;
  const double seconds = std::chrono::duration<double>(now - begin_).count();
  const double rate = static_cast<double>(packets) / seconds / 1e6;
  if (all == 0 || done == 0) {
    fmt::print(stderr, "\r{}  {} packets, {:.1f} M/s \x1b[K", what_, grouped(packets), rate);
    return;
  }
  constexpr int kWidth = 24;
  const double part = std::min(1.0, static_cast<double>(done) / static_cast<double>(all));
  const int filled = static_cast<int>(part * kWidth);
  const double left = seconds / part * (1 - part);
  fmt::print(stderr, "\r{}  [{:=<{}}{: <{}}] {:.0f}%  {:.1f} M packets/s  {:.0f} s left \x1b[K",
             what_, "", filled, "", kWidth - filled, part * 100, rate, left);
}

}  // namespace cli
