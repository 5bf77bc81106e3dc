// The headers that every response of a site has (T2).
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "fw/policy/policy.hpp"

namespace fw::tls {

using Header = std::pair<std::string, std::string>;  ///< name, value

/// Without Strict-Transport-Security: what a response by HTTP has, too.
std::vector<Header> plain_headers(const Tls& tls, const Site& site);

/// All, in the order in which they are sent. The site's own replace those of the same name.
std::vector<Header> site_headers(const Tls& tls, const Site& site);

}  // namespace fw::tls
