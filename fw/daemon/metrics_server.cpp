// The HTTP server of the metrics.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/daemon/metrics_server.hpp"

#include <algorithm>
#include <optional>
#include <string_view>
#include <utility>

#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>
#include <fmt/format.h>

#include "fw/base/limits.hpp"

namespace fw {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using Tcp = asio::ip::tcp;
using ErrorOf = boost::system::error_code;
using Response = http::response<http::string_body>;

constexpr const char* kText = "text/plain; charset=utf-8";
constexpr const char* kExposition = "text/plain; version=0.0.4; charset=utf-8";

Tcp::endpoint to_asio(const Endpoint& at) {
  if (at.ip.family == Family::ipv4) {
    return {asio::ip::make_address_v4(static_cast<std::uint32_t>(at.ip.bits)), at.port};
  }
  asio::ip::address_v6::bytes_type bytes{};
  std::ranges::copy(to_bytes(at.ip), bytes.begin());
  return {asio::ip::make_address_v6(bytes), at.port};
}

Response response(http::status status, std::string text) {
  Response out(status, 11);
  out.set(http::field::content_type, kText);
  out.body() = std::move(text);
  return out;
}

}  // namespace

/// One client: reads a request, writes the answer, and so on.
class MetricsServer::Client final : public ClientSession {
 public:
  Client(MetricsServer& server, Tcp::socket socket)
      : ClientSession(socket.get_executor()), server_(server), socket_(std::move(socket)) {}

  void read() override {
    parser_.emplace();
    parser_->header_limit(kMetricsHeaderMax);
    wait_at_most(kMetricsPatience);
    http::async_read(socket_, input_, *parser_,
                     [self = held()](const ErrorOf& error, std::size_t) { self->handle(error); });
  }

 private:
  std::shared_ptr<Client> held() { return std::static_pointer_cast<Client>(shared_from_this()); }
  void close_socket() override {
    ErrorOf ignored;
    socket_.close(ignored);
  }

  void handle(const ErrorOf& error) {
    if (closed()) return;
    // The client learns what the parser rejected; a connection that ended is just
    // over.
    const ErrorOf end = http::error::end_of_stream;
    const bool garbage = error && error != end && error.category() == end.category();
    if (error && !garbage) return close();
    heard();
    Response out = garbage ? response(http::status::bad_request, "a request must be GET /metrics\n")
                           : answer(parser_->get());
    out.keep_alive(!garbage && parser_->get().keep_alive());
    write(std::move(out));
  }

  Response answer(const http::request<http::empty_body>& request) {
    const std::string_view target(request.target().data(), request.target().size());
    if (target.substr(0, target.find('?')) != "/metrics") {
      return response(http::status::not_found, "only /metrics exists\n");
    }
    if (request.method() != http::verb::get) {
      Response out = response(http::status::method_not_allowed, "only GET is supported\n");
      out.set(http::field::allow, "GET");
      return out;
    }
    const Result<std::string>& text = server_.fresh();
    if (!text) return response(http::status::service_unavailable, to_string(text.error()) + "\n");
    Response out = response(http::status::ok, *text);
    out.set(http::field::content_type, kExposition);
    return out;
  }

  void write(Response out) {
    output_ = std::move(out);
    output_.prepare_payload();
    wait_at_most(kMetricsPatience);
    http::async_write(socket_, output_, [self = held()](const ErrorOf& error, std::size_t) {
      const bool last = !self->output_.keep_alive();
      self->output_ = {};
      if (error || last) return self->close();
      self->read();
    });
  }

  MetricsServer& server_;
  Tcp::socket socket_;
  beast::flat_buffer input_{kMetricsHeaderMax};
  std::optional<http::request_parser<http::empty_body>> parser_;
  Response output_;
};

MetricsServer::MetricsServer(asio::io_context& io, Text text)
    : make_text_(std::move(text)), acceptor_(io) {}

MetricsServer::~MetricsServer() = default;

Result<void> MetricsServer::listen(const Endpoint& at) {
  const Tcp::endpoint endpoint = to_asio(at);
  ErrorOf error;
  acceptor_.open(endpoint.protocol(), error);
  if (!error) acceptor_.set_option(Tcp::acceptor::reuse_address(true), error);
  if (!error) acceptor_.bind(endpoint, error);
  if (!error) acceptor_.listen(asio::socket_base::max_listen_connections, error);
  if (error) return fail_errno(ErrorCode::io, "cannot listen on " + to_string(at), error.value());
  accept();
  return {};
}

void MetricsServer::accept() {
  const std::weak_ptr alive = alive_;
  acceptor_.async_accept([this, alive](const ErrorOf& error, Tcp::socket socket) {
    if (error == asio::error::operation_aborted || alive.expired()) return;
    if (!error) admit(std::move(socket));
    accept();
  });
}

void MetricsServer::admit(Tcp::socket socket) {
  sessions_.make_room(kMetricsClientsMax);
  sessions_.begin(std::make_shared<Client>(*this, std::move(socket)));
}

const Result<std::string>& MetricsServer::fresh() {
  const auto now = std::chrono::steady_clock::now();
  if (!made_ || now - *made_ >= kMetricsFresh) {
    text_ = make_text_();
    made_ = now;
  }
  return text_;
}

}  // namespace fw
