// HTTP with the Docker daemon.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/docker/client.hpp"

#include <algorithm>
#include <cerrno>

#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/beast/core/basic_stream.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>
#include <fmt/format.h>

#include "fw/base/suggest.hpp"

namespace fw::docker {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using Socket = asio::local::stream_protocol;
using boost::system::error_code;

constexpr std::size_t kMessageShown = 200;     // characters of what Docker says of an error
constexpr std::size_t kHeaderBytesMax = 8192;  // Docker sends 300
constexpr std::size_t kReadBytes = 64u << 10;  // at once; Beast begins with 512, and stays there

/// One request on a connection of its own. Each step leaves `error`, and is not begun after one.
class Exchange {
 public:
  Exchange(const std::string& path, std::chrono::milliseconds patience)
      : request_(http::verb::get, path, 11), stream_(loop_) {
    request_.set(http::field::host, "docker");
    request_.set(http::field::user_agent, "cloudron-fw");
    request_.set(http::field::connection, "close");
    answer_.body_limit(kDockerAnswerMax);
    answer_.header_limit(kHeaderBytesMax);
    stream_.expires_after(patience);
    buffer_.reserve(kReadBytes);
  }

  error_code connect(const std::string& socket) {
    stream_.async_connect(Socket::endpoint(socket), [this](error_code e) { error_ = e; });
    return finish();
  }
  error_code transfer() {
    http::async_write(stream_, request_, [this](error_code e, std::size_t) {
      error_ = e;
      if (e) return;
      http::async_read(stream_, buffer_, answer_,
                       [this](error_code f, std::size_t) { error_ = f; });
    });
    return finish();
  }
  http::response<http::string_body> take() { return answer_.release(); }

 private:
  error_code finish() {
    loop_.restart();
    loop_.run();
    return error_;
  }

  http::request<http::empty_body> request_;
  asio::io_context loop_{1};
  beast::basic_stream<Socket> stream_;
  beast::flat_buffer buffer_;
  http::response_parser<http::string_body> answer_;
  error_code error_;
};

std::unexpected<Error> not_connected(const std::string& socket, const std::string& setting,
                                     error_code error) {
  if (error == boost::system::errc::permission_denied ||
      error == boost::system::errc::operation_not_permitted) {
    return fail(ErrorCode::permission,
                fmt::format("{} is for root and the group docker (try: sudo)", printable(socket)));
  }
  if (error == boost::system::errc::no_such_file_or_directory ||
      error == boost::system::errc::connection_refused) {
    return fail(ErrorCode::io,
                fmt::format("Docker is not running: no process listens on {} (systemctl "
                            "start docker; another socket: {})",
                            printable(socket), setting));
  }
  return fail_errno(ErrorCode::io, fmt::format("cannot connect to {}", printable(socket)),
                    error.value());
}

std::unexpected<Error> not_answered(const std::string& path, error_code error,
                                    std::chrono::milliseconds patience) {
  const std::string asked = printable(path, kMessageShown);
  if (error == beast::error::timeout) {
    return fail(ErrorCode::io,
                fmt::format("Docker did not answer {} within {} ms (is it busy? docker info)",
                            asked, patience.count()));
  }
  if (error == http::error::body_limit) {
    return fail(ErrorCode::io, fmt::format("Docker's answer to {} is longer than {} bytes", asked,
                                           kDockerAnswerMax));
  }
  return fail(ErrorCode::io,
              fmt::format("Docker's answer to {} cannot be read: {} (is it Docker that listens?)",
                          asked, error.message()));
}

bool may_be_asked(const std::string& path) {
  return path.starts_with('/') && path.size() <= kDockerPathMax &&
         std::all_of(path.begin(), path.end(), [](char c) { return c > ' ' && c < 0x7f; });
}

}  // namespace

bool is_id(const std::string& text) {
  constexpr std::size_t kShort = 12;
  constexpr std::size_t kLong = 64;
  return text.size() >= kShort && text.size() <= kLong &&
         text.find_first_not_of("0123456789abcdef") == std::string::npos;
}

Result<std::string> Client::get(const std::string& path) const {
  if (!may_be_asked(path)) {
    return fail(ErrorCode::unsupported, fmt::format("cannot ask Docker for {}", quote(path)));
  }
  if (socket_.empty() || socket_.size() > kSocketPathMax) {
    return fail(ErrorCode::usage, fmt::format("{} is not a socket path: it must have 1 to {} bytes",
                                              quote(socket_), kSocketPathMax));
  }
  Exchange exchange(path, patience_);
  if (const auto error = exchange.connect(socket_)) {
    if (error == beast::error::timeout) return not_answered(path, error, patience_);
    return not_connected(socket_, setting_, error);
  }
  if (const auto error = exchange.transfer()) return not_answered(path, error, patience_);
  auto answer = exchange.take();
  if (answer.result() == http::status::ok) return std::move(answer.body());
  const auto code = answer.result() == http::status::not_found ? ErrorCode::missing : ErrorCode::io;
  return fail(code,
              fmt::format("Docker answered {} to {}: {}", answer.result_int(),
                          printable(path, kMessageShown), printable(answer.body(), kMessageShown)));
}

}  // namespace fw::docker
