// Rulesets as nft text: for people, for `show`, and for the oracle in tests.
#pragma once

#include <string>

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

/// A file for `nft -f` that makes the table afresh and touches no other. Managed sets (lists and
/// blocks) are empty in it.
std::string to_nft(const Ruleset& ruleset);

std::string duration_text(std::chrono::milliseconds duration);  ///< "10s4ms", as nft writes it

}  // namespace chains
