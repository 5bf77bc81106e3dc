// What names, addresses and headers of a site may look like.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/plugins/tls/words.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <system_error>

#include <fmt/format.h>

#include "fw/base/address.hpp"
#include "fw/base/limits.hpp"

namespace fw::tls {
namespace {

constexpr std::string_view kLower = "abcdefghijklmnopqrstuvwxyz";
constexpr std::string_view kDigits = "0123456789";
constexpr std::size_t kDomainMax = 253;  // RFC 1035, 2.3.4
constexpr std::size_t kLabelMax = 63;

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

/// Are all letters, digits or among `more`?
bool only(std::string_view text, std::string_view more) {
  return std::ranges::all_of(
      text, [more](char c) { return is_letter(c) || is_digit(c) || more.contains(c); });
}

bool printable_ascii(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return c >= ' ' && c <= '~'; });
}

std::string length_complaint(std::string_view text, std::size_t most) {
  if (text.empty()) return "is empty";
  if (text.size() > most) return fmt::format("is longer than {} bytes", most);
  return {};
}

/// A port of a URL: "3000".
bool is_port(std::string_view text) {
  std::uint16_t number = 0;
  const auto [end, wrong] = std::from_chars(text.data(), text.data() + text.size(), number);
  return wrong == std::errc{} && end == text.data() + text.size() && number != 0;
}

/// "127.0.0.1:3000", "[::1]", "app.internal"
bool is_authority(std::string_view text) {
  if (text.starts_with('[')) {
    const std::size_t end = text.find(']');
    if (end == std::string_view::npos) return false;
    const std::string_view address = text.substr(1, end - 1);
    const std::string_view rest = text.substr(end + 1);
    const auto ip = parse_ip(address);
    return ip && ip->family == Family::ipv6 &&
           (rest.empty() || (rest.starts_with(':') && is_port(rest.substr(1))));
  }
  const std::size_t colon = text.find(':');
  const std::string_view host = text.substr(0, colon);
  return !host.empty() && host.size() <= kDomainMax && only(host, ".-") && host.front() != '-' &&
         (colon == std::string_view::npos || is_port(text.substr(colon + 1)));
}

}  // namespace

std::string site_name_complaint(std::string_view text) {
  if (std::string why = length_complaint(text, kDomainMax); !why.empty()) return why;
  if (!printable_ascii(text))
    return "has characters beyond ASCII; write its xn-- form, which `idn2` prints";
  std::string_view rest = text.starts_with("*.") ? text.substr(2) : text;
  if (std::ranges::any_of(rest, [](char c) { return c >= 'A' && c <= 'Z'; }))
    return "has upper-case letters; write it in lower case";
  for (bool more = true; more;) {
    const std::size_t dot = rest.find('.');
    const std::string_view label = rest.substr(0, dot);
    const bool fits = !label.empty() && label.size() <= kLabelMax && label.front() != '-' &&
                      label.back() != '-' && std::ranges::all_of(label, [](char c) {
                        return kLower.contains(c) || kDigits.contains(c) || c == '-';
                      });
    if (!fits) return "is not a domain name; use e.g. \"wiki.example.org\" or \"*.example.org\"";
    more = dot != std::string_view::npos;
    if (more) rest = rest.substr(dot + 1);
  }
  return {};
}

std::string upstream_complaint(std::string_view text) {
  if (std::string why = length_complaint(text, kSiteTextMax); !why.empty()) return why;
  std::string_view rest = text;
  for (const std::string_view scheme : {"http://", "https://"}) {
    if (!text.starts_with(scheme)) continue;
    rest = text.substr(scheme.size());
    if (rest.starts_with("unix:/") && only(rest.substr(5), "/._-")) return {};
    if (is_authority(rest)) return {};
  }
  return "is not the address of a server; use e.g. \"http://127.0.0.1:3000\", without a path";
}

std::string route_complaint(std::string_view text) {
  if (std::string why = length_complaint(text, kSiteTextMax); !why.empty()) return why;
  if (text.front() != '/' || !only(text, "/._~!&'()*+,;=:@-") || text.contains("//") ||
      text.contains("/.")) {
    return "is not a path; use e.g. \"/login\", as it is after decoding, without a query";
  }
  return {};
}

std::string header_value_complaint(std::string_view text) {
  if (std::string why = length_complaint(text, kHeaderValueMax); !why.empty()) return why;
  if (!printable_ascii(text)) return "has characters that a header cannot hold";
  if (text.contains('$')) return "has a \"$\", which nginx would take for a variable";
  return {};
}

std::string header_complaint(std::string_view text) {
  const std::size_t colon = text.find(':');
  const std::string_view name = text.substr(0, colon);
  if (colon == std::string_view::npos || name.empty() || name.size() > kDomainMax ||
      !only(name, "-_"))
    return "is not a header; use e.g. \"X-Robots-Tag: noindex\"";
  std::string_view value = text.substr(colon + 1);
  while (value.starts_with(' ')) value.remove_prefix(1);
  return header_value_complaint(value);
}

std::string referrer_policy_complaint(std::string_view text) {
  constexpr std::array<std::string_view, 8> kPolicies = {
      "no-referrer", "no-referrer-when-downgrade",
      "origin",      "origin-when-cross-origin",
      "same-origin", "strict-origin",
      "unsafe-url",  "strict-origin-when-cross-origin"};
  if (std::ranges::find(kPolicies, text) != kPolicies.end()) return {};
  return "is not a referrer policy; use e.g. \"no-referrer-when-downgrade\" or \"same-origin\"";
}

std::string path_complaint(std::string_view text) {
  if (std::string why = length_complaint(text, kSiteTextMax); !why.empty()) return why;
  if (text.front() != '/') return "is not absolute; begin it with \"/\"";
  if (!printable_ascii(text) || text.contains('$'))
    return "has a \"$\" or a character beyond printable ASCII; rename the file";
  return {};
}

std::string program_complaint(std::string_view text) {
  if (std::string why = path_complaint(text); !why.empty()) return why;
  return only(text, "/._+-") ? "" : "is run by a shell; use letters, digits and \"/._+-\" only";
}

std::string mail_complaint(std::string_view text) {
  const std::size_t at = text.find('@');
  if (at == 0 || at == std::string_view::npos || at > 64 || text.front() == '-' ||
      !only(text.substr(0, at), ".!#%&'*+-/=?^_`{|}~") ||
      !site_name_complaint(text.substr(at + 1)).empty())
    return "is not a mail address; use e.g. \"admin@example.org\"";
  return {};
}

std::string acme_server_complaint(std::string_view text) {
  if (std::string why = length_complaint(text, kSiteTextMax); !why.empty()) return why;
  constexpr std::string_view kScheme = "https://";
  if (text.starts_with(kScheme)) {
    const std::string_view rest = text.substr(kScheme.size());
    const std::size_t slash = rest.find('/');
    const std::string_view path = slash == std::string_view::npos ? "" : rest.substr(slash);
    if (is_authority(rest.substr(0, slash)) && only(path, "/._~-")) return {};
  }
  return "is not the directory of an ACME server; use e.g. "
         "\"https://acme-v02.api.letsencrypt.org/directory\"";
}

std::string command_word_complaint(std::string_view text) {
  if (text.size() > kSiteTextMax) return fmt::format("is longer than {} bytes", kSiteTextMax);
  if (std::ranges::any_of(text, [](char c) { return static_cast<unsigned char>(c) < ' '; }))
    return "has a control character";
  return {};
}

}  // namespace fw::tls
