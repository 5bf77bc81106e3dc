// Preloaded into the program under test: its wall clock is off by as many seconds as a file says,
// which is read at each call, so the clock can be set while the program runs. Other clocks stay.
// SPDX-License-Identifier: GPL-2.0-or-later
#include <cstdlib>
#include <ctime>

#include <fcntl.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

namespace {

/// Of the file that LAB_WALL_CLOCK names; 0 without one.
time_t ahead() {
  const char* const path = std::getenv("LAB_WALL_CLOCK");
  if (path == nullptr) return 0;
  const int fd = ::open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return 0;
  char text[32] = {};
  const ssize_t got = ::read(fd, text, sizeof text - 1);
  ::close(fd);
  return got > 0 ? std::strtoll(text, nullptr, 10) : 0;
}

/// The system's clock, whatever is preloaded.
int ask(clockid_t clock, timespec* out) {
  return static_cast<int>(::syscall(SYS_clock_gettime, clock, out));
}

}  // namespace

extern "C" {

int clock_gettime(clockid_t clock, timespec* out) noexcept {
  const int code = ask(clock, out);
  const bool wall = clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE;
  if (code == 0 && wall) out->tv_sec += ahead();
  return code;
}

int gettimeofday(timeval* out, void* /*zone*/) noexcept {
  timespec now{};
  const int code = clock_gettime(CLOCK_REALTIME, &now);
  if (code == 0) *out = {now.tv_sec, now.tv_nsec / 1000};
  return code;
}

time_t time(time_t* out) noexcept {
  timespec now{};
  if (clock_gettime(CLOCK_REALTIME, &now) != 0) return -1;
  if (out != nullptr) *out = now.tv_sec;
  return now.tv_sec;
}

}  // extern "C"
