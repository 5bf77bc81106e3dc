// A file descriptor that closes itself.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/base/file.hpp"

#include <unistd.h>

namespace fw {

File::~File() {
  if (fd_ >= 0) ::close(fd_);
}

}  // namespace fw
