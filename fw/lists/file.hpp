// The few file operations that lists need: above all files that are replaced whole and durably.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include <sys/stat.h>

#include "fw/base/file.hpp"
#include "fw/base/result.hpp"

namespace fw {

/// Opens a regular file for reading, and says what it is. Anything else (a folder, a FIFO, a
/// device) is an error: it is not waited for, and reading it has no side effect.
struct OpenFile {
  File file;
  struct ::stat status {};
};
Result<OpenFile> open_regular(const std::string& path);

/// Reads exactly `size` bytes, or up to `size` when the file ends before: returns how many.
Result<std::size_t> read_some(const File& file, void* to, std::size_t size);

/// Opens a folder, made with mode 0700 (and its parents) where it does not exist.
Result<File> make_folder(const std::string& path);

/// Makes `folder`/`name` hold exactly `parts`: after a crash at any moment it holds the old content
/// or the new one. The rename itself is durable once the folder is synced.
using Bytes = std::span<const std::byte>;
Result<void> replace_file(const File& folder, const std::string& name,
                          const std::vector<Bytes>& parts);

/// Waits until the disk has it.
Result<void> sync_folder(const File& folder);

}  // namespace fw
