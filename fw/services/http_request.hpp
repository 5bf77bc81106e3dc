// Reads the head of an HTTP/1.1 request: what a question to the limiter needs, and no more.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace fw::services {

enum class Method : std::uint8_t { get, post, other };

/// The parts of a request. Texts lie in the bytes that were read.
struct HttpRequest {
  Method method = Method::other;
  std::string_view path;      ///< begins with "/"
  std::string_view query;     ///< behind "?"; "" without
  std::string_view client;    ///< X-Client
  std::string_view peer;      ///< X-Peer
  std::string_view account;   ///< X-Account
  std::string_view site;      ///< X-Site
  std::string_view token;     ///< Authorization: Bearer ...
  std::size_t body_size = 0;  ///< Content-Length
  bool keep_alive = true;
};

enum class Reading : std::uint8_t {
  whole,        ///< the head is complete
  partial,      ///< more bytes are needed
  malformed,    ///< no request of HTTP/1.1, or an ambiguous one
  unsupported,  ///< a body that is not told its length
};

struct ReadHead {
  Reading reading = Reading::partial;
  HttpRequest request{};
  std::size_t size = 0;  ///< bytes of the head, with its empty line
};

/// Strict, for what two readers understand differently is how requests are smuggled: lines end in
/// CRLF, no header is continued, and those above and Content-Length come once at most. Source:
/// RFC 9112.
ReadHead read_head(std::string_view bytes);

}  // namespace fw::services
