// What the kernel should hold.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/host/target.hpp"

#include <algorithm>
#include <string>
#include <vector>

#include "chains/diff.hpp"
#include "chains/netlink/bridges.hpp"
#include "chains/netlink/encode.hpp"
#include "fw/host/host_facts.hpp"
#include "fw/host/uplink.hpp"

namespace fw {
namespace {

chains::ListVersion version(const EffectiveLists& lists, ListAction action) {
  const bool block = action == ListAction::block;
  const bool named = std::any_of(lists.reports.begin(), lists.reports.end(),
                                 [action](const ListReport& r) { return r.action == action; });
  if (!named) return {};
  const ListSize& size = block ? lists.block_size : lists.allow_size;
  return {to_string(block ? lists.block : lists.allow), size.addresses4, size.networks4,
          size.addresses6, size.networks6};
}

std::vector<chains::SourceList> lists_of_openings(const Policy& policy,
                                                  const EffectiveLists& lists) {
  std::vector<chains::SourceList> out;
  for (const std::string& name : source_lists(policy))
    out.push_back({name, to_string(lists.content_of(name))});
  return out;
}

}  // namespace

Result<Target> compile_target(const Policy& policy, Lists& lists, Store* store,
                              std::optional<chains::Panic> panic, ListUse use, Shrunk shrunk) {
  Target target;
  ListsAsk ask{spared_here(), shrunk};
  target.lists = use == ListUse::remembered ? lists.remembered(policy, std::move(ask))
                                            : lists.resolve(policy, std::move(ask));
  chains::HostFacts& facts = target.facts;
  facts.devices = early_drop_devices();
  facts.bridges = chains::read_bridges();
  facts.tick = kernel_tick();
  facts.panic = std::move(panic);
  facts.block_lists = version(target.lists, ListAction::block);
  facts.allow_lists = version(target.lists, ListAction::allow);
  facts.source_lists = lists_of_openings(policy, target.lists);
  if (store != nullptr) {
    auto generation = store->generation();
    if (!generation) return std::unexpected(generation.error());
    facts.block_generation = *generation;
  }
  target.ruleset = chains::compile(policy, facts);
  return target;
}

chains::Batch encode_creation(const Target& target) {
  chains::Batch batch(0);
  chains::encode(chains::diff(nullptr, target.ruleset), batch);
  return batch;
}

}  // namespace fw
