// The kernel's events of packets and flows: refusals, and connections that come and go.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <functional>
#include <optional>

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>

#include "chains/netlink/flow_feed.hpp"
#include "chains/netlink/refusal_feed.hpp"
#include "fw/daemon/counts.hpp"
#include "fw/daemon/traffic_stats.hpp"
#include "fw/policy/policy.hpp"
#include "fw/service/messages.hpp"
#include "fw/service/timers.hpp"

namespace fw {

class Feeds {
 public:
  struct Handlers {
    std::function<void(const chains::Refusal&)> refused;
    /// Connection tracking forgot flows that their ends did not close.
    std::function<void()> forgotten;
  };

  Feeds(boost::asio::io_context& io, Messages& messages, Handlers handlers);
  ~Feeds();

  /// Another policy is in force: restarts the counts, and asks the kernel for what it needs.
  void begin(const Policy& policy);
  /// Opens again what could not be opened, or ended.
  void reopen_lost(const Policy& policy);

  /// What was seen since begin().
  TrafficStats& traffic() { return *traffic_; }

  void add_counts(DaemonCounts& to) const;

 private:
  void open(const Policy& policy);
  void open_refusals(const Policy& policy);
  void open_flows(const Policy& policy);
  void release();
  void listen_for_refusals();
  void read_refusals();
  void listen_for_flows();
  void read_flows();

  Messages& messages_;
  Handlers handlers_;
  std::optional<TrafficStats> traffic_;
  std::optional<chains::RefusalFeed> refusals_;
  std::optional<chains::FlowFeed> flows_;
  boost::asio::posix::stream_descriptor refusals_fd_;  ///< of refusals_, which owns it
  boost::asio::posix::stream_descriptor flows_fd_;     ///< of flows_, which owns it
  boost::asio::steady_timer rest_;                     ///< before flows are read
  Periodic fade_;
};

/// Did connection tracking forget a flow whose ends did not close it? That is somebody's
/// "conntrack -F", or a block of ours.
bool was_open(const chains::FlowEvent& event);

/// The ports of the connections that are counted: those that are open or limited.
chains::FlowFeedOptions counted_flows(const Policy& policy);

}  // namespace fw
