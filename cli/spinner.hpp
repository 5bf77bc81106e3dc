// A spinner for operations that take longer than a second.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>

#include "cli/context.hpp"

namespace cli {

/// While it lives, a terminal shows what is going on and for how long, from the first second on;
/// the line is gone afterwards. Where stderr is no terminal, or with --quiet, nothing is written.
class Spinner {
 public:
  Spinner(const Context& context, std::string what);
  ~Spinner();
  Spinner(const Spinner&) = delete;
  Spinner& operator=(const Spinner&) = delete;

 private:
  void tell(const std::string& what);

  std::mutex mutex_;
  std::condition_variable wake_;
  bool over_ = false;
  std::thread teller_;
};

}  // namespace cli
