// A queue for the lock of the state folder.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/daemon/lock_queue.hpp"

#include <utility>

#include <boost/asio/post.hpp>

namespace fw {
namespace {

using namespace std::chrono_literals;

constexpr auto kTryAgain = 5ms;
constexpr auto kPatience = 10s;

}  // namespace

LockQueue::LockQueue(boost::asio::io_context& io, std::string state_dir)
    : io_(io), state_dir_(std::move(state_dir)) {}

LockQueue::~LockQueue() { join(); }

void LockQueue::join() {
  if (beside_.joinable()) beside_.join();
}

void LockQueue::with_lock(std::function<void()> work, std::function<void(const Error&)> busy) {
  if (before_each_) before_each_();
  waiting_.push_back(
      {std::move(work), std::move(busy), std::chrono::steady_clock::now() + kPatience});
  if (waiting_.size() == 1) try_lock();
}

void LockQueue::try_lock() {
  while (!waiting_.empty()) {
    auto lock = StateLock::try_take(state_dir_);
    if (lock && *lock) {
      lock_ = std::move(*lock);
      const Spinner first = std::move(waiting_.front());
      first.work();
      if (beside_.joinable()) return;  // and goes on when that is done
      next();
      continue;
    }
    if (!lock || std::chrono::steady_clock::now() > waiting_.front().until) {
      const Spinner first = std::move(waiting_.front());
      first.busy(
          lock ? Error{ErrorCode::kernel_busy, "another command is running: try again", {}, {}, 0}
               : lock.error());
      waiting_.pop_front();
      continue;
    }
    timer_.expires_after(kTryAgain);
    timer_.async_wait([this](const boost::system::error_code& error) {
      if (!error) try_lock();
    });
    return;
  }
}

void LockQueue::next() {
  lock_.reset();
  waiting_.pop_front();
}

void LockQueue::beside(std::function<void()> work, std::function<void()> then) {
  beside_ = std::thread([this, work = std::move(work), then = std::move(then)] {
    work();
    boost::asio::post(io_, [this, then] {
      beside_.join();
      then();
      if (beside_.joinable()) return;  // `then` has more to do
      next();
      try_lock();
    });
  });
}

}  // namespace fw
