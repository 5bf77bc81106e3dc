// Addresses, networks and ranges, to and from text.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/base/address.hpp"

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstring>
#include <optional>
#include <utility>

#include <arpa/inet.h>
#include <fmt/format.h>

#include "fw/base/digit.hpp"
#include "fw/base/suggest.hpp"

namespace fw {
namespace {

constexpr U128 kMappedFirst = U128{0xffff} << 32;  // ::ffff:0.0.0.0
constexpr int kMappedBits = 96;                    // prefix length of ::ffff:0:0/96

/// Four decimal numbers, no leading zeros: some programs read those as octal.
std::optional<std::uint32_t> read_ipv4(std::string_view text) {
  std::uint32_t bits = 0;
  std::size_t at = 0;
  for (int part = 0; part < 4; ++part) {
    if (part > 0 && (at == text.size() || text[at++] != '.')) return {};
    const std::size_t begin = at;
    std::uint32_t number = 0;
    while (at < text.size() && at - begin < 4 && is_digit(text[at]))
      number = number * 10 + static_cast<std::uint32_t>(text[at++] - '0');
    if (at == begin || number > 255 || (at - begin > 1 && text[begin] == '0')) return {};
    bits = bits << 8 | number;
  }
  if (at != text.size()) return {};
  return bits;
}

std::optional<U128> read_ipv6(std::string_view text) {
  std::array<char, INET6_ADDRSTRLEN> terminated{};
  if (text.size() >= terminated.size() || text.find('\0') != text.npos) return {};
  std::memcpy(terminated.data(), text.data(), text.size());
  std::array<std::uint8_t, 16> bytes{};
  if (inet_pton(AF_INET6, terminated.data(), bytes.data()) != 1) return {};
  return ip_from_bytes(Family::ipv6, bytes.data()).bits;
}

/// One address of the family that it is written in.
std::optional<Ip> read_as_written(std::string_view text) {
  if (const auto ipv4 = read_ipv4(text)) return Ip{Family::ipv4, *ipv4};
  if (text.find(':') == text.npos) return {};
  if (const auto ipv6 = read_ipv6(text)) return Ip{Family::ipv6, *ipv6};
  return {};
}

bool mapped(Ip ip) { return ip.family == Family::ipv6 && ip.bits >> 32 == 0xffff; }

Ip unmapped(Ip ip) { return mapped(ip) ? Ip{Family::ipv4, ip.bits - kMappedFirst} : ip; }

bool zero_padded(std::string_view text) {
  for (std::size_t i = 0; i + 1 < text.size(); ++i) {
    if (text[i] == '0' && is_digit(text[i + 1]) && (i == 0 || text[i - 1] == '.')) return true;
  }
  return false;
}

std::unexpected<Error> refuse(std::string_view text, const std::string& why) {
  return fail(ErrorCode::usage, fmt::format("{} {}", quote(text), why));
}

/// Why `part` of `text` is not an address.
std::unexpected<Error> refuse_address(std::string_view text, std::string_view part) {
  if (part.empty()) return refuse(text, "lacks an address; write e.g. \"203.0.113.7\"");
  if (part.find('%') != part.npos)
    return refuse(text, "has a scope (%): leave it out, rules apply to every interface");
  if (part.find(':') == part.npos && zero_padded(part))
    return refuse(text, "has a number with leading zeros: leave them out");
  if (part.front() == ' ' || part.back() == ' ')
    return refuse(text, "has spaces around an address: leave them out");
  const std::string which = part.size() == text.size() ? "is" : "has a part that is";
  return refuse(
      text, which + " not an IPv4 or IPv6 address; write e.g. \"203.0.113.7\" or \"2001:db8::1\"");
}

/// Bits below the prefix: 0 for a whole address.
constexpr U128 host_mask(Family family, int prefix) {
  const int host = address_bits(family) - prefix;
  return host == 128 ? ~U128{0} : (U128{1} << host) - 1;
}

Result<IpRange> parse_network(std::string_view text, std::size_t slash) {
  const auto address = read_as_written(text.substr(0, slash));
  if (!address) return refuse_address(text, text.substr(0, slash));
  const std::string_view digits = text.substr(slash + 1);
  const int bits = address_bits(address->family);
  if (digits.find('.') != digits.npos)
    return refuse(text, "needs a prefix length after the /, not a mask; write e.g. \"10.0.0.0/8\"");
  int prefix = digits.empty() || digits.size() > 3 ? bits + 1 : 0;
  for (const char c : digits)
    prefix = is_digit(c) ? std::min(prefix * 10 + (c - '0'), 999) : bits + 1;
  if (prefix > bits || (digits.size() > 1 && digits[0] == '0'))
    return refuse(text, fmt::format("needs a prefix length between 0 and {}", bits));
  if (mapped(*address)) {
    if (prefix < kMappedBits)
      return refuse(text, "is IPv4 written as IPv6: its prefix length is between 96 and 128");
    prefix -= kMappedBits;
  }
  const Ip ip = unmapped(*address);
  const U128 mask = host_mask(ip.family, prefix);
  if ((ip.bits & mask) != 0) {
    const IpRange meant{ip.family, ip.bits & ~mask, ip.bits | mask};
    return refuse(text, fmt::format("has bits set below its prefix length: write \"{}\" for the "
                                    "network or \"{}\" for the one address",
                                    to_string(meant), to_string(ip)));
  }
  return IpRange{ip.family, ip.bits, ip.bits | mask};
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
}

Result<IpRange> parse_span(std::string_view text, std::size_t dash) {
  std::array<Ip, 2> ends;
  const std::array<std::string_view, 2> parts{trimmed(text.substr(0, dash)),
                                              trimmed(text.substr(dash + 1))};
  for (std::size_t i = 0; i < 2; ++i) {
    const auto end = read_as_written(parts[i]);
    if (!end) return refuse_address(text, parts[i]);
    ends[i] = *end;
  }
  // Mapped addresses at both ends mean IPv4; at one end, the other is IPv6 proper or IPv4.
  auto [first, last] = ends;
  if (unmapped(first).family == unmapped(last).family) {
    first = unmapped(first);
    last = unmapped(last);
  }
  if (first.family != last.family)
    return refuse(text, "mixes IPv4 and IPv6: both ends must be of one family");
  if (first.bits > last.bits) {
    return refuse(text, fmt::format("is reversed: write \"{}\"",
                                    to_string(IpRange{first.family, last.bits, first.bits})));
  }
  return IpRange{first.family, first.bits, last.bits};
}

}  // namespace

std::vector<std::uint8_t> to_bytes(Ip ip) {
  const int count = address_bits(ip.family) / 8;
  std::vector<std::uint8_t> bytes(static_cast<std::size_t>(count));
  for (auto byte = bytes.rbegin(); byte != bytes.rend(); ++byte) {
    *byte = static_cast<std::uint8_t>(ip.bits & 0xff);
    ip.bits >>= 8;
  }
  return bytes;
}

Ip ip_from_bytes(Family family, const void* bytes) {
  const auto* byte = static_cast<const std::uint8_t*>(bytes);
  Ip ip{family, 0};
  for (int i = 0; i < address_bits(family) / 8; ++i) ip.bits = ip.bits << 8 | byte[i];
  return ip;
}

Result<Ip> parse_ip(std::string_view text) {
  const auto ip = read_as_written(text);
  if (!ip) return refuse_address(text, text);
  return unmapped(*ip);
}

Result<IpRange> parse_ip_range(std::string_view text) {
  // Lists have millions of lines: find_first_of() would cost more than all the rest.
  const auto separator = std::ranges::find_if(text, [](char c) { return c == '/' || c == '-'; });
  const auto at = static_cast<std::size_t>(separator - text.begin());
  if (at < text.size()) return *separator == '-' ? parse_span(text, at) : parse_network(text, at);
  const auto ip = read_as_written(text);
  if (!ip) return refuse_address(text, text);
  const Ip plain = unmapped(*ip);
  return IpRange{plain.family, plain.bits, plain.bits};
}

std::string to_string(Ip ip) {
  if (ip.family == Family::ipv4) {
    const auto part = [&ip](int shift) { return static_cast<unsigned>(ip.bits >> shift & 0xff); };
    return fmt::format("{}.{}.{}.{}", part(24), part(16), part(8), part(0));
  }
  std::array<char, INET6_ADDRSTRLEN> text{};
  return inet_ntop(AF_INET6, to_bytes(ip).data(), text.data(), text.size());
}

std::string to_string(const IpRange& range) {
  if (range.single()) return to_string(Ip{range.family, range.first});
  const U128 host = range.first ^ range.last;
  const bool network = (host & (host + 1)) == 0 && (range.first & host) == 0;
  if (!network) {
    return fmt::format("{}-{}", to_string(Ip{range.family, range.first}),
                       to_string(Ip{range.family, range.last}));
  }
  const int host_bits = std::popcount(static_cast<std::uint64_t>(host)) +
                        std::popcount(static_cast<std::uint64_t>(host >> 64));
  return fmt::format("{}/{}", to_string(Ip{range.family, range.first}),
                     address_bits(range.family) - host_bits);
}

std::vector<IpRange> merged(std::vector<IpRange> ranges) {
  std::sort(ranges.begin(), ranges.end());
  std::vector<IpRange> out;
  for (const IpRange& range : ranges) {
    const bool joins = !out.empty() && out.back().family == range.family &&
                       (range.first <= out.back().last || range.first - 1 == out.back().last);
    if (joins) {
      out.back().last = std::max(out.back().last, range.last);
    } else {
      out.push_back(range);
    }
  }
  return out;
}

std::vector<IpRange> prefixes(const IpRange& range) {
  std::vector<IpRange> out;
  for (U128 first = range.first;;) {
    // The largest block that begins here and ends within the range.
    U128 hosts = 0;
    for (U128 wider = 1;
         (first & wider) == 0 && first + wider <= range.last && hosts != address_max(range.family);
         wider = wider << 1 | 1) {
      hosts = wider;
    }
    out.push_back({range.family, first, first + hosts});
    if (first + hosts == range.last) return out;
    first += hosts + 1;
  }
}

}  // namespace fw
