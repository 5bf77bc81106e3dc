// What evaluating a ruleset needs beside it.
#include "fw/host/explain.hpp"

#include <algorithm>
#include <memory>

#include "fw/host/host_facts.hpp"
#include "fw/host/set_contents.hpp"

namespace fw {
namespace {

Ip ip_of(const chains::Bytes& key) {
  return ip_from_bytes(key.size() == 4 ? Family::ipv4 : Family::ipv6, key.data());
}

/// Is the address a span of its own (or, for networks, in a longer one)?
template <class Spans>
bool has(const Spans& spans, U128 bits, bool networks) {
  return std::any_of(spans.begin(), spans.end(), [&](const auto& span) {
    return span.first <= bits && bits <= span.last && (span.first != span.last) == networks;
  });
}

bool has(const AddressSet& set, Ip ip, bool networks) {
  return ip.family == Family::ipv4 ? has(set.v4, ip.bits, networks)
                                   : has(set.v6, ip.bits, networks);
}

}  // namespace

Result<chains::Managed> managed_sets(const Target& target, Lists& lists, Store* store) {
  auto listed = lists.content(target.lists.block);
  if (!listed) return std::unexpected(listed.error());
  auto allowed = lists.content(target.lists.allow);
  if (!allowed) return std::unexpected(allowed.error());
  auto sources = source_contents(target, lists);
  if (!sources) return std::unexpected(sources.error());
  BlockedNow blocked;
  if (store != nullptr) {
    const WallTime now = wall_clock();
    const auto snapshot = store->blocks(now);
    if (!snapshot) return std::unexpected(snapshot.error());
    blocked = blocked_at(snapshot->blocks, now);
  }
  const auto singles = is_among(BlockedNow{blocked.singles, {}});
  const auto networks = is_among(BlockedNow{{}, blocked.networks});
  return [listed = std::make_shared<const AddressSet>(std::move(*listed)),
          allowed = std::make_shared<const AddressSet>(std::move(*allowed)),
          sources = std::move(*sources), singles,
          networks](const chains::Set& set, const chains::Bytes& key) -> std::optional<bool> {
    const Ip ip = ip_of(key);
    if (set.name.starts_with("listed")) return has(*listed, ip, set.interval);
    if (set.name.starts_with("allowed")) return has(*allowed, ip, set.interval);
    if (const auto source = sources.find(set.name); source != sources.end())
      return contains(*source->second, {ip.family, ip.bits, ip.bits});
    const auto& among = set.interval ? networks : singles;
    return among && among(ip);
  };
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
