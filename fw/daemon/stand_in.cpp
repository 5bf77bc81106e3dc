// The daemon's own table, in force for a while after another program removed ours.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/daemon/stand_in.hpp"

#include <optional>
#include <utility>

#include "chains/diff.hpp"
#include "chains/netlink/encode.hpp"

namespace fw {
namespace {

/// What stands in depends on nothing else that the kernel holds: another generation does no harm.
template <class Encode>
Result<void> commit(chains::Kernel& kernel, const Encode& encode) {
  const auto attempt = [&]() -> Result<std::optional<chains::Attempt>> {
    const auto generation = kernel.generation();
    if (!generation) return std::unexpected(generation.error());
    chains::Batch batch(*generation);
    encode(batch);
    return chains::Attempt{std::move(batch)};
  };
  const auto done = chains::commit_with_retry(kernel, attempt);
  return done ? Result<void>() : std::unexpected(done.error());
}

}  // namespace

Result<void> StandIn::put(chains::Ruleset rules) {
  if (rules_ && chains::diff(&*rules_, rules).empty()) return {};
  if (!kernel_) {
    auto opened = chains::Kernel::open();
    if (!opened) return std::unexpected(opened.error());
    kernel_.emplace(std::move(*opened));
  }
  const auto done = commit(*kernel_, [&](chains::Batch& batch) {
    chains::encode_stand_in(rules, rules_.has_value(), batch);
  });
  if (done) rules_ = std::move(rules);
  return done;
}

Result<void> StandIn::remove() {
  if (!rules_) return {};
  const auto done = commit(*kernel_, [](chains::Batch& batch) {
    chains::encode_remove_table(chains::Table::stand_in, batch);
  });
  if (done) rules_.reset();
  return done;
}

}  // namespace fw
