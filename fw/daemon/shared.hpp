// What the parts of the daemon share.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <string>

#include <boost/asio/io_context.hpp>

#include "fw/daemon/lock_queue.hpp"
#include "fw/daemon/policy_in_force.hpp"
#include "fw/daemon/recorder.hpp"
#include "fw/service/messages.hpp"

namespace fw {

/// Used in the loop only, but for state_dir.
struct Shared {
  Shared(boost::asio::io_context& loop, const std::string& folder) : io(loop), state_dir(folder) {}

  boost::asio::io_context& io;
  const std::string state_dir;
  Messages messages{"cloudron-fwd"};
  LockQueue queue{io, state_dir};
  Recorder recorder{state_dir, messages};
  PolicyInForce in_force{state_dir};
};

}  // namespace fw
