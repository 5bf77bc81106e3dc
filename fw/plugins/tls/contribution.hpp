// What the policy says of TLS and sites: their tables, and what only shows when all are seen.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <vector>

#include "fw/policy/parse.hpp"
#include "fw/policy/policy.hpp"
#include "fw/policy/table.hpp"

namespace fw::tls {

/// [tls] and [[site]] of the policy file.
std::vector<Table> tables();

/// Names that two sites have, apps that the policy does not know, a web port that no rule opens
/// (a warning), and keys of a site that contradict each other.
std::vector<Problem> check(const Policy& policy);

}  // namespace fw::tls
