// Backends for whoever has HAProxy in front of the sites of a policy.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "fw/plugins/plugin.hpp"

namespace fw::tls {

/// "cloudron-fw.cfg", with a backend cloudron_fw_NAME for each site, and one for what each limit
/// has counted. It is a file for a second -f behind one that has the frontends. For HAProxy 2.6 and
/// newer. Pure.
/// Errors: `policy`, a site whose app has no address, or what HAProxy cannot count.
Result<std::vector<TextFile>> haproxy_files(const Policy& policy);

/// A word of HAProxy's language, of printable ASCII.
std::string haproxy_word(std::string_view text);

/// The same, where HAProxy reads a format of a log.
std::string haproxy_format(std::string_view text);

}  // namespace fw::tls
