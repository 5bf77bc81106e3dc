// One change at a time.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/host/lock.hpp"

#include <cerrno>
#include <utility>

#include <fcntl.h>
#include <sys/file.h>

#include "fw/base/file.hpp"
#include "fw/base/owner.hpp"

namespace fw {

Result<File> open_lock_file(const std::string& state_dir, const char* name) {
  const auto folder = make_folder(state_dir);
  if (!folder) return std::unexpected(folder.error());
  const std::string path = state_dir + "/" + name;
  File file(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!file) return fail_errno(ErrorCode::io, "cannot open " + path, errno);
  give_to_owner(file.fd(), folder->fd());
  return file;
}

Result<StateLock> StateLock::open(const std::string& state_dir, const char* name) {
  auto file = open_lock_file(state_dir, name);
  if (!file) return std::unexpected(file.error());
  return StateLock(std::move(*file));
}

Result<StateLock> StateLock::take(const std::string& state_dir) {
  auto lock = open(state_dir);
  while (lock && ::flock(lock->file_.fd(), LOCK_EX) != 0) {
    if (errno != EINTR) return fail_errno(ErrorCode::io, "cannot lock " + state_dir, errno);
  }
  return lock;
}

Result<std::optional<StateLock>> StateLock::try_take(const std::string& state_dir,
                                                     const char* name) {
  auto lock = open(state_dir, name);
  if (!lock) return std::unexpected(lock.error());
  while (::flock(lock->file_.fd(), LOCK_EX | LOCK_NB) != 0) {
    if (errno == EWOULDBLOCK) return std::nullopt;
    if (errno != EINTR) return fail_errno(ErrorCode::io, "cannot lock " + state_dir, errno);
  }
  return std::optional(std::move(*lock));
}

}  // namespace fw
