// Small files of the state folder.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/host/state_file.hpp"

#include <cerrno>
#include <span>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fw/base/file.hpp"

namespace fw {

std::optional<std::string> read_state_file(const std::string& state_dir, const char* name,
                                           std::size_t most) {
  const auto open = open_regular(state_dir + "/" + name);
  if (!open || static_cast<std::size_t>(open->status.st_size) > most) return {};
  std::string text(static_cast<std::size_t>(open->status.st_size), '\0');
  const auto size = read_some(open->file, text.data(), text.size());
  if (!size || *size != text.size()) return {};
  return text;
}

std::string identity_of_state_file(const std::string& state_dir, const char* name) {
  struct ::stat status {};
  if (::stat((state_dir + "/" + name).c_str(), &status) != 0) return {};
  return fmt::format("{} {} {} {} {}", status.st_dev, status.st_ino, status.st_size,
                     status.st_ctim.tv_sec, status.st_ctim.tv_nsec);
}

Result<void> write_state_file(const std::string& state_dir, const char* name,
                              const std::string& text) {
  const auto folder = make_folder(state_dir);
  if (!folder) return std::unexpected(folder.error());
  if (auto done = replace_file(*folder, name, {std::as_bytes(std::span(text))}); !done) {
    return done;
  }
  return sync_folder(*folder);
}

Result<void> append_state_file(const std::string& state_dir, const char* name,
                               const std::string& text) {
  const std::string path = state_dir + "/" + name;
  // A FIFO in its place is not waited for.
  const File file(
      ::open(path.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC | O_NOCTTY | O_NOFOLLOW | O_NONBLOCK));
  struct ::stat status {};
  if (!file || ::fstat(file.fd(), &status) != 0) {
    return fail_errno(ErrorCode::io, fmt::format("cannot open {}", path), errno);
  }
  if (!S_ISREG(status.st_mode)) {
    return fail(ErrorCode::io, fmt::format("cannot write {}: it is not a regular file", path));
  }
  const ssize_t written = ::write(file.fd(), text.data(), text.size());
  if (written == static_cast<ssize_t>(text.size())) return {};
  return fail_errno(ErrorCode::io, fmt::format("cannot write {}", path),
                    written < 0 ? errno : ENOSPC);
}

Result<void> remove_state_file(const std::string& state_dir, const char* name) {
  const std::string path = state_dir + "/" + name;
  if (::unlink(path.c_str()) != 0) {
    if (errno == ENOENT) return {};
    return fail_errno(ErrorCode::io, fmt::format("cannot remove {}", path), errno);
  }
  const auto folder = make_folder(state_dir);
  if (!folder) return std::unexpected(folder.error());
  return sync_folder(*folder);
}

}  // namespace fw
