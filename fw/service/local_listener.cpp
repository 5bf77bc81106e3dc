// A Unix socket that clients connect to.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/service/local_listener.hpp"

#include <cstddef>
#include <utility>

#include <fmt/format.h>
#include <grp.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

namespace fw {
namespace {

using LocalProtocol = boost::asio::local::stream_protocol;
using AsioError = boost::system::error_code;

constexpr std::size_t kAcceptedAtOnce = 512;

}  // namespace

LocalListener::LocalListener(boost::asio::io_context& io, Admit admit)
    : admit_(std::move(admit)), acceptor_(io) {}

LocalListener::~LocalListener() {
  if (!path_.empty()) ::unlink(path_.c_str());
}

Result<void> LocalListener::listen(const std::string& path, const char* group) {
  const auto failed = [&path](const std::string& what, int code) {
    return fail_errno(ErrorCode::io, fmt::format("{} the socket {}", what, path), code);
  };
  if (path.size() >= sizeof(sockaddr_un{}.sun_path)) return failed("the path is too long for", 0);
  // One that a killed process left. What uses it keeps two of itself apart by a lock.
  ::unlink(path.c_str());
  AsioError error;
  acceptor_.open(LocalProtocol(), error);
  if (error) return failed("cannot make", error.value());
  const mode_t before = ::umask(0117);
  acceptor_.bind(LocalProtocol::endpoint(path), error);
  ::umask(before);
  if (error) return failed("cannot make", error.value());
  path_ = path;
  if (const ::group* const found = group != nullptr ? getgrnam(group) : nullptr; found != nullptr) {
    // Not being allowed to only means that the group cannot connect.
    [[maybe_unused]] const int done = ::chown(path.c_str(), static_cast<uid_t>(-1), found->gr_gid);
  }
  acceptor_.listen(boost::asio::socket_base::max_listen_connections, error);
  if (error) return failed("cannot listen on", error.value());
  acceptor_.non_blocking(true, error);
  if (error) return failed("cannot listen on", error.value());
  accept();
  return {};
}

void LocalListener::accept() {
  acceptor_.async_accept([this](const AsioError& error, Socket socket) {
    if (error == boost::asio::error::operation_aborted) return;
    if (!error) admit_(std::move(socket));
    accept_waiting();
    accept();
  });
}

/// Takes in who waits besides the one that was accepted: one for each turn of the loop would keep
/// the last of many waiting for a request of every other.
void LocalListener::accept_waiting() {
  for (std::size_t i = 0; i < kAcceptedAtOnce; ++i) {
    AsioError error;
    Socket socket = acceptor_.accept(error);
    if (error) return;
    admit_(std::move(socket));
  }
}

}  // namespace fw
