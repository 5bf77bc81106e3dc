// What the kernel holds, known without reading it.
#pragma once

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "chains/netlink/kernel.hpp"

namespace fw {

/// What was last put there or read, for as long as every change since then was of other tables. For
/// who is told of every change (chains::RulesetWatch). Whoever relies on it commits at its
/// generation: the kernel refuses that when there was a change that has not been told yet.
class Known {
 public:
  void holds(chains::Observed observed) { observed_ = std::move(observed); }
  void holds(std::uint32_t generation, chains::Ruleset ruleset,
             std::vector<chains::Element> block_versions) {
    observed_.emplace();
    observed_->generation = generation;
    observed_->ruleset = std::move(ruleset);
    observed_->block_versions = std::move(block_versions);
  }
  void forget() { observed_.reset(); }
  /// Somebody made a change, which the kernel counts as `generation`. `ours`: of our table.
  void changed(std::uint32_t generation, bool ours) {
    if (!observed_) return;
    const auto later = static_cast<std::int32_t>(generation - observed_->generation);
    if (later <= 0) return;  // what holds() told
    if (ours || later > 1) return forget();
    observed_->generation = generation;
  }
  /// Without counters; nothing when it is not known.
  std::optional<chains::Observed> take() { return std::exchange(observed_, std::nullopt); }
  bool is_known() const { return observed_.has_value(); }

 private:
  std::optional<chains::Observed> observed_;
};

}  // namespace fw
