// An HTTP/1.1 server on a Unix socket, with keep-alive and pipelining.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include <boost/asio/io_context.hpp>

#include "fw/base/result.hpp"
#include "fw/service/local_listener.hpp"
#include "fw/service/sessions.hpp"
#include "fw/service/timers.hpp"
#include "fw/services/http_request.hpp"
#include "fw/services/respond.hpp"

namespace fw::services {

/// Appends the response to a request and its body, or keeps `again` for when it is known.
using Respond = std::function<Responded(const HttpRequest& request, std::string_view body,
                                        std::string& out, const Again& again)>;

/// Serves at most kServiceClientsMax clients at once: a new one takes the place of who has been
/// silent longest. A client that says nothing for kServicePatience is closed. A head of at most
/// kServiceHeadMax bytes, and a body of at most kServiceBodyMax; what is longer, malformed or of
/// unknown length is answered and the connection closed.
class HttpServer {
 public:
  HttpServer(boost::asio::io_context& io, Respond respond);

  /// Makes the socket: mode 0660, of this process's group. One that is there is replaced.
  Result<void> listen(const std::string& path);

  std::size_t clients() const { return sessions_.size(); }

 private:
  class Client;

  void admit(LocalListener::Socket socket);

  Respond respond_;
  ClientSessions sessions_;
  LocalListener listener_;
  Periodic silence_;
};

}  // namespace fw::services
