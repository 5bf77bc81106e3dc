// The owner of the files in the state folder.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/base/owner.hpp"

#include <sys/stat.h>
#include <unistd.h>

namespace fw {
namespace {

void give_to(int fd, const struct stat& folder) {
  if (folder.st_uid == 0) return;
  // Where it fails the file stays root's, and whoever cannot use it says so.
  [[maybe_unused]] const int done = ::fchown(fd, folder.st_uid, folder.st_gid);
}

}  // namespace

void give_to_owner(int fd, int folder_fd) {
  struct stat folder {};
  if (::geteuid() == 0 && ::fstat(folder_fd, &folder) == 0) give_to(fd, folder);
}

void give_to_owner(int fd, const std::string& path) {
  struct stat folder {};
  if (::geteuid() == 0 && ::stat(path.c_str(), &folder) == 0) give_to(fd, folder);
}

}  // namespace fw
