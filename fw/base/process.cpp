// Runs another program, with bounds.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/base/process.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <utility>

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fw/base/file.hpp"
#include "fw/base/limits.hpp"

namespace fw {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::array kFolders = {"/usr/sbin/", "/usr/bin/", "/sbin/", "/bin/"};

/// What the program starts with; owns what posix_spawn asks for.
class Start {
 public:
  Start(int input, int output) {
    posix_spawn_file_actions_init(&actions_);
    // Standard input last: the pipe itself may have its number.
    posix_spawn_file_actions_adddup2(&actions_, output, 1);
    posix_spawn_file_actions_adddup2(&actions_, output, 2);
    posix_spawn_file_actions_adddup2(&actions_, input, 0);
    posix_spawn_file_actions_addclosefrom_np(&actions_, 3);
    posix_spawn_file_actions_addchdir_np(&actions_, "/");
    posix_spawnattr_init(&attributes_);
    sigset_t signals;
    sigemptyset(&signals);
    posix_spawnattr_setsigmask(&attributes_, &signals);
    sigfillset(&signals);
    posix_spawnattr_setsigdefault(&attributes_, &signals);
    posix_spawnattr_setpgroup(&attributes_, 0);
    posix_spawnattr_setflags(
        &attributes_, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  }
  ~Start() {
    posix_spawn_file_actions_destroy(&actions_);
    posix_spawnattr_destroy(&attributes_);
  }
  Start(const Start&) = delete;
  Start& operator=(const Start&) = delete;

  /// 0, or why not, as errno says it.
  int spawn(const std::string& path, const std::vector<std::string>& words, pid_t& pid) const {
    std::vector<char*> arguments;
    for (const std::string& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
    arguments.push_back(nullptr);
    std::string search = "PATH=/usr/sbin:/usr/bin:/sbin:/bin";
    std::string language = "LC_ALL=C";
    char* environment[] = {search.data(), language.data(), nullptr};
    return posix_spawn(&pid, path.c_str(), &actions_, &attributes_, arguments.data(), environment);
  }

 private:
  posix_spawn_file_actions_t actions_{};
  posix_spawnattr_t attributes_{};
};

/// A file in memory with the text, to be read from its beginning. Its number is above those that
/// the program's own streams get.
File readable(std::string_view text) {
  const File memory(::memfd_create("input", MFD_CLOEXEC));
  File file(::fcntl(memory.fd(), F_DUPFD_CLOEXEC, STDERR_FILENO + 1));
  const auto size = static_cast<::ssize_t>(text.size());
  if (file && ::write(file.fd(), text.data(), text.size()) == size &&
      ::lseek(file.fd(), 0, SEEK_SET) == 0)
    return file;
  return {};
}

/// The absolute path of a program; "" when there is none of that name.
std::string path_of(const std::string& program) {
  if (program.starts_with('/')) return program;
  for (const char* folder : kFolders) {
    if (::access((folder + program).c_str(), X_OK) == 0) return folder + program;
  }
  return {};
}

/// Takes what is in the pipe, up to one buffer; false at its end, or when there is nothing now.
bool take_output(int pipe, std::size_t most, ProcessEnd& end, bool& at_end) {
  std::array<char, 16384> buffer;
  const ssize_t got = ::read(pipe, buffer.data(), buffer.size());
  at_end = got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR);
  if (got <= 0) return false;
  const std::size_t kept = std::min(static_cast<std::size_t>(got), most - end.output.size());
  end.output.append(buffer.data(), kept);
  end.output_cut = end.output_cut || kept < static_cast<std::size_t>(got);
  return true;
}

int milliseconds_until(Clock::time_point deadline) {
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()).count();
  return static_cast<int>(std::clamp<decltype(left)>(left, 0, 3'600'000));
}

/// Takes output until the program has ended, which it is made to do when its time is over. It is
/// not reaped yet, so its number and its group's are still its own.
void follow(pid_t pid, int pidfd, const File& pipe, const ProcessBounds& bounds, ProcessEnd& end) {
  auto deadline = Clock::now() + bounds.time;
  bool killed = false;
  bool at_end = false;
  for (;;) {
    pollfd wake[] = {{pidfd, POLLIN, 0}, {at_end ? -1 : pipe.fd(), POLLIN, 0}};
    (void)::poll(wake, 2, killed ? -1 : milliseconds_until(deadline));
    if (wake[1].revents != 0) take_output(pipe.fd(), bounds.output_bytes, end, at_end);
    if (wake[0].revents != 0) break;
    if (killed || Clock::now() < deadline) continue;
    killed = std::exchange(end.timed_out, true);
    ::kill(-pid, killed ? SIGKILL : SIGTERM);
    deadline = Clock::now() + kProcessGrace;
  }
  ::kill(-pid, SIGKILL);  // its children, too
  // What it wrote last. Who left the group may still write, so this ends by itself.
  for (int i = 0; i < 64 && take_output(pipe.fd(), bounds.output_bytes, end, at_end); ++i) {
  }
}

}  // namespace

Result<ProcessEnd> run_process(const std::vector<std::string>& words, const ProcessBounds& bounds,
                               std::string_view input) {
  const auto holds_nul = [](const std::string& word) { return word.contains('\0'); };
  if (words.empty() || words.front().empty() || std::ranges::any_of(words, holds_nul) ||
      (!words.front().starts_with('/') && words.front().contains('/'))) {
    return fail(ErrorCode::usage,
                "a program must be an absolute path or a name without /, and its arguments must "
                "hold no NUL");
  }
  const std::string& program = words.front();
  const auto not_run = [&program](int reason) {
    const ErrorCode code = reason == ENOENT ? ErrorCode::missing : ErrorCode::io;
    return fail_errno(code, "cannot run " + program, reason);
  };
  const std::string path = path_of(program);
  if (path.empty()) return not_run(ENOENT);

  const File given = readable(input);
  if (!given) return not_run(errno);
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return not_run(errno);
  const File pipe(ends[0]);
  File output(ends[1]);
  (void)::fcntl(pipe.fd(), F_SETFL, O_NONBLOCK);
  pid_t pid = -1;
  if (const int reason = Start(given.fd(), output.fd()).spawn(path, words, pid); reason != 0)
    return not_run(reason);
  output.close();

  ProcessEnd end;
  const File pidfd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  const int reason = pidfd.fd() < 0 ? errno : 0;
  if (reason == 0) {
    follow(pid, pidfd.fd(), pipe, bounds, end);
  } else {
    ::kill(-pid, SIGKILL);
  }
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (reason != 0) return not_run(reason);
  end.signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
  end.exit_status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return end;
}

}  // namespace fw
