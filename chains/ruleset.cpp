// Small queries of rulesets.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "chains/ruleset.hpp"

#include <algorithm>
#include <tuple>

namespace chains {

std::string name_of(Table table) {
  return std::string(table == Table::bridge ? "table bridge " : "table inet ") + nft_name(table);
}

bool same_definition(const SetDefinition& a, const SetDefinition& b) {
  auto parts = [](const SetDefinition& s) {
    return std::tie(s.name, s.interval, s.dynamic, s.timeout, s.counter, s.size, s.timeout_default,
                    s.gc_interval, s.comment, s.table);
  };
  auto same_type = [](Field x, Field y) { return info(x).type_id == info(y).type_id; };
  if (parts(a) != parts(b) || a.data.index() != b.data.index() ||
      !std::equal(a.key.begin(), a.key.end(), b.key.begin(), b.key.end(), same_type)) {
    return false;
  }
  const auto* kind_a = std::get_if<ObjectKind>(&a.data);
  const auto* kind_b = std::get_if<ObjectKind>(&b.data);
  return kind_a == nullptr || *kind_a == *kind_b;
}

Uses uses(const Expr& expr) {
  struct Visitor {
    Uses operator()(const Match&) const { return {}; }
    Uses operator()(const Lookup& e) const { return {e.set, {}, {}}; }
    Uses operator()(const DynSet& e) const { return {e.set, {}, {}}; }
    Uses operator()(const RateLimit&) const { return {}; }
    Uses operator()(const ObjectRef& e) const { return {{}, e.name, {}}; }
    Uses operator()(const ObjectMap& e) const { return {e.map, {}, {}}; }
    Uses operator()(const CtLabelSet&) const { return {}; }
    Uses operator()(const Log&) const { return {}; }
    Uses operator()(const StripTcpOption&) const { return {}; }
    Uses operator()(const RejectTcpReset&) const { return {}; }
    Uses operator()(const KernelLog&) const { return {}; }
    Uses operator()(const Count&) const { return {}; }
    Uses operator()(const Reject&) const { return {}; }
    Uses operator()(const Verdict& e) const { return {{}, {}, e.chain}; }
    Uses operator()(const Foreign&) const { return {}; }
  };
  return std::visit(Visitor{}, expr);
}

}  // namespace chains
