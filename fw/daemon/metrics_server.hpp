// The metrics server: a small HTTP server in the daemon's loop.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>

#include "fw/base/endpoint.hpp"
#include "fw/base/result.hpp"
#include "fw/service/sessions.hpp"

namespace fw {

/// Answers GET /metrics. Serves at most kMetricsClientsMax clients at once: a new one takes the
/// place of who has been silent longest. A request has at most kMetricsHeaderMax bytes, no body,
/// and kMetricsPatience to come. `text` is called once in kMetricsFresh at most.
class MetricsServer {
 public:
  using Text = std::function<Result<std::string>()>;

  MetricsServer(boost::asio::io_context& io, Text text);
  ~MetricsServer();
  MetricsServer(const MetricsServer&) = delete;
  MetricsServer& operator=(const MetricsServer&) = delete;

  Result<void> listen(const Endpoint& at);

  std::size_t clients() const { return sessions_.size(); }

 private:
  class Client;

  void accept();
  void admit(boost::asio::ip::tcp::socket socket);
  const Result<std::string>& fresh();

  std::shared_ptr<bool> alive_ = std::make_shared<bool>();  ///< for who is called too late
  Text make_text_;
  Result<std::string> text_;
  std::optional<std::chrono::steady_clock::time_point> made_;
  boost::asio::ip::tcp::acceptor acceptor_;
  ClientSessions sessions_;
};

}  // namespace fw
