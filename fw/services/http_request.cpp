// Reads the head of an HTTP/1.1 request.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/services/http_request.hpp"

#include <algorithm>
#include <charconv>
#include <cstring>

#include "fw/base/limits.hpp"

namespace fw::services {
namespace {

/// tchar of RFC 9110.
constexpr bool is_token_byte(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
}

bool is_token(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, is_token_byte);
}

constexpr bool is_value_byte(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte == '\t' || (byte >= 0x20 && byte != 0x7f);
}

constexpr char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

/// `low` is in lower case.
bool is_word(std::string_view text, std::string_view low) {
  return text.size() == low.size() &&
         std::ranges::equal(text, low, [](char a, char b) { return lower(a) == b; });
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

/// "GET /path?query HTTP/1.1"
bool read_request_line(std::string_view line, HttpRequest& out) {
  const std::size_t first = line.find(' ');
  const std::size_t last = line.rfind(' ');
  if (first == line.npos || last == first) return false;
  const std::string_view method = line.substr(0, first);
  const std::string_view target = line.substr(first + 1, last - first - 1);
  const std::string_view version = line.substr(last + 1);
  if (version != "HTTP/1.1" && version != "HTTP/1.0") return false;
  out.keep_alive = version == "HTTP/1.1";
  if (!is_token(method) || target.empty() || target.front() != '/') return false;
  const auto visible = [](char c) { return c > 0x20 && c < 0x7f; };
  if (!std::ranges::all_of(target, visible)) return false;
  if (method == "GET") out.method = Method::get;
  if (method == "POST") out.method = Method::post;
  const std::size_t query = target.find('?');
  out.path = target.substr(0, query);
  if (query != target.npos) out.query = target.substr(query + 1);
  return true;
}

/// Which headers there have been, to find those that come twice.
enum Seen : unsigned {
  kClient = 1,
  kAccount = 2,
  kSite = 4,
  kToken = 8,
  kLength = 16,
  kEncoding = 32,
  kPeer = 64
};

bool once(unsigned& seen, Seen header) {
  const bool first = (seen & header) == 0;
  seen |= header;
  return first;
}

bool read_length(std::string_view value, std::size_t& out) {
  if (value.empty() || value.size() > 9) return false;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), out);
  return error == std::errc() && end == value.data() + value.size();
}

bool read_connection(std::string_view value, bool& keep_alive) {
  while (!value.empty()) {
    const std::size_t comma = std::min(value.find(','), value.size());
    const std::string_view word = trimmed(value.substr(0, comma));
    if (is_word(word, "close")) keep_alive = false;
    if (is_word(word, "keep-alive")) keep_alive = true;
    value.remove_prefix(std::min(comma + 1, value.size()));
  }
  return true;
}

/// By its length first: most headers of a browser that a proxy passes on end there.
bool read_header(std::string_view name, std::string_view value, unsigned& seen, HttpRequest& out) {
  const auto text = [&](Seen header, std::string_view& member) {
    member = value;
    return once(seen, header);
  };
  switch (name.size()) {
    case 6:
      if (is_word(name, "x-site")) return text(kSite, out.site);
      return !is_word(name, "x-peer") || text(kPeer, out.peer);
    case 8:
      return !is_word(name, "x-client") || text(kClient, out.client);
    case 9:
      return !is_word(name, "x-account") || text(kAccount, out.account);
    case 10:
      return !is_word(name, "connection") || read_connection(value, out.keep_alive);
    case 13: {
      if (!is_word(name, "authorization")) return true;
      const std::size_t space = std::min(value.find(' '), value.size());
      if (is_word(value.substr(0, space), "bearer")) out.token = trimmed(value.substr(space));
      return once(seen, kToken);
    }
    case 14:
      return !is_word(name, "content-length") ||
             (once(seen, kLength) && read_length(value, out.body_size));
    case 17:
      if (is_word(name, "transfer-encoding")) seen |= kEncoding;
      return true;
    default:
      return true;
  }
}

/// "Name: value"
bool read_header_line(std::string_view line, unsigned& seen, HttpRequest& out) {
  const std::size_t colon = line.find(':');
  if (colon == line.npos || !is_token(line.substr(0, colon))) return false;
  const std::string_view value = line.substr(colon + 1);
  if (!std::ranges::all_of(value, is_value_byte)) return false;
  return read_header(line.substr(0, colon), trimmed(value), seen, out);
}

}  // namespace

ReadHead read_head(std::string_view bytes) {
  ReadHead out;
  const std::size_t end = bytes.find("\r\n\r\n");
  if (end == bytes.npos) return out;
  out.size = end + 4;
  std::string_view rest = bytes.substr(0, end + 2);
  const auto next_line = [&rest] {
    const std::size_t size = rest.find("\r\n");
    const std::string_view line = rest.substr(0, size);
    rest.remove_prefix(size + 2);
    return line;
  };
  out.reading = Reading::malformed;
  if (!read_request_line(next_line(), out.request)) return out;
  unsigned seen = 0;
  while (!rest.empty()) {
    if (!read_header_line(next_line(), seen, out.request)) return out;
  }
  out.reading = (seen & kEncoding) != 0 ? Reading::unsupported : Reading::whole;
  return out;
}

}  // namespace fw::services
