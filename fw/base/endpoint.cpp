// An address and a port as text.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/base/endpoint.hpp"

#include <charconv>

#include <fmt/format.h>

#include "fw/base/suggest.hpp"

namespace fw {
namespace {

std::unexpected<Error> refuse(std::string_view text) {
  return fail(ErrorCode::usage,
              fmt::format("{} is not an address with a port; write \"127.0.0.1:9477\" or "
                          "\"[::1]:9477\"",
                          quote(text)));
}

}  // namespace

Result<Endpoint> parse_endpoint(std::string_view text) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return refuse(text);
  std::string_view address = text.substr(0, colon);
  const std::string_view digits = text.substr(colon + 1);
  const bool bracketed = address.size() > 2 && address.front() == '[' && address.back() == ']';
  if (bracketed) address = address.substr(1, address.size() - 2);
  const bool is_ipv6 = address.find(':') != std::string_view::npos;
  const auto ip = parse_ip(address);
  if (!ip || is_ipv6 != bracketed) return refuse(text);
  Endpoint out{*ip, 0};
  const char* const end = digits.data() + digits.size();
  const auto [stop, error] = std::from_chars(digits.data(), end, out.port);
  if (error != std::errc{} || stop != end || out.port == 0) return refuse(text);
  return out;
}

std::string to_string(const Endpoint& endpoint) {
  const std::string ip = to_string(endpoint.ip);
  return endpoint.ip.family == Family::ipv4 ? fmt::format("{}:{}", ip, endpoint.port)
                                            : fmt::format("[{}]:{}", ip, endpoint.port);
}

bool is_loopback(Ip ip) { return ip.family == Family::ipv4 ? ip.bits >> 24 == 127 : ip.bits == 1; }

}  // namespace fw
