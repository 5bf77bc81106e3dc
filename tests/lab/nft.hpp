// What the kernel holds, asked of nft: an oracle that shares nothing with the product.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tests/lab/namespace.hpp"

namespace lab {

/// Packets that a named counter of our table has seen.
std::uint64_t counter(const Namespace& where, const std::string& name,
                      const std::string& table = "inet cloudron");

/// Elements of a set or map of our table, as JSON texts.
std::vector<std::string> elements(const Namespace& where, const std::string& set);

/// Runs nft commands, which must be accepted.
void nft(const Namespace& where, const std::string& commands);

/// Turns connection tracking on, as any other stateful firewall does.
void track_connections(const Namespace& where);

/// "nft list ruleset" or "nft list TABLE", byte for byte.
std::string listing(const Namespace& where, const std::string& what = "ruleset");

/// A listing of a table without what packets change (counters, and what the sets of limits have
/// learned) and in one order: two are equal exactly when the rules are.
std::string rules_only(const Namespace& where, const std::string& table = "inet cloudron");

}  // namespace lab
