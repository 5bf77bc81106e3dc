// The control socket: requests and answers as lines of JSON (docs/control.md).
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include <boost/asio/io_context.hpp>
#include <boost/json/object.hpp>
#include <sys/types.h>

#include "fw/base/result.hpp"
#include "fw/service/local_listener.hpp"
#include "fw/service/sessions.hpp"

namespace fw {

/// Who asks.
struct Peer {
  pid_t pid = 0;
  uid_t uid = 0;
  bool may_change = false;  ///< root, or whom the daemon runs as; others only read
  /// The user of cloudron-fw-services: it may block as "services/...", and nothing else.
  bool is_service = false;
};

using Answer = std::function<void(boost::json::object)>;
/// Calls the answer once, now or later.
using Handler = std::function<void(const Peer&, const boost::json::object& request, Answer)>;

/// What a line asks: the JSON object that it holds.
Result<boost::json::object> read_request(std::string_view line);

/// Serves at most kControlClientsMax clients at once: a new one takes the place of who has been
/// silent longest. A client has one request under way at a time, of one line of at most
/// kControlLineMax bytes.
class ControlServer {
 public:
  ControlServer(boost::asio::io_context& io, Handler handler);

  /// Makes the socket: mode 0660, and of the group `cloudron-fw` where there is one.
  Result<void> listen(const std::string& path);

  std::size_t clients() const { return sessions_.size(); }

 private:
  class Client;

  void admit(LocalListener::Socket socket);

  Handler handler_;
  ClientSessions sessions_;
  LocalListener listener_;
};

}  // namespace fw
