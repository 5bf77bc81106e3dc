// The loop of a service that systemd runs: its signals, and its notifications.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <csignal>
#include <functional>
#include <string_view>

#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>

namespace fw {

/// One thread. SIGTERM, SIGINT and SIGHUP are held back from the moment that it is made until it
/// runs.
class ServiceLoop {
 public:
  boost::asio::io_context& io() { return io_; }

  /// Tells the manager that the service is ready, with a few words on what it does, and runs until
  /// SIGTERM or SIGINT. SIGHUP calls `reload`. Keeps the manager's watchdog quiet, if there is one.
  void run(std::string_view status, const std::function<void()>& reload);

 private:
  void await_signals(const std::function<void()>& reload);

  boost::asio::io_context io_{1};
  boost::asio::signal_set signals_{io_, SIGTERM, SIGINT, SIGHUP};
};

}  // namespace fw
