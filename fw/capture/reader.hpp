// Packets out of captures: pcap and pcapng, compressed or not, files or a pipe.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "fw/base/result.hpp"
#include "fw/capture/packet.hpp"

namespace capture {

class Reader {
 public:
  /// "-" is standard input. Errors: no such file, not a capture, a link type that is not read,
  /// libpcap not installed; each with the remedy.
  static fw::Result<Reader> open(const std::string& path);

  Reader(Reader&&) noexcept;
  Reader& operator=(Reader&&) noexcept;
  ~Reader();

  /// The next packets of IP; fewer than there is room for only at the end. After the end: 0.
  std::size_t read(std::span<Packet> out);

  /// Why the end came before that of the capture: truncated, corrupt, an I/O error. It names the
  /// file, the frame and the byte.
  const std::optional<fw::Error>& broken() const;

  struct Counts {
    std::uint64_t frames = 0;     ///< read, of whatever kind
    std::uint64_t bytes = 0;      ///< as they were on the wire
    std::uint64_t not_ip = 0;     ///< ARP, LLDP, ...
    std::uint64_t malformed = 0;  ///< IP, but its headers contradict themselves or are cut off
  };
  const Counts& counts() const;

  /// Bytes of the file read so far, before decompression, and its size; 0 for a pipe.
  std::uint64_t position() const;
  std::uint64_t size() const;

 private:
  struct State;
  explicit Reader(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace capture
