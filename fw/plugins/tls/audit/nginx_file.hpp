// nginx's configuration, read as nginx reads it: directives, blocks, and the files that it
// includes.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "fw/base/result.hpp"

namespace fw::tls {

/// "listen 443 ssl;", or "location /a { ... }" with the directives of its block.
struct NginxDirective {
  std::vector<std::string> words;  ///< without quotes; at least one
  std::vector<NginxDirective> block{};

  bool operator==(const NginxDirective&) const = default;
};
using NginxDirectives = std::vector<NginxDirective>;

/// A file's directives, whatever they are called. Errors: `policy`, with the line, where braces or
/// quotes do not fit, a directive has no end, or more than kNginxDepthMax blocks are nested.
Result<NginxDirectives> parse_nginx(std::string_view text);

/// FOLDER/nginx.conf with the files that it includes in the place of each `include`. A file that
/// cannot be read is left out and among `unread`. Errors: of nginx.conf itself.
struct NginxConfig {
  NginxDirectives directives;
  std::vector<Error> unread{};
};
Result<NginxConfig> read_nginx(const std::string& folder);

}  // namespace fw::tls
