// The connections that a capture shows, in bounded memory.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstddef>
#include <cstdint>

#include "fw/capture/packet.hpp"
#include "limiter/hash.hpp"
#include "limiter/memory.hpp"

namespace simulate {

/// Time in sixteenths of a second since the begin of the simulation: enough for 8 years.
using Moment = std::uint32_t;
inline constexpr Moment kMomentsOfSecond = 16;

enum class FlowState : std::uint8_t {
  begun,     ///< TCP: the first SYN passed
  acked,     ///< TCP: an ACK was seen, but not yet what it answers
  answered,  ///< TCP: the host's SYN-ACK was seen too
  open,      ///< admitted, or nobody's question
  refused,   ///< by a limit, or dropped: what follows of a TCP connection is not judged again
  ended,     ///< TCP: the first FIN was seen; a SYN begins another one
  closed,    ///< TCP: RST, or both FINs and what followed: no longer one of those at once
};

struct Flow {
  std::uint64_t id = 0;     ///< 0: no flow
  Moment end = 0;           ///< forgotten from then on
  std::int16_t limit = -1;  ///< index of the policy's limit that counts it; -1: none
  std::uint8_t number = 0;  ///< TCP: the highest byte of what an ACK acknowledges
  FlowState state : 3 = FlowState::begun;
  bool lower_began : 1 = false;  ///< the endpoint that compares as lower sent the first packet
  bool refused_at_begin : 1 = false;
  bool replied : 1 = false;    ///< UDP: both sides have spoken
  bool began_fin : 1 = false;  ///< TCP: the beginner has sent its last
  bool other_fin : 1 = false;  ///< TCP: so has the other
};
static_assert(sizeof(Flow) == 16);

/// An open table of flows: each stands in one of the kNear slots from its own on. The table doubles
/// when it is full; at its largest it forgets that one of the near flows that would end first. A
/// flow is known by 64 bits of a keyed hash: of 16 million flows two are taken for one with a
/// probability of 1 in 100,000.
class Flows {
 public:
  static constexpr std::size_t kSlotsMin = std::size_t{1} << 16;
  static constexpr int kNear = 32;

  /// `slots_max`: a power of two. 16 bytes each.
  static fw::Result<Flows> make(std::size_t slots_max);

  void prefetch(std::uint64_t id) const { __builtin_prefetch(slots() + home(id), 1); }
  /// Null when there is none that lives.
  Flow* find(std::uint64_t id, Moment now) {
    std::size_t at = home(id);
    for (int i = 0; i < kNear; ++i, at = next(at)) {
      Flow& flow = slots()[at];
      if (flow.id == id) return flow.end > now ? &flow : nullptr;
      if (flow.id == 0) break;
    }
    return nullptr;
  }
  /// In the place of one of the same id, if there was one. The pointer lasts until the next insert.
  Flow* insert(const Flow& flow, Moment now);

  void clear();
  /// Flows that lived and had to go because the table was full.
  std::uint64_t forgotten() const { return forgotten_; }

 private:
  Flows(limiter::Pages pages, std::size_t size, std::size_t size_max)
      : pages_(std::move(pages)), size_(size), size_max_(size_max) {}

  Flow* slots() const { return static_cast<Flow*>(pages_.data()); }
  std::size_t home(std::uint64_t id) const { return id & (size_ - 1); }
  std::size_t next(std::size_t at) const { return (at + 1) & (size_ - 1); }
  bool is_full() const { return used_ >= size_ / 10 * 7; }
  bool make_room(Moment now);
  bool rebuild(std::size_t size, Moment now);
  /// The slot of an id, or one that is free for it; or else null.
  Flow* place(std::uint64_t id, Moment now) const;
  Flow* first_to_end(std::uint64_t id) const;

  limiter::Pages pages_;
  std::size_t size_;  ///< slots; a power of two
  std::size_t size_max_;
  std::size_t used_ = 0;      ///< slots that are not empty; their flows may have ended
  std::size_t patience_ = 0;  ///< inserts until it is worth looking for room again
  std::uint64_t forgotten_ = 0;
};

/// Which flow a packet belongs to, the same for both directions; never 0.
std::uint64_t flow_id(const limiter::Secret& secret, const capture::Packet& packet);
/// Is the sender the endpoint that compares as lower?
bool from_lower(const capture::Packet& packet);

}  // namespace simulate
