// What the kernel was last seen to hold: it need not be read again while it does not change.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstdint>
#include <string>

#include "chains/netlink/batch.hpp"
#include "fw/host/target.hpp"
#include "fw/lists/address_set.hpp"
#include "fw/store/blocks.hpp"

namespace fw {

/// Of every byte that would be sent to create the target from scratch, and of what stands outside
/// its rules. `creation` is what encode_creation() made of it.
Digest fingerprint(const Target& target, const chains::Batch& creation);

/// A note in the state folder: this kernel, since this boot and in this network namespace, held a
/// target at a generation of its ruleset. Every change of nf_tables, by whomever, is a new
/// generation, so what was true at it is true while it lasts, and while the clock is not set:
/// `began` is of read_clocks. A note that is torn or lost says no.
class ObservedRecord {
 public:
  explicit ObservedRecord(const std::string& state_dir);

  bool is(const Digest& target, std::uint32_t generation, WallTime began) const;
  /// Not being able to write costs time later, nothing else.
  void remember(const Digest& target, std::uint32_t generation, WallTime began) const;

 private:
  std::string path_;
  std::string kernel_;  ///< the boot and the network namespace; empty if unknown
};

}  // namespace fw
