// The applies that the daemon makes, outside its loop.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "chains/netlink/kernel.hpp"
#include "fw/daemon/change_listener.hpp"
#include "fw/daemon/device_follower.hpp"
#include "fw/daemon/shared.hpp"
#include "fw/host/apply.hpp"

namespace fw {

struct Applied {
  Result<ApplyReport> report;
  /// Those of the report, and what was wrong with the store: there also when the apply failed.
  std::vector<std::string> warnings;
  bool unheard = false;  ///< changes of others may not have been heard of in the meantime
};

class Applier {
 public:
  /// `check_now` is called when another program may have changed the rules while nothing listened.
  Applier(Shared& shared, chains::Kernel& kernel, const ChangeListener& changes,
          DeviceFollower& devices, std::function<void()> check_now);

  /// In a thread of its own: opens the store and the kernel, and applies with the lists as they are
  /// remembered. Without the store the kernel keeps the blocks that it has. `also` is what else
  /// needs that kernel, whatever came of the apply.
  using Also = std::function<void(chains::Kernel&, Result<ApplyReport>&)>;
  Applied apply(const DesiredPolicy& wanted, const Also& also = {}) const;

  /// In the loop, after that: tells the warnings, each once until it is over, and remembers what
  /// the kernel holds. Returns what is another than before.
  struct Others {
    bool devices = false;
    bool bridges = false;
  };
  Others finish(const DesiredPolicy& wanted, Applied& applied);

 private:
  void heard_again(std::uint32_t generation);

  Shared& shared_;
  chains::Kernel& kernel_;
  const ChangeListener& changes_;
  DeviceFollower& devices_;
  std::function<void()> check_now_;
  std::vector<std::string> warned_;  ///< of what is not over
};

}  // namespace fw
