// The clients that a server has at once.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/service/sessions.hpp"

#include <algorithm>
#include <utility>

namespace fw {

void ClientSession::close() {
  ClientSessions* const sessions = std::exchange(sessions_, nullptr);
  if (sessions == nullptr) return;
  const auto self = shared_from_this();  // it leaves the list
  patience_.cancel();
  close_socket();
  sessions->all_.erase(place_);
}

void ClientSession::wait_at_most(std::chrono::milliseconds patience) {
  patience_.expires_after(patience);
  patience_.async_wait([weak = weak_from_this()](const boost::system::error_code& error) {
    if (error) return;
    if (const auto self = weak.lock()) self->close();
  });
}

void ClientSession::heard() {
  heard_ = std::chrono::steady_clock::now();
  sessions_->all_.splice(sessions_->all_.end(), sessions_->all_, place_);
}

ClientSessions::~ClientSessions() {
  while (!all_.empty()) all_.front()->close();
}

bool ClientSessions::make_room(std::size_t most) {
  if (all_.size() < most) return true;
  const auto silent = std::ranges::find_if_not(all_, [](const auto& one) { return one->busy(); });
  if (silent == all_.end()) return false;
  (*silent)->close();
  return true;
}

void ClientSessions::close_silent_since(std::chrono::steady_clock::time_point then) {
  while (!all_.empty() && all_.front()->heard_ < then) all_.front()->close();
}

void ClientSessions::begin(const std::shared_ptr<ClientSession>& session) {
  session->sessions_ = this;
  session->heard_ = std::chrono::steady_clock::now();
  session->place_ = all_.insert(all_.end(), session);
  session->read();
}

}  // namespace fw
