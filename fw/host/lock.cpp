// One change at a time.
#include "fw/host/lock.hpp"

#include <cerrno>
#include <utility>

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include "fw/lists/file.hpp"

namespace fw {

Result<StateLock> StateLock::take(const std::string& state_dir) {
  if (const auto folder = make_folder(state_dir); !folder) return std::unexpected(folder.error());
  const std::string path = state_dir + "/lock";
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0) return fail_errno(ErrorCode::io, "cannot open " + path, errno);
  StateLock lock(fd);
  while (::flock(fd, LOCK_EX) != 0) {
    if (errno != EINTR) return fail_errno(ErrorCode::io, "cannot lock " + path, errno);
  }
  return lock;
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
