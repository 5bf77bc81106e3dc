// Packets that the firewall refused, as the rules copy them to an nflog group.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include <linux/netlink.h>

#include "fw/base/packet.hpp"
#include "fw/base/result.hpp"

namespace chains {

struct Refusal {
  enum class Why : std::uint8_t {
    limit,   ///< a limit's budget was spent
    closed,  ///< the port is closed
    other,   ///< a rule of another program copies to the same group
  };
  Why why = Why::other;
  std::string limit;  ///< its name
  fw::Packet packet;
  /// The packet belongs to a connection whose handshake was completed: its sender is who it says it
  /// is. Anybody can forge the sender of another packet.
  bool shaken = false;

  bool operator==(const Refusal&) const = default;
};

/// From one message of the log subsystem. False when it is none, or is malformed.
bool read_refusal(const nlmsghdr* message, Refusal& out);

/// The rules copy 50 packets a second of each kind, and 100 at once; what is more is only counted
/// in the kernel.
class RefusalFeed {
 public:
  /// In the network namespace of the calling thread; needs CAP_NET_ADMIN there. A group has one
  /// listener: a second one is an error.
  static fw::Result<RefusalFeed> open(std::uint16_t group,
                                      std::size_t buffer_bytes = std::size_t{1} << 20);

  RefusalFeed(RefusalFeed&&) noexcept;
  RefusalFeed& operator=(RefusalFeed&&) noexcept;
  ~RefusalFeed();

  /// Readable while drain() has something to do.
  int fd() const;

  /// What came since the last call, at most kDrainMax; never waits. Lasts until the next call.
  static constexpr std::size_t kDrainMax = 1024;
  fw::Result<std::span<const Refusal>> drain();

  struct Counts {
    std::uint64_t messages = 0;   ///< read
    std::uint64_t lost = 0;       ///< for which the queue had no room
    std::uint64_t malformed = 0;  ///< skipped
  };
  const Counts& counts() const;

 private:
  struct State;
  explicit RefusalFeed(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace chains
