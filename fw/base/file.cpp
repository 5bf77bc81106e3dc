// A file descriptor that closes itself.
#include "fw/base/file.hpp"

#include <unistd.h>

namespace fw {

File::~File() {
  if (fd_ >= 0) ::close(fd_);
}

}  // namespace fw
