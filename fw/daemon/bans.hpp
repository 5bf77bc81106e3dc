// Who is blocked by the daemon itself: it judges refusals by [[offender]] of the policy, and
// blocks.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>

#include "chains/netlink/refusal_feed.hpp"
#include "fw/daemon/offenders.hpp"
#include "fw/daemon/shared.hpp"
#include "fw/host/guard.hpp"
#include "fw/store/blocks.hpp"

namespace fw {

class Bans {
 public:
  /// Makes a block, durably and in the kernel; called under the lock.
  using MakeBlock = std::function<Result<void>(const Block&, WallTime now)>;

  Bans(Shared& shared, MakeBlock make_block);

  /// The policy in force is another.
  void begin();
  /// Only its apps are others.
  void apps_changed() { guard_.reset(); }

  /// Of the policy in force, and of the host as it was a second ago at most.
  const BlockGuard& guard();

  /// Tells of a refusal by a limit, and blocks who is due.
  void refused(const chains::Refusal& refusal);

  std::uint64_t blocked() const { return blocked_; }  ///< since the daemon began

 private:
  void tell(const chains::Refusal& refusal);
  void take_up_offences();
  void ban(const BanDecision& decision);
  void not_blocked(const BanDecision& decision, const Error& why);

  Shared& shared_;
  MakeBlock make_block_;
  std::optional<Offenders> offenders_;
  std::optional<BlockGuard> guard_;
  std::chrono::milliseconds guard_read_until_{};  ///< then the host is asked again
  std::uint64_t blocked_ = 0;
};

}  // namespace fw
