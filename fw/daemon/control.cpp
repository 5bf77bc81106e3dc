// The control socket.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/daemon/control.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <string_view>
#include <vector>

#include <boost/asio/buffer.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/streambuf.hpp>
#include <boost/asio/write.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <fmt/format.h>
#include <grp.h>
#include <pwd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fw/base/limits.hpp"
#include "fw/wire/wire.hpp"

namespace fw {
namespace {

namespace asio = boost::asio;
namespace json = boost::json;
using Local = asio::local::stream_protocol;
using ErrorOf = boost::system::error_code;

constexpr const char* kGroup = "cloudron-fw";
constexpr const char* kServiceUser = "cloudron-fw-services";
constexpr std::size_t kDepthMax = 8;  // of a request's JSON

Peer peer_of(Local::socket& socket) {
  ucred credentials{};
  socklen_t length = sizeof credentials;
  Peer peer;
  if (getsockopt(socket.native_handle(), SOL_SOCKET, SO_PEERCRED, &credentials, &length) != 0) {
    peer.uid = static_cast<uid_t>(-1);
    return peer;
  }
  peer.pid = credentials.pid;
  peer.uid = credentials.uid;
  peer.may_change = peer.uid == 0 || peer.uid == geteuid();
  const ::passwd* const service = getpwnam(kServiceUser);
  peer.is_service = !peer.may_change && service != nullptr && peer.uid == service->pw_uid;
  return peer;
}

/// For those who may connect the mode of the socket is the gate; this says it in a second place.
bool may_read(Local::socket& socket, const Peer& peer) {
  if (peer.may_change) return true;
  const ::group* const group = getgrnam(kGroup);
  if (group == nullptr) return false;
  ucred credentials{};
  socklen_t length = sizeof credentials;
  getsockopt(socket.native_handle(), SOL_SOCKET, SO_PEERCRED, &credentials, &length);
  if (credentials.gid == group->gr_gid) return true;
  std::vector<gid_t> groups(1024);
  length = static_cast<socklen_t>(groups.size() * sizeof(gid_t));
  if (getsockopt(socket.native_handle(), SOL_SOCKET, SO_PEERGROUPS, groups.data(), &length) != 0) {
    return false;
  }
  groups.resize(length / sizeof(gid_t));
  return std::find(groups.begin(), groups.end(), group->gr_gid) != groups.end();
}

}  // namespace

Result<json::object> read_request(std::string_view line) {
  json::parse_options options;
  options.max_depth = kDepthMax;
  ErrorOf error;
  json::value request = json::parse(line, error, {}, options);
  if (!error && request.is_object()) return std::move(request.get_object());
  return fail(ErrorCode::usage, "a request must be one line that holds a JSON object");
}

namespace {

json::object refusal(std::string what) {
  return wire::answer(Error{ErrorCode::usage, std::move(what), {}, {}, 0});
}

}  // namespace

/// One client: reads a line, has it answered, writes the answer, and so on.
class ControlServer::Client final : public ClientSession {
 public:
  Client(ControlServer& server, Local::socket socket, const Peer& peer)
      : ClientSession(socket.get_executor()),
        server_(server),
        socket_(std::move(socket)),
        peer_(peer),
        input_(kControlLineMax) {}

  void read() override {
    wait_at_most(kControlPatience);
    asio::async_read_until(socket_, input_, '\n',
                           [self = held()](const ErrorOf& error, std::size_t size) {
                             if (error == asio::error::not_found)
                               return self->answer(refusal("the line is too long"), true);
                             if (error) return self->close();
                             self->handle(size);
                           });
  }

  bool busy() const override { return busy_; }

 private:
  std::shared_ptr<Client> held() { return std::static_pointer_cast<Client>(shared_from_this()); }
  void close_socket() override {
    ErrorOf ignored;
    socket_.close(ignored);
  }

  void handle(std::size_t size) {
    if (closed()) return;
    heard();
    stop_waiting();
    const auto* const bytes = static_cast<const char*>(input_.data().data());
    const std::string line(bytes, size);
    input_.consume(size);
    const auto request = read_request(line);
    if (!request) return answer(wire::answer(request.error()), false);
    busy_ = true;
    server_.handler_(peer_, *request, [self = held()](json::object out) {
      self->busy_ = false;
      self->answer(std::move(out), false);
    });
  }

  void answer(json::object out, bool last) {
    if (closed()) return;
    output_ = json::serialize(out) + "\n";
    if (output_.size() > kControlAnswerMax) {
      output_ = json::serialize(refusal("the answer is too long: ask for less")) + "\n";
    }
    wait_at_most(kControlPatience);
    asio::async_write(socket_, asio::buffer(output_),
                      [self = held(), last](const ErrorOf& error, std::size_t) {
                        self->output_ = {};
                        if (error || last) return self->close();
                        self->read();
                      });
  }

  ControlServer& server_;
  Local::socket socket_;
  Peer peer_;
  asio::streambuf input_;
  std::string output_;
  bool busy_ = false;
};

ControlServer::ControlServer(asio::io_context& io, Handler handler)
    : handler_(std::move(handler)),
      listener_(io, [this](Local::socket socket) { admit(std::move(socket)); }) {}

Result<void> ControlServer::listen(const std::string& path) {
  return listener_.listen(path, kGroup);
}

void ControlServer::admit(Local::socket socket) {
  const Peer peer = peer_of(socket);
  // The last places are root's.
  const std::size_t most =
      peer.uid == 0 ? kControlClientsMax : kControlClientsMax - kControlReserved;
  if (!may_read(socket, peer) || !sessions_.make_room(most)) return;
  sessions_.begin(std::make_shared<Client>(*this, std::move(socket), peer));
}

}  // namespace fw
