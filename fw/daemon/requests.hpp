// What can be asked on the control socket, and what each request answers (docs/control.md).
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include <boost/json/object.hpp>

#include "chains/netlink/kernel.hpp"
#include "fw/daemon/control.hpp"
#include "fw/daemon/counts.hpp"
#include "fw/host/guard.hpp"
#include "fw/store/activity.hpp"
#include "fw/store/store.hpp"

namespace fw {

/// What requests need of the daemon.
class RequestContext {
 public:
  virtual ~RequestContext() = default;
  virtual const std::string& state_dir() const = 0;
  virtual const Policy& policy() const = 0;
  /// What was applied last says about requests. No rule depends on that, so the daemon itself may
  /// not have heard of it yet.
  virtual HttpRules http_rules() = 0;
  /// Of that policy, and of the host as it was a second ago at most.
  virtual const BlockGuard& guard() = 0;
  virtual chains::Kernel& kernel() = 0;
  virtual Store& store() = 0;
  virtual const TrafficStats& traffic() const = 0;
  virtual DaemonCounts counts() const = 0;
  /// A command made an apply that changed something, and took so long.
  virtual void applied(std::chrono::microseconds took) = 0;
  /// Calls `work` under the lock of the state folder, now or later, or else `busy`.
  virtual void with_lock(std::function<void()> work, std::function<void(const Error&)> busy) = 0;
  /// A row of the activity log.
  virtual void record(const std::string& what, const Actor& actor, const std::string& summary,
                      const boost::json::object& details) = 0;
};

/// {"do": "applied" | "block" | "unblock" | "blocks" | "blocked" | "counts" | "limits" | "status" |
/// "activity" | "hello", ...}
void serve(RequestContext& context, const Peer& peer, const boost::json::object& request,
           Answer answer);

}  // namespace fw
