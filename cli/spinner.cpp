// A spinner for operations that take longer than a second.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "cli/spinner.hpp"

#include <chrono>
#include <utility>

#include <fmt/format.h>
#include <unistd.h>

namespace cli {

Spinner::Spinner(const Context& context, std::string what) {
  if (context.quiet || context.boot || isatty(STDERR_FILENO) == 0) return;
  teller_ = std::thread([this, what = std::move(what)] { tell(what); });
}

Spinner::~Spinner() {
  if (!teller_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    over_ = true;
  }
  wake_.notify_one();
  teller_.join();
}

void Spinner::tell(const std::string& what) {
  std::unique_lock lock(mutex_);
  int seconds = 0;
  while (!wake_.wait_for(lock, std::chrono::seconds{1}, [this] { return over_; })) {
    fmt::print(stderr, "\r{} ... {} s ", what, ++seconds);
  }
  if (seconds != 0) fmt::print(stderr, "\r\x1b[K");
}

}  // namespace cli
