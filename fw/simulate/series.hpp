// Counts over time, for plots: as fine as fits a bounded number of bins.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace simulate {

/// Numbers over time, in bins that double their width when the time outgrows them. `Bin` needs
/// operator+=.
template <class Bin>
class Series {
 public:
  static constexpr std::size_t kBinsMax = 4096;

  /// The bin of a time in ns since the begin.
  Bin& at(std::int64_t time) {
    const auto second = static_cast<std::uint64_t>(time < 0 ? 0 : time) / 1'000'000'000;
    while (second / width_ >= kBinsMax) widen();
    const auto bin = static_cast<std::size_t>(second / width_);
    if (bin >= bins_.size()) bins_.resize(bin + 1);
    return bins_[bin];
  }
  std::uint64_t width() const { return width_; }  ///< of a bin, in seconds
  const std::vector<Bin>& bins() const { return bins_; }

 private:
  void widen() {
    width_ *= 2;
    for (std::size_t i = 0; i < bins_.size(); i += 2) {
      Bin both = bins_[i];
      if (i + 1 < bins_.size()) both += bins_[i + 1];
      bins_[i / 2] = both;
    }
    bins_.resize((bins_.size() + 1) / 2);
  }

  std::uint64_t width_ = 1;
  std::vector<Bin> bins_;
};

}  // namespace simulate
