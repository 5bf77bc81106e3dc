// Text files that an admin wrote.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/policy/text_file.hpp"

#include <array>
#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace fw {
namespace {

/// 0, or why it cannot be read as a file: -1 is "not a regular file".
int not_readable(int fd) {
  struct ::stat status {};
  if (fstat(fd, &status) != 0) return errno;
  if (S_ISDIR(status.st_mode)) return EISDIR;
  return S_ISREG(status.st_mode) ? 0 : -1;
}

}  // namespace

std::expected<std::string, int> read_text_file(const std::string& path, std::size_t most) {
  // O_NONBLOCK: opening a FIFO that nobody writes to must not hang.
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
  if (fd < 0) return std::unexpected(errno);
  std::string text;
  std::array<char, 64 * 1024> buffer;
  int problem = not_readable(fd);
  while (problem == 0 && text.size() <= most) {
    const ssize_t got = ::read(fd, buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) problem = errno;
    if (got <= 0) break;
    text.append(buffer.data(), static_cast<std::size_t>(got));
  }
  close(fd);
  if (problem != 0) return std::unexpected(problem);
  return text;
}

const char* why_unreadable(int error) {
  return error < 0 ? "it is not a regular file" : std::strerror(error);
}

}  // namespace fw
