// What names, addresses and headers of a site may look like, so that none can end the directive of
// a proxy's configuration that it stands in.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <string>
#include <string_view>

namespace fw::tls {

// Why the text cannot be meant, with the remedy; "" when it can. None of them accepts '$', which
// nginx has no way to quote, or a control character.

/// "wiki.example.org", "*.example.org": RFC 1123, lower case; "*" alone in the first place.
std::string site_name_complaint(std::string_view text);

/// "http://127.0.0.1:3000", "https://[::1]", "http://unix:/run/wiki.sock": no path.
std::string upstream_complaint(std::string_view text);

/// "/login": a path as it is after decoding, without "..", query and end mark.
std::string route_complaint(std::string_view text);

/// "X-Robots-Tag: noindex"
std::string header_complaint(std::string_view text);

/// "default-src 'self'"
std::string header_value_complaint(std::string_view text);

/// One of the eight of the W3C's Referrer Policy.
std::string referrer_policy_complaint(std::string_view text);

/// "/etc/ssl/wiki.pem"
std::string path_complaint(std::string_view text);
/// The same, of a program that a shell runs.
std::string program_complaint(std::string_view text);

/// "admin@example.org"
std::string mail_complaint(std::string_view text);

/// "https://acme-v02.api.letsencrypt.org/directory"
std::string acme_server_complaint(std::string_view text);

/// A word of a command: no control character but a tab; a program is an absolute path.
std::string command_word_complaint(std::string_view text);

}  // namespace fw::tls
