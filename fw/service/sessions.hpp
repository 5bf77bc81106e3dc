// The clients that a server has at once: how many, which one makes room, and time limits.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <chrono>
#include <cstddef>
#include <list>
#include <memory>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/steady_timer.hpp>

namespace fw {

class ClientSessions;

/// One client. Handlers that it hands to Asio hold it, so it may outlive its server; then it is
/// closed.
class ClientSession : public std::enable_shared_from_this<ClientSession> {
 public:
  virtual ~ClientSession() = default;
  ClientSession(const ClientSession&) = delete;
  ClientSession& operator=(const ClientSession&) = delete;

  virtual void read() = 0;
  /// Ends it; its server forgets it.
  void close();
  /// One that is busy with a request does not make room for another.
  virtual bool busy() const { return false; }

 protected:
  explicit ClientSession(const boost::asio::any_io_executor& executor) : patience_(executor) {}

  bool closed() const { return sessions_ == nullptr; }
  /// Closes it after that time, unless it is called again or stops waiting.
  void wait_at_most(std::chrono::milliseconds patience);
  void stop_waiting() { patience_.cancel(); }
  /// It has spoken: others have been silent for longer.
  void heard();

 private:
  friend class ClientSessions;
  virtual void close_socket() = 0;

  ClientSessions* sessions_ = nullptr;
  std::chrono::steady_clock::time_point heard_{};
  std::list<std::shared_ptr<ClientSession>>::iterator place_;
  boost::asio::steady_timer patience_;
};

class ClientSessions {
 public:
  ClientSessions() = default;
  ~ClientSessions();
  ClientSessions(const ClientSessions&) = delete;
  ClientSessions& operator=(const ClientSessions&) = delete;

  std::size_t size() const { return all_.size(); }
  /// Closes the one that has been silent longest, where there are `most`; false if all are busy.
  bool make_room(std::size_t most);
  /// Closes those that have been silent since then: one timer for all clients, where a timer for
  /// each request would cost more than the request.
  void close_silent_since(std::chrono::steady_clock::time_point then);
  /// Takes it in and has it read.
  void begin(const std::shared_ptr<ClientSession>& session);

 private:
  friend class ClientSession;

  std::list<std::shared_ptr<ClientSession>>
      all_;  ///< the one that has been silent longest is first
};

}  // namespace fw
