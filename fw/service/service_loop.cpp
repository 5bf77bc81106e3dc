// The loop of a service that systemd runs.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/service/service_loop.hpp"

#include <string>

#include "fw/service/messages.hpp"
#include "fw/service/timers.hpp"

namespace fw {

void ServiceLoop::run(std::string_view status, const std::function<void()>& reload) {
  await_signals(reload);
  const auto patience = watchdog_period();
  Periodic alive(io_, patience / 3, [] { notify_manager("WATCHDOG=1"); });
  if (patience.count() != 0) alive.start();
  notify_manager("READY=1\nSTATUS=" + std::string(status));
  io_.run();
  notify_manager("STOPPING=1");
}

void ServiceLoop::await_signals(const std::function<void()>& reload) {
  signals_.async_wait([this, &reload](const boost::system::error_code& error, int signal) {
    if (error) return;
    if (signal != SIGHUP) return io_.stop();
    reload();
    await_signals(reload);
  });
}

}  // namespace fw
