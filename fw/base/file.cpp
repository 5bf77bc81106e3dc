// Files: opened, read with a bound, durably replaced.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/base/file.hpp"

#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <system_error>

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include "fw/base/owner.hpp"

namespace fw {
namespace {

/// Opening a FIFO that nobody writes to does not hang.
File open_to_read(const std::string& path) {
  return File(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
}

/// 0, or why it cannot be read as a file: -1 is "not a regular file".
int not_readable(const File& file) {
  struct ::stat status {};
  if (!file || ::fstat(file.fd(), &status) != 0) return errno;
  if (S_ISDIR(status.st_mode)) return EISDIR;
  return S_ISREG(status.st_mode) ? 0 : -1;
}

Result<void> write_all(int fd, FileBytes bytes) {
  while (!bytes.empty()) {
    const ::ssize_t n = ::write(fd, bytes.data(), bytes.size());
    if (n < 0) {
      if (errno == EINTR) continue;
      return fail_errno(ErrorCode::io, "cannot write", errno);
    }
    bytes = bytes.subspan(static_cast<std::size_t>(n));
  }
  return {};
}

Result<void> write_durably(int fd, const std::vector<FileBytes>& parts) {
  for (const FileBytes part : parts) {
    if (auto written = write_all(fd, part); !written) return written;
  }
  if (::fdatasync(fd) != 0) return fail_errno(ErrorCode::io, "cannot write", errno);
  return {};
}

}  // namespace

void File::close() {
  if (fd_ >= 0) ::close(std::exchange(fd_, -1));
}

Result<OpenFile> open_regular(const std::string& path) {
  OpenFile open{open_to_read(path), {}};
  if (!open.file || ::fstat(open.file.fd(), &open.status) != 0)
    return fail_errno(ErrorCode::io, fmt::format("cannot open {}", path), errno);
  if (S_ISDIR(open.status.st_mode))
    return fail_errno(ErrorCode::io, fmt::format("cannot read {}", path), EISDIR);
  if (!S_ISREG(open.status.st_mode))
    return fail(ErrorCode::io, fmt::format("cannot read {}: it is not a regular file", path));
  return open;
}

Result<std::size_t> read_some(const File& file, void* to, std::size_t size) {
  std::size_t done = 0;
  while (done < size) {
    const ::ssize_t n = ::read(file.fd(), static_cast<char*>(to) + done, size - done);
    if (n == 0) break;
    if (n < 0) {
      if (errno == EINTR) continue;
      return fail_errno(ErrorCode::io, "cannot read", errno);
    }
    done += static_cast<std::size_t>(n);
  }
  return done;
}

std::expected<std::string, int> read_text_file(const std::string& path, std::size_t most) {
  const File file = open_to_read(path);
  if (const int problem = not_readable(file); problem != 0) return std::unexpected(problem);
  std::string text;
  std::array<char, 64 * 1024> buffer;
  while (text.size() <= most) {
    const auto got = read_some(file, buffer.data(), buffer.size());
    if (!got) return std::unexpected(got.error().sys_errno);
    if (*got == 0) break;
    text.append(buffer.data(), *got);
  }
  return text;
}

const char* why_unreadable(int error) {
  return error < 0 ? "it is not a regular file" : std::strerror(error);
}

std::string read_kernel_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

Result<File> make_folder(const std::string& path) {
  const auto failed = [&path](int reason) {
    return fail_errno(ErrorCode::io, fmt::format("cannot open the folder {}", path), reason);
  };
  const auto open = [&path] { return File(::open(path.c_str(), O_DIRECTORY | O_CLOEXEC)); };
  if (File folder = open()) return folder;
  if (errno != ENOENT) return failed(errno);
  const std::filesystem::path parent = std::filesystem::path(path).parent_path();
  std::error_code error;
  if (!parent.empty() && !std::filesystem::exists(parent, error)) {
    if (auto made = make_folder(parent.string()); !made) return made;
  }
  const bool made = ::mkdir(path.c_str(), 0700) == 0;
  if (!made && errno != EEXIST) return failed(errno);
  if (File folder = open()) {
    if (made) give_to_owner(folder.fd(), parent.string());
    return folder;
  }
  return failed(errno);
}

Result<void> replace_file(const File& folder, const std::string& name,
                          const std::vector<FileBytes>& parts) {
  const std::string temporary = name + ".new";
  const auto failed = [&](int reason) {
    ::unlinkat(folder.fd(), temporary.c_str(), 0);
    return fail_errno(ErrorCode::io, fmt::format("cannot write {}", name), reason);
  };
  // Whatever a crash, or somebody else, left in its place: a FIFO would be waited for.
  ::unlinkat(folder.fd(), temporary.c_str(), 0);
  const File file(::openat(folder.fd(), temporary.c_str(),
                           O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!file) return failed(errno);
  give_to_owner(file.fd(), folder.fd());
  if (auto written = write_durably(file.fd(), parts); !written)
    return failed(written.error().sys_errno);
  if (::renameat(folder.fd(), temporary.c_str(), folder.fd(), name.c_str()) != 0)
    return failed(errno);
  return {};
}

Result<void> sync_folder(const File& folder) {
  if (::fsync(folder.fd()) != 0) return fail_errno(ErrorCode::io, "cannot sync a folder", errno);
  return {};
}

}  // namespace fw
