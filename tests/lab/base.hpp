// What all of the lab needs: failing loudly, file descriptors, files, and waiting for events.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace lab {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;
using std::chrono::seconds;
using namespace std::chrono_literals;
using PortList = std::vector<std::uint16_t>;

/// Throws std::runtime_error with errno's reason, if there is one: the test fails with it.
[[noreturn]] void fail(const std::string& what);

class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Fd();

  int get() const { return fd_; }
  bool open() const { return fd_ >= 0; }

 private:
  int fd_ = -1;
};

/// Asks again until it is so; false when it is not within `patience`. Where it must become so, the
/// patience is that of a test that hangs, not a measure: times are measured in bench/.
bool eventually(const std::function<bool()>& so, Clock::duration patience = 60s);

/// Has so much time passed? For what holds for a time only: "still so, or the time is over". A
/// machine that is too slow to see it proves nothing, and fails nothing.
bool passed(Clock::time_point since, Clock::duration time);

/// A folder under /tmp that goes with the object.
class TempDir {
 public:
  TempDir();
  ~TempDir();
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;

  const std::string& path() const { return path_; }
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

void write_file(const std::string& path, const std::string& text);
std::string read_file(const std::string& path);

double seconds_of(Clock::duration time);

}  // namespace lab
