// The head of an answer of HTTP, and what it promises to browsers. Pure.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "fw/plugins/tls/audit/grade.hpp"
#include "fw/plugins/tls/headers.hpp"

namespace fw::tls {

struct HttpHead {
  int status = 0;
  std::vector<std::pair<std::string, std::string>> headers;  ///< names in lower case

  /// The first of this name; nullptr: there is none.
  const std::string* find(std::string_view name) const;
  bool operator==(const HttpHead&) const = default;
};

/// A GET of / whose answer ends the connection.
std::string http_request(std::string_view host);
/// All of the head has come.
bool has_head(std::string_view bytes);
/// nullopt: it is not HTTP, or the head is not complete.
std::optional<HttpHead> parse_head(std::string_view bytes);

/// Of the header Strict-Transport-Security (RFC 6797, 6.1).
Hsts hsts_of(const std::string* header);

/// Which of the wanted headers are missing or say something else, with what they should say. A
/// value that allows less is no flaw.
struct HeaderFlaw {
  std::string name;      ///< "X-Frame-Options"
  std::string found;     ///< "": it is missing
  std::string expected;  ///< "SAMEORIGIN"

  bool operator==(const HeaderFlaw&) const = default;
};
std::vector<HeaderFlaw> header_flaws(const HttpHead& head, const std::vector<Header>& wanted);

struct CookieFlaw {
  std::string name;
  std::string missing;  ///< "Secure, HttpOnly"

  bool operator==(const CookieFlaw&) const = default;
};
std::vector<CookieFlaw> cookie_flaws(const HttpHead& head);

}  // namespace fw::tls
