// Whether the kernel holds what was put there last.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstdint>
#include <optional>

namespace fw {

/// The generation at which it does, for as long as every change since then was of other tables. For
/// which hears of every change (chains::RulesetWatch). Whoever relies on it commits at that
/// generation: the kernel refuses it when there was a change that has not been told yet.
class ObservedGeneration {
 public:
  void holds(std::uint32_t generation) { generation_ = generation; }
  void forget() { generation_.reset(); }
  /// A program made a change, which the kernel counts as `generation`. `ours`: of our table.
  void changed(std::uint32_t generation, bool ours) {
    if (!generation_) return;
    const auto later = static_cast<std::int32_t>(generation - *generation_);
    if (later <= 0) return;  // what holds() told
    if (ours || later > 1) return forget();
    generation_ = generation;
  }
  /// Nothing when it is not known.
  std::optional<std::uint32_t> generation() const { return generation_; }

 private:
  std::optional<std::uint32_t> generation_;
};

}  // namespace fw
