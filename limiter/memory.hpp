// Memory that is asked for once.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

#include "fw/base/result.hpp"

namespace limiter {

/// Zeroed pages of one mapping, in huge pages where the kernel has them to give.
class Pages {
 public:
  static fw::Result<Pages> map(std::size_t bytes);
  /// A part of a file, which keeps what is written there when the process ends. The file must hold
  /// so much, and not shrink; `offset` is a multiple of 4096.
  static fw::Result<Pages> map(int file, std::size_t offset, std::size_t bytes);

  Pages(Pages&& other) noexcept
      : at_(std::exchange(other.at_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}
  Pages& operator=(Pages&& other) noexcept {
    std::swap(at_, other.at_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  ~Pages();

  void* data() const { return at_; }
  std::size_t size() const { return bytes_; }

 private:
  Pages(void* at, std::size_t bytes) : at_(at), bytes_(bytes) {}

  void* at_ = nullptr;
  std::size_t bytes_ = 0;
};

/// Which of so many buckets a hash falls into, evenly: by its upper half.
constexpr std::size_t bucket_index(std::uint64_t hash, std::size_t buckets) {
  return static_cast<std::size_t>(((hash >> 32) * buckets) >> 32);
}

}  // namespace limiter
