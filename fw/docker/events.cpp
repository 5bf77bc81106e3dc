// The events of a Docker engine.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/docker/events.hpp"

#include <array>

#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/beast/core/basic_stream.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/buffer_body.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/write.hpp>
#include <fmt/format.h>
#include <sys/socket.h>

#include "fw/base/limits.hpp"
#include "fw/base/suggest.hpp"

namespace fw::docker {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using Local = asio::local::stream_protocol;
using Stream = beast::basic_stream<Local, asio::io_context::executor_type>;
using ErrorOf = boost::system::error_code;

http::request<http::empty_body> request(const std::string& target) {
  http::request<http::empty_body> out(http::verb::get, target, 11);
  out.set(http::field::host, "docker");
  out.set(http::field::user_agent, "cloudron-fw");
  return out;
}

}  // namespace

struct Events::Parts {
  std::string socket;
  asio::io_context io{1};
  Stream stream{io.get_executor()};
  beast::flat_buffer buffer{kEngineEventMax};
  http::response_parser<http::buffer_body> events;
  std::string text;  // of lines that have not been asked for
  std::array<char, 8192> bytes;
  bool reading = false;
  ErrorOf read_error;

  /// Runs what was begun to its end.
  void run() {
    io.restart();
    io.run();
  }
  std::unexpected<Error> failed(std::string_view what, const ErrorOf& error) const {
    const bool late = error == beast::error::timeout;
    return fail_errno(ErrorCode::io,
                      fmt::format("the container engine at {} {}{}", printable(socket, 108), what,
                                  late ? ": no answer in time" : ""),
                      error.category() == boost::system::system_category() ? error.value() : 0);
  }
  void read_some() {
    reading = true;
    events.get().body().data = bytes.data();
    events.get().body().size = bytes.size();
    http::async_read_some(stream, buffer, events, [this](const ErrorOf& error, std::size_t) {
      reading = false;
      read_error = error;
    });
  }
};

Events::Events(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
Events::Events(Events&&) noexcept = default;
Events& Events::operator=(Events&&) noexcept = default;
Events::~Events() = default;

Result<Events> Events::follow(const std::string& socket, const std::string& target,
                              std::chrono::milliseconds patience) {
  if (socket.size() > kSocketPathMax) {
    return fail(ErrorCode::usage, fmt::format("{} is too long for a socket", quote(socket)));
  }
  auto owned = std::make_unique<Parts>();
  Parts& parts = *owned;
  parts.socket = socket;
  parts.events.body_limit(boost::none);
  ErrorOf failure;
  const auto done = [&failure](const ErrorOf& error, std::size_t = 0) { failure = error; };
  parts.stream.expires_after(patience);
  parts.stream.async_connect(Local::endpoint(socket), done);
  parts.run();
  if (failure) return parts.failed("cannot be reached", failure);
  const auto message = request(target);
  http::async_write(parts.stream, message, done);
  parts.run();
  if (failure) return parts.failed("accepts no request", failure);
  http::async_read_header(parts.stream, parts.buffer, parts.events, done);
  parts.run();
  if (failure) return parts.failed("does not answer", failure);
  if (parts.events.get().result() != http::status::ok) {
    return fail(ErrorCode::io,
                fmt::format("the container engine at {} answers {} to {}", printable(socket, 108),
                            parts.events.get().result_int(), printable(target)));
  }
  parts.stream.expires_never();
  return Events(std::move(owned));
}

Result<std::optional<std::string>> Events::next(std::optional<std::chrono::milliseconds> patience) {
  Parts& parts = *parts_;
  for (;;) {
    if (const auto end = parts.text.find('\n'); end != std::string::npos) {
      std::string line = parts.text.substr(0, end);
      parts.text.erase(0, end + 1);
      return line;
    }
    if (parts.text.size() > kEngineEventMax) return parts.failed("sent too long a line", {});
    if (!parts.reading) parts.read_some();
    parts.io.restart();
    if (patience) {
      parts.io.run_for(*patience);
    } else {
      parts.io.run();
    }
    if (parts.reading) return std::nullopt;  // it goes on at the next call
    if (parts.read_error && parts.read_error != http::error::need_buffer) {
      return parts.failed("hung up", parts.read_error);
    }
    parts.text.append(parts.bytes.data(), parts.bytes.size() - parts.events.get().body().size);
    if (parts.events.is_done()) return parts.failed("hung up", {});
  }
}

void Events::stop() { ::shutdown(parts_->stream.socket().native_handle(), SHUT_RDWR); }

}  // namespace fw::docker
