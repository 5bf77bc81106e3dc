// Files: handles that close themselves, reading with a bound, replacing whole and durably.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstddef>
#include <expected>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <sys/stat.h>

#include "fw/base/result.hpp"

namespace fw {

/// Owns a descriptor: of a file, a folder, a socket, a pipe; -1: none.
class File {
 public:
  File() = default;
  explicit File(int fd) : fd_(fd) {}
  File(File&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  File& operator=(File&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~File() { close(); }
  void close();

  explicit operator bool() const { return fd_ >= 0; }
  int fd() const { return fd_; }

 private:
  int fd_ = -1;
};

/// Opens a regular file for reading, and says what it is. Anything else (a folder, a FIFO, a
/// device) is an error: it is not waited for, and reading it has no side effect.
struct OpenFile {
  File file;
  struct ::stat status {};
};
Result<OpenFile> open_regular(const std::string& path);

/// Reads exactly `size` bytes, or up to `size` when the file ends before: returns how many.
Result<std::size_t> read_some(const File& file, void* to, std::size_t size);

/// Everything up to the end of the file, or a bit more than `most` bytes. Errors: errno, or -1 for
/// what is not a regular file; a FIFO does not hang it.
std::expected<std::string, int> read_text_file(const std::string& path, std::size_t most);

/// What such an error means.
const char* why_unreadable(int error);

/// All of a file of the kernel's, such as those of /proc; "" when it cannot be read.
std::string read_kernel_file(const std::string& path);

/// Opens a folder, made with mode 0700 (and its parents) where it does not exist.
Result<File> make_folder(const std::string& path);

/// Makes `folder`/`name` hold exactly `parts`: after a crash at any moment it holds the old content
/// or the new one. The rename itself is durable once the folder is synced.
using FileBytes = std::span<const std::byte>;
Result<void> replace_file(const File& folder, const std::string& name,
                          const std::vector<FileBytes>& parts);

/// Waits until the disk has it.
Result<void> sync_folder(const File& folder);

}  // namespace fw
