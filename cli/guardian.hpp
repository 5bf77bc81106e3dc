// The process that rolls a trial back unless it is confirmed.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <memory>

#include "cli/context.hpp"
#include "fw/ops/apply.hpp"

namespace cli {

/// A process in a session of its own: it outlives this command, its terminal and its SSH session.
/// It ends by itself when the trial does.
class Guardian final : public fw::ops::Guardian {
 public:
  /// Before anything is opened that a second process must not share: the store, a netlink socket.
  static fw::Result<std::unique_ptr<fw::ops::Guardian>> start(const Context& context);

  Guardian(const Guardian&) = delete;
  Guardian& operator=(const Guardian&) = delete;
  ~Guardian() override;
  void watch() override;

 private:
  explicit Guardian(int to_process) : to_process_(to_process) {}
  int to_process_ = -1;
};

}  // namespace cli
