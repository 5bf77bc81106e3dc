// Blocking and unblocking.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/host/block.hpp"

#include <algorithm>
#include <iterator>
#include <memory>
#include <optional>
#include <utility>

#include "chains/netlink/conntrack.hpp"
#include "chains/netlink/encode.hpp"
#include "fw/base/limits.hpp"
#include "fw/host/host_facts.hpp"
#include "fw/host/manifest.hpp"
#include "fw/host/membership.hpp"
#include "fw/host/set_contents.hpp"

namespace fw {
namespace {

/// Takes a kernel whose block sets hold `held` to the version after `change`. If that is another
/// version than the one before, or the clock was set, it gets all blocks again.
Result<std::vector<chains::SetUpdate>> updates_from(const ObservedBlocks& held, bool many_versions,
                                                    Store& store, const BlockChange& change,
                                                    WallTime now, WallTime began) {
  std::vector<chains::SetUpdate> out;
  const bool follows = held.are(change.generation - 1, began);
  if (!follows || many_versions) out.emplace_back(chains::FlushSet{chains::kBlockVersions});
  const auto append = [&out](std::vector<chains::SetUpdate> updates) {
    std::ranges::move(updates, std::back_inserter(out));
  };
  if (follows) {
    append(update_blocks(change.delta, now));
  } else {
    const auto snapshot = store.blocks(now);
    if (!snapshot) return std::unexpected(snapshot.error());
    for (const char* set : chains::kBlockSets) out.emplace_back(chains::FlushSet{set});
    const auto all =
        std::make_shared<const BlockDelta>(BlockedNow{}, blocked_at(snapshot->blocks, now));
    append(update_blocks(*all, now, all));
  }
  out.emplace_back(note_blocks(change.generation, began));
  return out;
}

/// Does the kernel have the version after `change` now? Not when it has no table.
Result<bool> put_in_force(chains::Kernel& kernel, Store& store, const BlockChange& change,
                          WallTime now) {
  const WallTime began = read_clocks().began;  // `now` may be older: storing a million takes long
  bool in_force = true;
  const auto attempt = [&]() -> Result<std::optional<chains::Attempt>> {
    const auto generation = kernel.generation();
    if (!generation) return std::unexpected(generation.error());
    const auto versions = kernel.elements(chains::kBlockVersions);
    if (!versions) return std::unexpected(versions.error());
    in_force = !versions->empty();
    const ObservedBlocks held = observed_blocks(*versions);
    if (!in_force || held.are(change.generation, began)) return std::nullopt;
    const bool many = versions->size() > kBlockVersionsMax;
    auto updates = updates_from(held, many, store, change, now, began);
    if (!updates) return std::unexpected(updates.error());
    return chains::Attempt{chains::encode({*generation, {}, std::move(*updates)})};
  };
  const auto done = chains::commit_with_retry(kernel, attempt);
  if (!done) return std::unexpected(done.error());
  return in_force;
}

/// The same, and fails with what becomes of the change in the store.
Result<BlockOutcome> in_force_or(const char* otherwise, chains::Kernel& kernel, Store& store,
                                 BlockChange change, WallTime now) {
  const auto in_force = put_in_force(kernel, store, change, now);
  if (!in_force) {
    Error error = in_force.error();
    error.what += otherwise;
    return std::unexpected(std::move(error));
  }
  BlockOutcome outcome;
  outcome.in_force = *in_force;
  outcome.change = std::move(change);
  return outcome;
}

}  // namespace

Result<BlockOutcome> block(chains::Kernel& kernel, Store& store, chains::Admission admission,
                           const std::vector<Block>& add, WallTime now, Cut cut) {
  // Without the right to change the kernel nothing is stored either.
  if (const auto allowed = kernel.generation(); !allowed) return std::unexpected(allowed.error());
  auto change = store.block(add, now);
  if (!change) return std::unexpected(change.error());
  auto outcome = in_force_or("; the block is stored, and the next apply puts it in force", kernel,
                             store, std::move(*change), now);
  if (!outcome || !outcome->in_force) return outcome;
  const auto snapshot = cut == Cut::all ? store.blocks(now) : Store::Snapshot{add, 0};
  if (!snapshot) return std::unexpected(snapshot.error());
  const BlockedAddresses blocked(blocked_at(snapshot->blocks, now));
  if (blocked.empty()) return outcome;
  const auto manifest = kernel.elements(chains::kManifest);
  const auto in_use = manifest ? manifest_label(*manifest) : std::nullopt;
  const auto done = chains::expel_flows(in_use ? chains::Admission(*in_use) : admission,
                                        except_local([&](Ip ip) { return blocked.hold(ip); }));
  if (done) outcome->flows_cut = *done;
  if (!done) {
    outcome->warnings.push_back("open connections of blocked addresses may live on: " +
                                to_string(done.error()));
  }
  return outcome;
}

Result<bool> is_blocked(chains::Kernel& kernel, Ip source) {
  const std::size_t first = source.family == Family::ipv4 ? 0 : 2;  // addresses, then networks
  for (const auto* sets : {chains::kBlockSets, chains::kListedSets}) {
    for (const std::size_t set : {first, first + 1}) {
      const auto found = kernel.find_element(sets[set], to_bytes(source));
      if (!found) return std::unexpected(found.error());
      if (*found) return true;
    }
  }
  return false;
}

Result<BlockOutcome> unblock(chains::Kernel& kernel, Store& store,
                             const std::vector<IpRange>& ranges, WallTime now,
                             const std::string& origin) {
  if (const auto allowed = kernel.generation(); !allowed) return std::unexpected(allowed.error());
  auto change = store.unblock(ranges, now, origin);
  if (!change) return std::unexpected(change.error());
  return in_force_or("; the store has it unblocked, and the next apply puts that in force", kernel,
                     store, std::move(*change), now);
}

}  // namespace fw
