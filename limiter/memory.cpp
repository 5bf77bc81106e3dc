// Memory that is asked for once.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "limiter/memory.hpp"

#include <cerrno>
#include <cstdint>

#include <sys/mman.h>

namespace limiter {
namespace {

constexpr std::size_t kHuge = 2u << 20;

}  // namespace

fw::Result<Pages> Pages::map(std::size_t bytes) {
  // A huge page begins at a multiple of its size: so much more is mapped, and given back.
  const std::size_t whole = (bytes + kHuge - 1) / kHuge * kHuge;
  void* const got = mmap(nullptr, whole + kHuge, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (got == MAP_FAILED) {
    return fw::fail_errno(fw::ErrorCode::memory, "not enough memory for a table", errno);
  }
  auto* const begin = static_cast<char*>(got);
  const std::size_t skip = (kHuge - reinterpret_cast<std::uintptr_t>(begin) % kHuge) % kHuge;
  if (skip != 0) munmap(begin, skip);
  if (skip != kHuge) munmap(begin + skip + whole, kHuge - skip);
  (void)madvise(begin + skip, whole, MADV_HUGEPAGE);  // small pages do as well, more slowly
  // All of it now, for the kernel clears a huge page while somebody waits. Where it cannot be had,
  // and before Linux 5.14, a page comes when it is first touched.
  (void)madvise(begin + skip, whole, MADV_POPULATE_WRITE);
  return Pages(begin + skip, whole);
}

fw::Result<Pages> Pages::map(int file, std::size_t offset, std::size_t bytes) {
  void* const got = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, file,
                         static_cast<off_t>(offset));
  if (got == MAP_FAILED) {
    return fw::fail_errno(fw::ErrorCode::memory, "cannot map the file of a table", errno);
  }
  return Pages(got, bytes);
}

Pages::~Pages() {
  if (at_ != nullptr) munmap(at_, bytes_);
}

}  // namespace limiter
