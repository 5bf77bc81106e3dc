// Flows as they begin and end, from the kernel's connection tracking.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "chains/netlink/flow.hpp"
#include "fw/base/port.hpp"

namespace chains {

struct FlowEvent {
  enum class Kind : std::uint8_t {
    snapshot,  ///< what was known before is void; `flow` is empty, and what lives now follows
    lives,     ///< it began before this, and if the feed was open then, it was reported
    began,     ///< told once for each flow: at its first packet that passed, or when found later
    ended,     ///< it was reported that this flow began or lives
  };
  Kind kind = Kind::began;
  Flow flow;
};

struct FlowFeedOptions {
  /// Only flows to these ports (the original destination: before DNAT) are reported.
  std::vector<fw::PortRange> ports;
  std::size_t buffer_bytes = std::size_t{32} << 20;  ///< of the kernel's queue
};

/// Begins with a snapshot. Where the queue overflows, what was lost is counted, and a further
/// snapshot finds what still lives: then `began` reports the flows that were missed. One that
/// both began and ended unheard remains lost.
///
/// The kernel tells the end of those flows only that began while a socket listened; of others only
/// a later snapshot (see refresh) shows that they are gone.
class FlowFeed {
 public:
  /// In the network namespace of the calling thread. Needs CAP_NET_ADMIN there.
  static fw::Result<FlowFeed> open(const FlowFeedOptions& options);

  FlowFeed(FlowFeed&&) noexcept;
  FlowFeed& operator=(FlowFeed&&) noexcept;
  ~FlowFeed();

  /// Readable while drain() has something to do: for poll, epoll or an event loop.
  int fd() const;

  /// What was reported since the last call, in order, at most kDrainMax events or a little more;
  /// never waits. The events last until the next call. Who rests a millisecond between two calls is
  /// woken once for many events.
  static constexpr std::size_t kDrainMax = 16 * 1024;
  fw::Result<std::span<const FlowEvent>> drain();

  /// Asks for a snapshot.
  void refresh();

  struct Counts {
    std::uint64_t messages = 0;   ///< read
    std::uint64_t lost = 0;       ///< messages for which the queue had no room
    std::uint64_t snapshots = 0;  ///< begun
    std::uint64_t recovered = 0;  ///< flows that only a snapshot found
  };
  const Counts& counts() const;

 private:
  struct State;
  explicit FlowFeed(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace chains
