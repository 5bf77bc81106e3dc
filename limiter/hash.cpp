// A secret from the kernel.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "limiter/hash.hpp"

#include <cerrno>
#include <cstddef>
#include <cstdlib>

#include <sys/random.h>

namespace limiter {

Secret Secret::random() {
  Secret secret;
  auto* const bytes = reinterpret_cast<unsigned char*>(secret.words.data());
  for (std::size_t filled = 0; filled < sizeof secret.words;) {
    const ssize_t got = getrandom(bytes + filled, sizeof secret.words - filled, 0);
    if (got < 0 && errno != EINTR) std::abort();
    if (got > 0) filled += static_cast<std::size_t>(got);
  }
  // Odd factors lose no bit of what they are multiplied with.
  secret.words[1] |= 1;
  secret.words[3] |= 1;
  return secret;
}

}  // namespace limiter
