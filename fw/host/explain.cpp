// What evaluating a ruleset needs besides it.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/host/explain.hpp"

#include <memory>
#include <utility>

#include "fw/host/membership.hpp"

namespace fw {
Result<chains::Managed> managed_sets(const Target& target, Lists& lists, Store* store) {
  Membership membership(target, lists, store);
  if (const auto read = membership.read(); !read) return std::unexpected(read.error());
  return [all = std::make_shared<Membership>(std::move(membership))](
             const chains::Set& set, const chains::Bytes& key) { return (*all)(set, key); };
}

chains::Managed managed_sets(chains::Kernel& kernel) {
  return [&kernel](const chains::Set& set, const chains::Bytes& key) -> std::optional<bool> {
    const auto found = kernel.find_element(set.name, key);
    if (!found) return std::nullopt;
    return found->has_value();
  };
}

Result<chains::State> learned_of(chains::Kernel& kernel, const chains::Ruleset& ruleset,
                                 Ip source) {
  chains::State state;
  for (const chains::Object& object : ruleset.objects) {
    if (object.limit) state.limits[object.name] = {*object.limit, 0, chains::Time{0}, false};
  }
  for (const chains::Chain& chain : ruleset.chains) {
    for (const chains::Rule& rule : chain.rules) {
      for (const chains::Expr& expr : rule.exprs) {
        const auto* dyn = std::get_if<chains::DynSet>(&expr);
        const chains::Set* set = dyn != nullptr ? chains::find(ruleset.sets, dyn->set) : nullptr;
        if (set == nullptr || set->key.size() != 1) continue;
        const auto key = chains::source_key(dyn->key, source);
        if (key.empty() || state.learned[set->name].contains(key)) continue;
        const auto found = kernel.find_element(set->name, key);
        if (!found) return std::unexpected(found.error());
        if (!*found) continue;
        chains::LearnedElement& element = state.learned[set->name][key];
        const bool ends = set->timeout_default.count() != 0;
        if (ends) element.ends = **found;
        const auto* limit = std::get_if<chains::RateLimit>(&dyn->state);
        element.open_exact = !std::holds_alternative<chains::ConnLimit>(dyn->state);
        if (limit == nullptr) continue;
        // A slot's one token went when it was made.
        const chains::Time since = ends ? **found - set->timeout_default : chains::Time{0};
        element.bucket = {*limit, 0, since, dyn->op == chains::DynOp::add};
      }
    }
  }
  return state;
}

}  // namespace fw
