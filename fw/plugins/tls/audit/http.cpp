// The head of an answer of HTTP, and what it promises to browsers.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/plugins/tls/audit/http.hpp"

#include <algorithm>
#include <charconv>
#include <cstdint>

#include <fmt/format.h>

#include "fw/base/limits.hpp"

namespace fw::tls {
namespace {

std::string lowered(std::string_view text) {
  std::string low(text);
  for (char& c : low)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return low;
}

std::string_view trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(" \t\r");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\r") - first + 1);
}

/// Takes what is before `end`, and `end`.
std::string_view take_until(std::string_view& text, char end) {
  const auto at = text.find(end);
  const std::string_view taken = text.substr(0, at);
  text.remove_prefix(at == std::string_view::npos ? text.size() : at + 1);
  return taken;
}

std::size_t head_size(std::string_view bytes) {
  const auto plain = bytes.find("\n\n");
  const auto proper = bytes.find("\n\r\n");
  return std::min(plain, proper);
}

/// Values that allow less than the one that is promised.
struct Stricter {
  std::string_view name;
  std::string_view value;
};
constexpr Stricter kStricter[] = {
    {"x-frame-options", "deny"},
    {"x-xss-protection", "0"},  // browsers that still had such a filter could be misled by it
    {"x-permitted-cross-domain-policies", "none-this-response"},
    {"referrer-policy", "no-referrer"},
    {"referrer-policy", "same-origin"},
    {"referrer-policy", "strict-origin"},
    {"referrer-policy", "strict-origin-when-cross-origin"},
};

bool is_stricter(const std::string& name, const std::string& value) {
  return std::ranges::any_of(
      kStricter, [&](const Stricter& one) { return one.name == name && one.value == value; });
}

}  // namespace

const std::string* HttpHead::find(std::string_view name) const {
  const auto found = std::ranges::find(headers, name, &std::pair<std::string, std::string>::first);
  return found == headers.end() ? nullptr : &found->second;
}

std::string http_request(std::string_view host) {
  return fmt::format(
      "GET / HTTP/1.1\r\nHost: {}\r\nUser-Agent: cloudron-fw\r\nAccept: */*\r\n"
      "Connection: close\r\n\r\n",
      host);
}

bool has_head(std::string_view bytes) { return head_size(bytes) != std::string_view::npos; }

std::optional<HttpHead> parse_head(std::string_view bytes) {
  const std::size_t size = head_size(bytes);
  if (size == std::string_view::npos || !bytes.starts_with("HTTP/1.")) return std::nullopt;
  std::string_view text = bytes.substr(0, size + 1);
  HttpHead head;
  std::string_view status = take_until(text, '\n');
  take_until(status, ' ');
  status = status.substr(0, 3);
  const auto [end, bad] =
      std::from_chars(status.data(), status.data() + status.size(), head.status);
  if (bad != std::errc() || end != status.data() + status.size() || head.status < 100)
    return std::nullopt;
  while (!text.empty() && head.headers.size() < kHttpHeadersMax) {
    std::string_view line = take_until(text, '\n');
    if (line.find(':') == std::string_view::npos) continue;
    const std::string_view name = take_until(line, ':');
    head.headers.emplace_back(lowered(name), trimmed(line));
  }
  return head;
}

Hsts hsts_of(const std::string* header) {
  if (header == nullptr) return Hsts::absent;
  std::string_view text = *header;
  while (!text.empty()) {
    std::string_view value = trimmed(take_until(text, ';'));
    const std::string name = lowered(trimmed(take_until(value, '=')));
    if (name != "max-age") continue;
    value = trimmed(value);
    if (value.size() >= 2 && value.front() == '"' && value.back() == '"')
      value = value.substr(1, value.size() - 2);
    std::uint64_t seconds = 0;
    const auto [end, bad] = std::from_chars(value.data(), value.data() + value.size(), seconds);
    if (value.empty() || end != value.data() + value.size() || bad == std::errc::invalid_argument)
      return Hsts::invalid;
    if (bad == std::errc::result_out_of_range) return Hsts::long_enough;
    if (seconds == 0) return Hsts::zero;
    return seconds < static_cast<std::uint64_t>(kHstsMin.count()) ? Hsts::too_short
                                                                  : Hsts::long_enough;
  }
  return Hsts::invalid;
}

std::vector<HeaderFlaw> header_flaws(const HttpHead& head, const std::vector<Header>& wanted) {
  std::vector<HeaderFlaw> flaws;
  for (const auto& [name, value] : wanted) {
    const std::string* const found = head.find(lowered(name));
    if (found != nullptr &&
        (lowered(*found) == lowered(value) || is_stricter(lowered(name), lowered(*found))))
      continue;
    flaws.push_back({name, found != nullptr ? *found : "", value});
  }
  return flaws;
}

std::vector<CookieFlaw> cookie_flaws(const HttpHead& head) {
  std::vector<CookieFlaw> flaws;
  for (const auto& [name, value] : head.headers) {
    if (name != "set-cookie") continue;
    std::string_view text = value;
    std::string_view cookie = take_until(text, ';');
    bool secure = false;
    bool http_only = false;
    bool same_site = false;
    while (!text.empty()) {
      std::string_view attribute = take_until(text, ';');
      const std::string word = lowered(trimmed(take_until(attribute, '=')));
      secure |= word == "secure";
      http_only |= word == "httponly";
      same_site |= word == "samesite";
    }
    std::string missing;
    const auto lacks = [&missing](bool there, const char* flag) {
      if (!there) missing += (missing.empty() ? "" : ", ") + std::string(flag);
    };
    lacks(secure, "Secure");
    lacks(http_only, "HttpOnly");
    lacks(same_site, "SameSite");
    if (!missing.empty()) flaws.push_back({std::string(trimmed(take_until(cookie, '='))), missing});
  }
  return flaws;
}

}  // namespace fw::tls
