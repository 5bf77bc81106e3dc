// What is remembered about the lists of the last apply, as the text file `index` next to the sets.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <sys/stat.h>

#include "fw/lists/lists.hpp"

namespace fw {

/// By what a file is known to be unchanged; inode 0: it is not known, read it.
struct Stamp {
  std::uint64_t device = 0;
  std::uint64_t inode = 0;
  std::uint64_t size = 0;
  std::int64_t mtime_ns = 0;
  std::int64_t ctime_ns = 0;

  bool operator==(const Stamp&) const = default;
};
Stamp stamp_of(const struct ::stat& status);

/// One list file: what it had when it was last read, and the content in force.
struct RememberedFile {
  Stamp stamp;
  Digest digest;            ///< of the content in force
  std::size_t entries = 0;  ///< of the content in force
  bool whole = false;  ///< the content in force is a whole file, not the good lines of a bad one
  std::size_t bad_count = 0;             ///< in the file that has the stamp
  std::vector<BadLine> bad;              ///< the first of them
  std::optional<std::size_t> not_taken;  ///< entries of the file that has the stamp: too few
  Digest spared;                         ///< the space for which the rest was found
  std::size_t left_count = 0;            ///< entries in it
  std::vector<BadLine> left_out;         ///< the first of them
  std::vector<BadLine> wide;             ///< entries that why_wide names

  bool operator==(const RememberedFile&) const = default;
};

struct Index {
  std::map<std::string, RememberedFile> files;  ///< by absolute path
  std::string inputs;                           ///< what the effective sets were computed from
  Digest block;
  Digest allow;
  ListSize block_size;
  ListSize allow_size;

  bool operator==(const Index&) const = default;
};

std::string to_text(const Index& index);
/// Nothing when the text is not exactly what to_text made of an index.
std::optional<Index> parse_index(std::string_view text);

}  // namespace fw
