// Rulesets as nft text: for people, for `show`, and for the oracle in tests.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "chains/ruleset.hpp"

namespace chains {

/// One rule without its comment: "ip saddr @listed4 counter name \"listed\" drop".
std::string to_text(const Rule& rule);
std::string to_text(const Expr& expr);

/// One element as nft writes it: "203.0.113.0/24 : goto ratelimit_apps".
std::string to_text(const Set& set, const Element& element);

/// "set ssh4_1 { type ipv4_addr; size 65535; flags dynamic,timeout; timeout 10s4ms; }", without
/// elements.
std::string to_text(const Set& set);
std::string to_text(const Object& object);

/// "type filter hook input priority -10; policy drop;"
std::string to_text(const BaseHook& base);

/// Hands every element of a managed set to the second argument, as nft writes it.
using ManagedElements =
    std::function<void(const Set&, const std::function<void(const std::string&)>&)>;

/// A file for `nft -f` that makes our tables afresh and touches no other, in pieces to `write`.
void write_nft(const Ruleset& ruleset, const ManagedElements& managed,
               const std::function<void(std::string_view)>& write);

std::string duration_text(std::chrono::milliseconds duration);  ///< "10s4ms", as nft writes it

}  // namespace chains
