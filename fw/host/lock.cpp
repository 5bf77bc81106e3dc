// One change at a time.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/host/lock.hpp"

#include <cerrno>
#include <utility>

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include "fw/base/owner.hpp"
#include "fw/lists/file.hpp"

namespace fw {

Result<StateLock> StateLock::open(const std::string& state_dir) {
  if (const auto folder = make_folder(state_dir); !folder) return std::unexpected(folder.error());
  const std::string path = state_dir + "/lock";
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0) return fail_errno(ErrorCode::io, "cannot open " + path, errno);
  give_to_owner(fd, state_dir);
  return StateLock(fd);
}

Result<StateLock> StateLock::take(const std::string& state_dir) {
  auto lock = open(state_dir);
  while (lock && ::flock(lock->fd_, LOCK_EX) != 0) {
    if (errno != EINTR) return fail_errno(ErrorCode::io, "cannot lock " + state_dir, errno);
  }
  return lock;
}

Result<std::optional<StateLock>> StateLock::try_take(const std::string& state_dir) {
  auto lock = open(state_dir);
  if (!lock) return std::unexpected(lock.error());
  while (::flock(lock->fd_, LOCK_EX | LOCK_NB) != 0) {
    if (errno == EWOULDBLOCK) return std::nullopt;
    if (errno != EINTR) return fail_errno(ErrorCode::io, "cannot lock " + state_dir, errno);
  }
  return std::optional(std::move(*lock));
}

StateLock::StateLock(StateLock&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}

StateLock& StateLock::operator=(StateLock&& other) noexcept {
  std::swap(fd_, other.fd_);
  return *this;
}

StateLock::~StateLock() {
  if (fd_ >= 0) ::close(fd_);
}

}  // namespace fw
