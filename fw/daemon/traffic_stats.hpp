// Statistics of flows and refusals: the busiest sources, in fixed memory.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <boost/unordered/unordered_flat_map.hpp>

#include "chains/netlink/flow_feed.hpp"
#include "chains/netlink/refusal_feed.hpp"
#include "fw/host/counts.hpp"
#include "fw/policy/policy.hpp"
#include "limiter/top.hpp"

namespace fw {

class TrafficStats {
 public:
  explicit TrafficStats(const Policy& policy);

  /// Other apps from now on, or others' addresses; who stays keeps its count.
  void know(const std::vector<App>& apps);
  /// Some have other addresses. False, and nothing is done, when not all have their namesake in the
  /// same place.
  bool know(const std::vector<App>& before, const std::vector<App>& after);

  bool is_app(Ip ip) const { return app_of_.contains(ip); }

  void see(const chains::FlowEvent& event);
  void see(const chains::Refusal& refusal);
  /// Once in a while: the past weighs half from now on.
  void fade();

  std::vector<Busy> busiest(std::size_t n) const { return sources(connections_, n); }
  std::vector<Busy> most_refused(std::size_t n) const { return sources(refusals_, n); }

  const std::vector<AppCount>& apps() const { return apps_; }
  std::uint64_t connections() const { return began_; }  ///< begun, in all
  std::uint64_t refusals() const { return refused_; }   ///< copies that were seen
  std::uint64_t open() const { return open_; }  ///< flows that live, of those that are reported

 private:
  static std::vector<Busy> sources(const limiter::Top& top, std::size_t n);

  limiter::Top connections_;
  limiter::Top refusals_;
  std::vector<AppCount> apps_;
  boost::unordered_flat_map<Ip, std::size_t, IpHash> app_of_;
  std::uint64_t began_ = 0;
  std::uint64_t refused_ = 0;
  std::uint64_t open_ = 0;
};

}  // namespace fw
