// Several captures as one, in order of time.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "fw/capture/reader.hpp"

namespace capture {

class Captures {
 public:
  static constexpr std::size_t kFilesMax = 256;
  static constexpr std::size_t kBatch = 1024;

  /// All of them are opened; "-" is standard input. Errors: those of Reader::open, too many files.
  static fw::Result<Captures> open(const std::vector<std::string>& paths);

  /// How far a packet of a capture may stand behind a later one to be put in order.
  static constexpr std::size_t kFew = 64;

  /// The next packets, at least one; none at the end. They last until the next call.
  std::span<const Packet> read();

  /// What ended before its end, in the order of the files.
  std::vector<fw::Error> broken() const;
  Reader::Counts counts() const;   ///< of all
  std::uint64_t position() const;  ///< bytes read of all files
  std::uint64_t size() const;      ///< of all files; 0 when one is a pipe

 private:
  /// A capture, and what was read of it and not given yet.
  struct Source {
    explicit Source(Reader r) : reader(std::move(r)) {}
    bool fill();  ///< false at the end

    Reader reader;
    std::vector<Packet> batch = std::vector<Packet>(kBatch);
    std::size_t kept = 0;  ///< at the end of the batch, for the next one
    std::span<const Packet> left;
  };

  std::vector<std::unique_ptr<Source>> sources_;
  std::vector<Source*> active_;
  std::vector<Packet> merged_;
};

}  // namespace capture
