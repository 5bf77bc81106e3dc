// The bytes of a capture: a file or standard input, decompressed on the way where need be.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>

#include "fw/base/result.hpp"

namespace capture {

class Stream {
 public:
  /// "-" is standard input. gzip and zstd are recognized by their first bytes, not by name.
  static fw::Result<Stream> open(const std::string& path);

  Stream(Stream&&) noexcept;
  Stream& operator=(Stream&&) noexcept;
  ~Stream();

  /// A stdio file of the plain bytes, for one taker, who closes it before the stream goes. Not
  /// seekable, but it tells its position.
  std::FILE* file();

  bool is_empty() const;  ///< there is not one byte
  /// Why reading ended early, but for what is in the plain bytes themselves; "" when all is well.
  const std::string& problem() const;
  /// Bytes read, as they are stored, and how many there are in all; 0 for a pipe.
  std::uint64_t position() const;
  std::uint64_t size() const;

  struct State;

 private:
  explicit Stream(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace capture
