// Blocking and unblocking.
#include "fw/host/block.hpp"

#include "chains/netlink/conntrack.hpp"
#include "chains/netlink/encode.hpp"
#include "fw/base/limits.hpp"
#include "fw/host/host_facts.hpp"
#include "fw/host/set_contents.hpp"

namespace fw {
namespace {

/// Brings the kernel's block sets from the version before `change` to the one after it. A kernel
/// that holds another version, or whose clock was set, gets all blocks anew.
Result<bool> put_in_force(chains::Kernel& kernel, Store& store, const BlockChange& change,
                          WallTime now) {
  const WallTime began = read_clocks().began;  // `now` may be older: storing a million takes long
  for (int attempt = 1;; ++attempt) {
    const auto generation = kernel.generation();
    if (!generation) return std::unexpected(generation.error());
    const auto versions = kernel.elements(chains::kBlockVersions);
    if (!versions) return std::unexpected(versions.error());
    if (versions->empty()) return false;
    const ObservedBlocks held = observed_blocks(*versions);
    if (held.are(change.generation, began)) return true;

    chains::Batch batch(*generation);
    const bool follows = held.are(change.generation - 1, began);
    if (!follows || versions->size() > kBlockVersionsMax) {
      chains::encode_flush_set(chains::kBlockVersions, batch);
    }
    if (follows) {
      encode_block_delta(change.delta, now, batch);
    } else {
      const auto snapshot = store.blocks(now);
      if (!snapshot) return std::unexpected(snapshot.error());
      for (const char* set : chains::kBlockSets) chains::encode_flush_set(set, batch);
      encode_block_delta({{}, blocked_at(snapshot->blocks, now)}, now, batch);
    }
    encode_observed_blocks(change.generation, began, batch);
    const auto committed = kernel.commit(batch);
    if (committed) return true;
    if (committed.error().code != ErrorCode::kernel_busy || attempt == kApplyTries) {
      return std::unexpected(committed.error());
    }
  }
}

}  // namespace

Result<BlockOutcome> block(chains::Kernel& kernel, Store& store, chains::Admission admission,
                           const std::vector<Block>& add, WallTime now, Cut cut) {
  // Without the right to change the kernel nothing is stored either.
  if (const auto allowed = kernel.generation(); !allowed) return std::unexpected(allowed.error());
  auto change = store.block(add, now);
  if (!change) return std::unexpected(change.error());
  BlockOutcome outcome;
  const auto in_force = put_in_force(kernel, store, *change, now);
  if (!in_force) {
    Error error = in_force.error();
    error.what += "; the block is stored, and the next apply puts it in force";
    return std::unexpected(std::move(error));
  }
  outcome.in_force = *in_force;
  if (outcome.in_force) {
    const auto snapshot = cut == Cut::all ? store.blocks(now) : Store::Snapshot{add, 0};
    if (!snapshot) return std::unexpected(snapshot.error());
    if (const auto blocked = is_among(blocked_at(snapshot->blocks, now))) {
      const auto manifest = kernel.elements(chains::kManifest);
      const auto in_use = manifest ? manifest_label(*manifest) : std::nullopt;
      const auto done = chains::expel_flows(in_use ? chains::Admission(*in_use) : admission,
                                            except_local(blocked));
      if (done) outcome.flows_cut = *done;
      if (!done) {
        outcome.warnings.push_back("open connections of blocked addresses may live on: " +
                                   to_string(done.error()));
      }
    }
  }
  outcome.change = std::move(*change);
  return outcome;
}

Result<BlockOutcome> unblock(chains::Kernel& kernel, Store& store,
                             const std::vector<IpRange>& ranges, WallTime now,
                             const std::string& origin) {
  if (const auto allowed = kernel.generation(); !allowed) return std::unexpected(allowed.error());
  auto change = store.unblock(ranges, now, origin);
  if (!change) return std::unexpected(change.error());
  BlockOutcome outcome;
  const auto in_force = put_in_force(kernel, store, *change, now);
  if (!in_force) {
    Error error = in_force.error();
    error.what += "; the store has it unblocked, and the next apply puts that in force";
    return std::unexpected(std::move(error));
  }
  outcome.in_force = *in_force;
  outcome.change = std::move(*change);
  return outcome;
}

}  // namespace fw
