// An HTTP/1.1 server on a Unix socket.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/services/http_server.hpp"

#include <chrono>
#include <memory>
#include <utility>

#include <boost/asio/buffer.hpp>
#include <boost/asio/write.hpp>

#include "fw/base/limits.hpp"
#include "fw/services/http_answers.hpp"

namespace fw::services {
namespace {

namespace asio = boost::asio;
using Local = asio::local::stream_protocol;
using ErrorOf = boost::system::error_code;

constexpr std::size_t kInputFirst = 2048;  // bytes: a proxy's question takes 200
constexpr std::size_t kInputMax = kServiceHeadMax + kServiceBodyMax;
constexpr std::size_t kDrainMax = 2u << 20;  // bytes behind what is rejected

/// Appends the answer to what is no request, or to one that is too long.
void reject(const ReadHead& head, std::string& out) {
  constexpr std::string_view kClose = "Connection: close\r\n";
  if (head.reading == Reading::partial) {
    append_response(out, "431 Request Header Fields Too Large",
                    "a request has at most 16 KiB: pass on fewer headers", kClose);
  } else if (head.reading == Reading::unsupported) {
    append_response(out, "501 Not Implemented", "a body needs Content-Length", kClose);
  } else if (head.reading == Reading::whole) {
    append_response(out, "413 Content Too Large", "a body has at most 4 KiB", kClose);
  } else {
    append_response(out, "400 Bad Request", "this is no request of HTTP/1.1", kClose);
  }
}

}  // namespace

/// One client: answers all requests that have arrived, then reads again.
class HttpServer::Client final : public ClientSession {
 public:
  Client(HttpServer& server, Local::socket socket)
      : ClientSession(socket.get_executor()), server_(server), socket_(std::move(socket)) {
    input_.resize(kInputFirst);
  }

  void read() override {
    if (!again_) {
      again_ = [weak = weak_from_this()] {
        if (const auto self = weak.lock()) static_cast<Client&>(*self).resume();
      };
    }
    if (used_ == input_.size()) input_.resize(std::min(input_.size() * 2, kInputMax));
    socket_.async_read_some(
        asio::buffer(input_.data() + used_, input_.size() - used_),
        [self = held()](const ErrorOf& error, std::size_t size) { self->take(error, size); });
  }
  bool busy() const override { return waits_ || !output_.empty(); }

 private:
  std::shared_ptr<Client> held() { return std::static_pointer_cast<Client>(shared_from_this()); }
  void close_socket() override {
    ErrorOf ignored;
    socket_.close(ignored);
  }

  void take(const ErrorOf& error, std::size_t size) {
    if (closed()) return;
    if (error) return close();
    used_ += size;
    go_on();
  }

  void resume() {
    if (closed() || !std::exchange(waits_, false)) return;
    go_on();
  }

  void go_on() {
    const bool last = !answer_all();
    if (waits_) return;  // what is answered already goes with the rest
    if (output_.empty()) return last ? close() : read();
    write(last);
  }

  /// False when the connection ends after what was answered.
  bool answer_all() {
    std::string_view rest(input_.data(), used_);
    bool goes_on = true;
    while (goes_on && !rest.empty()) {
      const ReadHead head = read_head(rest.substr(0, kServiceHeadMax));
      const bool waits = head.reading == Reading::partial && rest.size() < kServiceHeadMax;
      const bool fits = head.reading == Reading::whole && head.request.body_size <= kServiceBodyMax;
      if (waits || (fits && rest.size() < head.size + head.request.body_size)) break;
      heard();
      if (!fits) {
        reject(head, output_);
        rejected_ = true;
        goes_on = false;
        break;
      }
      waits_ = server_.respond_(head.request, rest.substr(head.size, head.request.body_size),
                                output_, again_) == Responded::later;
      if (waits_) break;
      rest.remove_prefix(head.size + head.request.body_size);
      goes_on = head.request.keep_alive;
    }
    used_ = rest.size();
    std::char_traits<char>::move(input_.data(), rest.data(), rest.size());
    return goes_on;
  }

  /// At once where the socket has room, as it has but for a client that does not read.
  void write(bool last) {
    ErrorOf error;
    const std::size_t sent = socket_.write_some(asio::buffer(output_), error);
    if (error && error != asio::error::would_block) return close();
    if (!error && sent == output_.size()) return written(last);
    asio::async_write(socket_, asio::buffer(output_.data() + sent, output_.size() - sent),
                      [self = held(), last](const ErrorOf& failed, std::size_t) {
                        if (self->closed()) return;
                        if (failed) return self->close();
                        self->written(last);
                      });
  }

  void written(bool last) {
    output_.clear();
    if (!last) return read();
    if (!rejected_) return close();
    // Who still sends would be told of a broken connection and not of the answer; a proxy that
    // takes that for a dead service lets the request pass.
    ErrorOf ignored;
    socket_.shutdown(Local::socket::shutdown_send, ignored);
    drain(kDrainMax);
  }

  /// Reads what is still sent, at most so many bytes; then closes.
  void drain(std::size_t left) {
    socket_.async_read_some(asio::buffer(input_),
                            [self = held(), left](const ErrorOf& error, std::size_t size) {
                              if (self->closed()) return;
                              if (error || size >= left) return self->close();
                              self->drain(left - size);
                            });
  }

  HttpServer& server_;
  Local::socket socket_;
  std::string input_;
  std::size_t used_ = 0;  ///< of input_
  std::string output_;
  Again again_;
  bool waits_ = false;     ///< for a response; nothing is read meanwhile
  bool rejected_ = false;  ///< what came last is no request
};

HttpServer::HttpServer(asio::io_context& io, Respond respond)
    : respond_(std::move(respond)),
      listener_(io, [this](Local::socket socket) { admit(std::move(socket)); }),
      silence_(io, std::chrono::seconds{1}, [this] {
        sessions_.close_silent_since(std::chrono::steady_clock::now() - kServicePatience);
      }) {}

Result<void> HttpServer::listen(const std::string& path) {
  auto listens = listener_.listen(path);
  if (listens) silence_.start();
  return listens;
}

void HttpServer::admit(Local::socket socket) {
  ErrorOf error;
  socket.non_blocking(true, error);
  if (error || !sessions_.make_room(kServiceClientsMax)) return;
  sessions_.begin(std::make_shared<Client>(*this, std::move(socket)));
}

}  // namespace fw::services
