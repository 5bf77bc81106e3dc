// Timers of a service's loop.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/service/timers.hpp"

#include <utility>

namespace fw {

using boost::system::error_code;

Periodic::Periodic(boost::asio::io_context& io, std::chrono::microseconds period,
                   std::function<void()> work)
    : period_(period), work_(std::move(work)), timer_(io) {}

void Periodic::start() {
  timer_.expires_after(period_);
  timer_.async_wait([this](const error_code& cancelled) {
    if (cancelled) return;
    work_();
    start();
  });
}

Due::Due(boost::asio::io_context& io, std::function<void()> work)
    : work_(std::move(work)), timer_(io) {}

void Due::within(std::chrono::milliseconds pause) {
  if (pending_ && timer_.expiry() <= std::chrono::steady_clock::now() + pause) return;
  after(pause);
}

void Due::after(std::chrono::milliseconds pause) {
  pending_ = true;
  timer_.expires_after(pause);
  timer_.async_wait([this](const error_code& cancelled) {
    if (cancelled) return;
    pending_ = false;
    work_();
  });
}

}  // namespace fw
