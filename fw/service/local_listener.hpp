// A Unix socket that clients connect to.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <functional>
#include <string>

#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>

#include "fw/base/result.hpp"

namespace fw {

class LocalListener {
 public:
  using Socket = boost::asio::local::stream_protocol::socket;
  /// Takes in a client; destroying the socket turns it away.
  using Admit = std::function<void(Socket socket)>;

  LocalListener(boost::asio::io_context& io, Admit admit);
  /// Removes the socket's file.
  ~LocalListener();
  LocalListener(const LocalListener&) = delete;
  LocalListener& operator=(const LocalListener&) = delete;

  /// Makes the socket: mode 0660, of this process's group, or of `group` where there is one and
  /// this process may give it. A socket that is there is replaced.
  Result<void> listen(const std::string& path, const char* group = nullptr);

 private:
  void accept();
  void accept_waiting();

  Admit admit_;
  boost::asio::local::stream_protocol::acceptor acceptor_;
  std::string path_;
};

}  // namespace fw
