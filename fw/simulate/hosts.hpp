// Which addresses in a capture are the host's own.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "fw/base/address.hpp"
#include "fw/capture/packet.hpp"

namespace simulate {

/// As many packets are enough to tell.
inline constexpr std::size_t kSamplePackets = 65'536;
/// Bounds what a capture can make of them.
inline constexpr std::size_t kHostsMax = 1024;

struct Hosts {
  enum class Why : std::uint8_t {
    given,      ///< the user named them
    machine,    ///< this machine has them, and they occur in the capture
    direction,  ///< the capture says that they sent
    frequency,  ///< most packets come from them or go to them
  };
  std::vector<fw::Ip> addresses;  ///< ascending
  Why why = Why::given;
  std::optional<fw::Ip> rival;  ///< might as well be the host, for all that the capture shows
  double share = 1;             ///< of the sample's packets, from or to one of them
  bool one_way = false;         ///< none of the packets is from them

  bool operator==(const Hosts&) const = default;
};

/// `given` are taken as they are. `machine`: the addresses of this machine. `apart`: networks whose
/// addresses are never the host's (those of the apps).
Hosts find_hosts(std::span<const capture::Packet> sample, std::vector<fw::Ip> given,
                 std::vector<fw::Ip> machine, const std::vector<fw::IpRange>& apart);

}  // namespace simulate
