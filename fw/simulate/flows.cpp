// The connections that a capture shows, in bounded memory.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/simulate/flows.hpp"

#include <algorithm>
#include <tuple>

namespace simulate {

namespace {

std::uint64_t endpoint(const limiter::Secret& secret, fw::Ip ip, std::uint16_t port) {
  return limiter::hash(secret, limiter::Key{static_cast<std::uint64_t>(ip.bits >> 64),
                                            static_cast<std::uint64_t>(ip.bits), port,
                                            static_cast<std::uint32_t>(ip.family)});
}

}  // namespace

std::uint64_t flow_id(const limiter::Secret& secret, const capture::Packet& packet) {
  const std::uint64_t a = endpoint(secret, packet.source, packet.source_port);
  const std::uint64_t b = endpoint(secret, packet.destination, packet.destination_port);
  const std::uint64_t id = limiter::hash(secret, (a + b) ^ packet.protocol);
  return id != 0 ? id : 1;
}

bool from_lower(const capture::Packet& p) {
  if (p.source.bits != p.destination.bits) return p.source.bits < p.destination.bits;
  return p.source_port < p.destination_port;
}

fw::Result<Flows> Flows::make(std::size_t slots_max) {
  auto pages = limiter::Pages::map(kSlotsMin * sizeof(Flow));
  if (!pages) return std::unexpected(pages.error());
  return Flows(std::move(*pages), kSlotsMin, std::max(slots_max, kSlotsMin));
}

Flow* Flows::insert(const Flow& flow, Moment now) {
  if (is_full()) make_room(now);
  Flow* slot = place(flow.id, now);
  while (slot == nullptr && make_room(now)) slot = place(flow.id, now);
  if (slot == nullptr) {
    slot = first_to_end(flow.id);
    ++forgotten_;
  }
  if (slot->id == 0) ++used_;
  *slot = flow;
  return slot;
}

Flow* Flows::place(std::uint64_t id, Moment now) const {
  Flow* free = nullptr;
  std::size_t at = home(id);
  for (int i = 0; i < kNear; ++i, at = next(at)) {
    Flow& slot = slots()[at];
    if (slot.id == id) return &slot;
    if (free == nullptr && slot.end <= now) free = &slot;
    if (slot.id == 0) break;
  }
  return free;
}

Flow* Flows::first_to_end(std::uint64_t id) const {
  Flow* first = &slots()[home(id)];
  std::size_t at = home(id);
  for (int i = 0; i < kNear; ++i, at = next(at)) {
    if (slots()[at].end < first->end) first = &slots()[at];
  }
  return first;
}

/// Leaves out the flows that have ended, or makes the table twice as large. False when it is as
/// large as it gets.
bool Flows::make_room(Moment now) {
  if (patience_ != 0) {
    --patience_;
    return false;
  }
  const auto live =
      std::count_if(slots(), slots() + size_, [now](const Flow& f) { return f.end > now; });
  if (is_full() && static_cast<std::size_t>(live) < size_ / 2) return rebuild(size_, now);
  if (size_ < size_max_ && rebuild(size_ * 2, now)) return true;
  size_max_ = size_;  // if it was not so before, there is no more memory
  patience_ = size_ / 8;
  return false;
}

bool Flows::rebuild(std::size_t size, Moment now) {
  auto pages = limiter::Pages::map(size * sizeof(Flow));
  if (!pages) return false;
  const limiter::Pages old = std::exchange(pages_, std::move(*pages));
  const std::size_t old_size = std::exchange(size_, size);
  const Flow* const flows = static_cast<const Flow*>(old.data());
  used_ = 0;
  for (std::size_t i = 0; i < old_size; ++i) {
    if (flows[i].end <= now) continue;
    Flow* slot = place(flows[i].id, now);
    if (slot == nullptr) {
      slot = first_to_end(flows[i].id);
      ++forgotten_;
    }
    if (slot->id == 0) ++used_;
    *slot = flows[i];
  }
  return true;
}

void Flows::clear() {
  std::fill_n(slots(), size_, Flow{});
  used_ = 0;
}

}  // namespace simulate
