// Packets by hand: forged ones, floods, and many handshakes that end at one moment.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "tests/lab/network.hpp"
#include "tests/lab/protocol.hpp"

namespace lab {

inline constexpr std::uint8_t kFin = 1, kSyn = 2, kRst = 4, kPsh = 8, kAck = 16;
inline constexpr std::uint8_t kIcmp = 1, kIgmp = 2, kTcp = 6, kUdp = 17, kIcmp6 = 58;

/// TCP, UDP or an ICMP echo (then `port_to` is the type and `port_from` the identifier). Of what
/// came in also IGMP and other ICMP, by `port_to`; behind hop-by-hop options, too.
struct Packet {
  Ip from;
  Ip to;
  std::uint8_t protocol = kTcp;
  std::uint16_t port_from = 0;
  std::uint16_t port_to = 0;
  std::uint8_t flags = 0;
  std::uint32_t sequence = 0;
  std::uint32_t acknowledged = 0;
  std::string options{};     ///< of TCP, in whole words of four bytes
  std::string data{};        ///< behind TCP's header
  std::string ip_options{};  ///< of IPv4, in whole words of four bytes; not read back
};

/// Packets as they go over the wire.
using Frames = std::vector<std::string>;

/// A packet of any protocol, with the checksum of ICMP or IGMP put in at byte 2 of the payload.
/// Multicast goes to the group's own MAC. With a hop limit of 1 it carries a router alert.
struct AnyPacket {
  Ip from;
  Ip to;
  std::uint8_t protocol = 0;
  std::string payload;
  std::uint8_t hop_limit = 64;
};

/// A packet socket on a device named eth0.
class RawLink {
 public:
  RawLink(const Namespace& where, const Mac& from, const Mac& to);
  /// Of the outside, towards the host.
  explicit RawLink(const Network& network) : RawLink(network.outside, kOutsideMac, kHostMac) {}

  Frames frames(const std::vector<Packet>& packets) const;
  std::string frame_of(const AnyPacket& packet) const;
  /// As fast as it goes. Fails unless all were sent.
  void send(const Frames& frames) const;
  void send(const std::vector<Packet>& packets) const { send(frames(packets)); }
  /// Again and again at `per_second` until told to stop; gives how many were sent.
  std::size_t flood(const Frames& frames, double per_second, const std::atomic<bool>& stop) const;
  /// What came in until now; waits for the first at most so long.
  std::vector<Packet> receive(Clock::duration patience);
  /// The same as they came; without their outermost tag, which the kernel takes off.
  Frames receive_frames(Clock::duration patience);

 private:
  Fd sender_;
  Fd receiver_;
  Mac from_;
  Mac to_;
};

/// Many connections of one source whose handshakes all wait for their last step.
class Handshakes {
 public:
  /// Sends the SYNs, to the ports in turn, and waits until every one is answered. The source
  /// address must be a stranger's, or its namespace be kept quiet.
  Handshakes(RawLink& link, Ip from, Ip to, const PortList& ports, std::size_t count,
             std::uint16_t first_port = 10'000);
  std::size_t count() const { return last_.size(); }
  /// The word goes with the last step. Who has the answer resets the connection.
  void speak(const Protocol& protocol);
  /// The last step of all, at once.
  void finish();
  /// Resets that came since.
  std::size_t resets();
  /// How many were answered as the protocol has it.
  std::size_t answers();
  /// How many were neither answered nor reset.
  std::size_t open();

 private:
  void hear();

  RawLink& link_;
  std::vector<Packet> last_;
  std::map<std::uint16_t, std::size_t> last_of_;  ///< index of the last step, by the client's port
  std::set<std::uint16_t> open_;
  std::string answer_;
  std::size_t resets_ = 0;
  std::size_t answers_ = 0;
};

/// What became of handshakes that were all finished at one moment.
struct Burst {
  std::size_t admitted = 0;
  std::size_t refused = 0;
  std::size_t resets = 0;  ///< that the client got
  double seconds = 0;      ///< from before the first last step until after the last

  /// The most that a bucket of `burst` and `per_second` may admit meanwhile.
  std::size_t allowed(std::size_t burst, double per_second) const {
    return burst + static_cast<std::size_t>(per_second * seconds);
  }
};
/// Finishes all and waits until `limit` of the table on `host` has decided on every one.
Burst finish(const std::vector<Handshakes*>& handshakes, const Namespace& host,
             const std::string& limit);

/// Keeps a namespace from answering to ports that Handshakes uses.
void keep_quiet(const Namespace& where);

}  // namespace lab
