// Captures from strangers: whatever the bytes are, reading and judging them ends, without a fault.
// SPDX-License-Identifier: GPL-2.0-or-later
#include <array>
#include <cstdint>
#include <optional>

#include "fw/capture/decode.hpp"
#include "fw/capture/reader.hpp"
#include "fw/effective/policy.hpp"
#include "fw/simulate/firewall.hpp"
#include "tests/fuzz/memory_file.hpp"

namespace {

void decode_as_all(std::span<const std::uint8_t> bytes) {
  using capture::LinkType;
  capture::Packet packet;
  for (const LinkType link :
       {LinkType::ethernet, LinkType::cooked, LinkType::cooked2, LinkType::raw, LinkType::null}) {
    capture::decode(link, bytes, packet);
  }
}

simulate::Rules rules_to(fw::Ip host) {
  simulate::Addresses addresses;
  addresses.hosts = {host};
  return {fw::default_policy(), addresses};
}

void judge(std::span<const capture::Packet> packets, simulate::Firewall& firewall) {
  firewall.take(packets);
  for (const simulate::Tally& tally : firewall.tallies()) {
    tally.smallest();
    tally.refused_clients();
  }
  firewall.closed_ports();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  decode_as_all({data, size});
  const MemoryFile file({data, size});
  auto reader = capture::Reader::open(file.path());
  if (!reader) return 0;
  std::array<capture::Packet, 64> packets;
  std::optional<simulate::Firewall> firewall;
  while (const std::size_t n = reader->read(packets)) {
    if (!firewall) firewall = *simulate::Firewall::make(rules_to(packets[0].destination), {});
    judge(std::span(packets).first(n), *firewall);
  }
  return 0;
}
