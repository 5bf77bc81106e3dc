// The directives by which a rendered nginx asks the limiter's service (docs/services.md).
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "fw/plugins/tls/headers.hpp"
#include "fw/plugins/tls/lines.hpp"
#include "fw/policy/policy.hpp"

namespace fw::tls {

/// What nginx asks about. A question costs a third of what nginx can do (bench/README.md), so it
/// asks only where its own directives cannot hold what is promised.
struct Questions {
  bool passwords = false;  ///< requests to password routes: is one more within the limit?
  bool blocked = false;    ///< all requests: is the client blocked? Of those behind a proxy alone
                           ///< the kernel cannot know.

  bool any() const { return passwords || blocked; }
};
Questions questions_of(const Policy& policy);

enum class Route : std::uint8_t { page, password };

/// In the block http: where the service listens.
void add_limiter(const Questions& questions, const std::string& socket, Lines& out);

/// In the block server: the locations that ask, and those that answer for them. `headers` are those
/// of each response.
void add_limiter_locations(const Policy& policy, const Site& site,
                           const std::vector<Header>& headers, Lines& out);

/// In a location: what is asked before a request passes.
void add_question(const Policy& policy, Route route, Lines& out);

}  // namespace fw::tls
