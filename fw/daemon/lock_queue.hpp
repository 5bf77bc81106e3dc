// A queue for the lock of the state folder, in the daemon's loop: waiting never blocks the loop.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <chrono>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include "fw/base/result.hpp"
#include "fw/host/lock.hpp"

namespace fw {

class LockQueue {
 public:
  LockQueue(boost::asio::io_context& io, std::string state_dir);
  ~LockQueue();

  /// `work` runs in the loop with the lock held, in the order of the calls; `busy` instead when
  /// the lock cannot be had in ten seconds, or not at all.
  void with_lock(std::function<void()> work, std::function<void(const Error&)> busy);

  /// Called before each with_lock() does anything else; may call with_lock() itself, whose work
  /// then comes first.
  void before_each(std::function<void()> look) { before_each_ = std::move(look); }

  /// The last deed of such work, for what takes long: it runs in a thread of its own, and the
  /// lock is held until `then` has returned, which runs in the loop and may end with another
  /// beside(). Blocks and lists of a million entries take the kernel seconds.
  void beside(std::function<void()> work, std::function<void()> then);

  /// Waits for the thread, whose `then` is not called any more unless the loop runs on.
  void join();

 private:
  struct Spinner {
    std::function<void()> work;
    std::function<void(const Error&)> busy;
    std::chrono::steady_clock::time_point until;
  };

  void try_lock();
  void next();

  boost::asio::io_context& io_;
  std::string state_dir_;
  std::function<void()> before_each_;
  std::deque<Spinner> waiting_;
  std::optional<StateLock> lock_;  ///< of the first that waits
  std::thread beside_;             ///< at work for it
  boost::asio::steady_timer timer_{io_};
};

}  // namespace fw
