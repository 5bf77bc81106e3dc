// The daemon's own table, in force for a while after somebody removed ours.
#include "fw/daemon/stand_in.hpp"

#include <utility>

#include "chains/diff.hpp"
#include "chains/netlink/encode.hpp"

namespace fw {
namespace {

constexpr int kTries = 8;  // with somebody else's transaction before each

/// What stands in depends on nothing else that the kernel holds: another generation does no harm.
template <class Encode>
Result<void> commit(chains::Kernel& kernel, const Encode& encode) {
  for (int tried = 1;; ++tried) {
    const auto generation = kernel.generation();
    if (!generation) return std::unexpected(generation.error());
    chains::Batch batch(*generation);
    encode(batch);
    auto done = kernel.commit(batch);
    if (done || done.error().code != ErrorCode::kernel_busy || tried == kTries) return done;
  }
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
