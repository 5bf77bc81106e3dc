// Timers of a service's loop: periodic ones, and one-shot ones.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <chrono>
#include <functional>

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

namespace fw {

/// Does something in every period, from start() on; the first time when one is over.
class Periodic {
 public:
  Periodic(boost::asio::io_context& io, std::chrono::microseconds period,
           std::function<void()> work);

  void start();

 private:
  std::chrono::microseconds period_;
  std::function<void()> work_;
  boost::asio::steady_timer timer_;
};

/// Does something once, after a pause, each time that it is asked to.
class Due {
 public:
  Due(boost::asio::io_context& io, std::function<void()> work);

  /// After that pause at the latest: an earlier call that is due sooner stays.
  void within(std::chrono::milliseconds pause);
  /// After that pause exactly; an earlier call is forgotten.
  void after(std::chrono::milliseconds pause);
  bool pending() const { return pending_; }

 private:
  std::function<void()> work_;
  bool pending_ = false;
  boost::asio::steady_timer timer_;
};

}  // namespace fw
