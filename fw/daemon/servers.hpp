// Whom the daemon answers: clients of the control socket, and Prometheus.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "chains/netlink/kernel.hpp"
#include "fw/base/endpoint.hpp"
#include "fw/daemon/bans.hpp"
#include "fw/daemon/control.hpp"
#include "fw/daemon/feeds.hpp"
#include "fw/daemon/metrics_server.hpp"
#include "fw/daemon/requests.hpp"
#include "fw/daemon/shared.hpp"
#include "fw/store/store.hpp"

namespace fw {

class Servers final : private RequestContext {
 public:
  /// `count` adds what the other parts of the daemon have counted.
  Servers(Shared& shared, chains::Kernel& kernel, Store& store, Bans& bans, Feeds& feeds,
          std::function<void(DaemonCounts&)> count);

  /// Makes the control socket.
  Result<void> listen(const std::string& socket) { return control_.listen(socket); }
  /// Serves the metrics where the policy in force wants them, unless it does so already.
  void serve_metrics();

 private:
  const std::string& state_dir() const override { return shared_.state_dir; }
  const Policy& policy() const override { return shared_.in_force.policy(); }
  HttpRules http_rules() override;
  const BlockGuard& guard() override { return bans_.guard(); }
  chains::Kernel& kernel() override { return kernel_; }
  Store& store() override { return store_; }
  const TrafficStats& traffic() const override { return feeds_.traffic(); }
  DaemonCounts counts() const override;
  void applied(std::chrono::microseconds took) override;
  void with_lock(std::function<void()> work, std::function<void(const Error&)> busy) override;
  void record(const std::string& what, const Actor& actor, const std::string& summary,
              const boost::json::object& details) override;

  Shared& shared_;
  chains::Kernel& kernel_;
  Store& store_;
  Bans& bans_;
  Feeds& feeds_;
  std::function<void(DaemonCounts&)> count_;
  ControlServer control_;
  std::optional<MetricsServer> metrics_;
  std::optional<Endpoint> metrics_at_;  ///< where it listens
  std::uint64_t applies_ = 0;           ///< of commands
  std::chrono::microseconds last_apply_{0};
};

}  // namespace fw
