// The names of hosts that an audit is asked for, and their addresses.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/plugins/tls/audit/host.hpp"

#include <algorithm>
#include <charconv>
#include <memory>

#include <fmt/format.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "fw/base/suggest.hpp"

namespace fw::tls {
namespace {

constexpr std::size_t kNameMax = 253;  // RFC 1035, 2.3.4
constexpr std::size_t kLabelMax = 63;

bool is_name(std::string_view text) {
  if (text.ends_with('.')) text.remove_suffix(1);
  if (text.empty() || text.size() > kNameMax) return false;
  std::size_t length = 0;
  char before = '.';
  for (const char c : text) {
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                        (c >= '0' && c <= '9') || c == '-' || c == '_';
    if (!letter && c != '.') return false;
    if (c == '.' && before == '.') return false;
    length = c == '.' ? 0 : length + 1;
    if (length > kLabelMax) return false;
    before = c;
  }
  return before != '.';
}

std::unexpected<Error> not_a_host(std::string_view text) {
  return fail(ErrorCode::usage, fmt::format("{} is no name or address of a host, with or without a "
                                            "port; write other letters than ASCII as xn--...",
                                            quote(text)));
}

}  // namespace

Result<HostName> parse_host(std::string_view text) {
  if (const auto ip = parse_ip(text)) return HostName{to_string(*ip), 0};
  if (text.starts_with('[') && text.ends_with(']')) {
    const auto ip = parse_ip(text.substr(1, text.size() - 2));
    if (ip && ip->family == Family::ipv6) return HostName{to_string(*ip), 0};
  }
  HostName host;
  const auto colon = text.rfind(':');
  std::string_view name = text.substr(0, colon);
  if (colon != std::string_view::npos) {
    const std::string_view digits = text.substr(colon + 1);
    const auto [end, bad] =
        std::from_chars(digits.data(), digits.data() + digits.size(), host.port);
    if (bad != std::errc() || end != digits.data() + digits.size() || host.port == 0)
      return not_a_host(text);
  }
  if (name.starts_with('[') && name.ends_with(']')) name = name.substr(1, name.size() - 2);
  if (const auto ip = parse_ip(name)) {
    host.name = to_string(*ip);
    return host;
  }
  if (!is_name(name)) return not_a_host(text);
  host.name = name;
  if (host.name.ends_with('.')) host.name.pop_back();
  for (char& c : host.name)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return host;
}

std::uint16_t default_port(Starttls protocol) {
  switch (protocol) {
    case Starttls::none:
      return 443;
    case Starttls::smtp:
      return 25;
    case Starttls::lmtp:
      return 24;
    case Starttls::imap:
      return 143;
    case Starttls::pop3:
      return 110;
    case Starttls::sieve:
      return 4190;
  }
  return 443;
}

Result<std::vector<Ip>> resolve(const std::string& name) {
  if (const auto ip = parse_ip(name)) return std::vector{*ip};
  ::addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  ::addrinfo* found = nullptr;
  if (const int bad = ::getaddrinfo(name.c_str(), nullptr, &hints, &found); bad != 0) {
    return fail(ErrorCode::io,
                fmt::format("no address of {}: {}", quote(name), ::gai_strerror(bad)));
  }
  const std::unique_ptr<::addrinfo, decltype(&::freeaddrinfo)> owned(found, &::freeaddrinfo);
  std::vector<Ip> addresses;
  for (const Family family : {Family::ipv6, Family::ipv4}) {
    const int wanted = family == Family::ipv4 ? AF_INET : AF_INET6;
    for (const ::addrinfo* one = found; one != nullptr; one = one->ai_next) {
      if (one->ai_family != wanted) continue;
      const void* const bytes =
          family == Family::ipv4
              ? static_cast<const void*>(
                    &reinterpret_cast<const ::sockaddr_in*>(one->ai_addr)->sin_addr)
              : &reinterpret_cast<const ::sockaddr_in6*>(one->ai_addr)->sin6_addr;
      addresses.push_back(ip_from_bytes(family, bytes));
      break;
    }
  }
  return addresses;
}

}  // namespace fw::tls
