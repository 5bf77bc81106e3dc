// When a table stands in for ours: from its removal by others until a minute after the last one.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <functional>
#include <optional>

#include "chains/ruleset.hpp"
#include "fw/daemon/shared.hpp"
#include "fw/service/timers.hpp"

namespace fw {

class StandInKeeper {
 public:
  /// Of class StandIn; called outside the loop.
  struct Table {
    std::function<Result<void>(chains::Ruleset)> put;
    std::function<Result<void>()> remove;
  };

  StandInKeeper(Shared& shared, Table table);

  /// Another program removed our table. While it is gone every port is open, and to make all of it
  /// takes 10 ms and more; so a few rules stand in for it first, which no other program can remove:
  /// whoever removed the table may do it again.
  void table_removed();

  /// For a repair: the rules as they must be from now on; none where nothing stands in.
  std::optional<chains::Ruleset> rules() const;
  /// Puts them in force; outside the loop.
  Result<void> put(chains::Ruleset rules) { return table_.put(std::move(rules)); }
  /// In the loop, after that.
  void put_done(const Result<void>& done);

  /// Under the lock, as the last deed of who has it.
  void end();

 private:
  chains::Ruleset compile() const;
  void put_first();

  Shared& shared_;
  Table table_;
  bool begins_ = false;  ///< waits for the lock, or is being made
  bool stands_ = false;
  Due end_;
};

}  // namespace fw
