// Snippets for the Caddyfile of whoever has Caddy in front of the sites of a policy.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "fw/plugins/plugin.hpp"
#include "fw/plugins/tls/proxied.hpp"

namespace fw::tls {

/// "cloudron-fw.caddy", with two snippets for each site: cloudron_fw_NAME, and
/// cloudron_fw_http_NAME, which leads from HTTP to HTTPS. For Caddy 2.6. `limiter` is the socket of
/// the limiter's service, of letters that need no quotes. Pure.
/// Errors: `policy`, a site whose app has no address, or what Caddy cannot do.
Result<std::vector<TextFile>> caddy_files(const Policy& policy, const std::string& limiter);

/// Text between quotes in a Caddyfile, of printable ASCII without '$'. Caddy takes it literally:
/// what it would read otherwise stands in variables, which caddy.cpp defines where one is used.
std::string caddy_word(std::string_view text);

}  // namespace fw::tls
