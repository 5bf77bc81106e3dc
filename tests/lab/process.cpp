// Programs inside a namespace.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/lab/process.hpp"

#include <cerrno>
#include <csignal>

#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace lab {
namespace {

Fd memory_file(const std::string& text = {}) {
  Fd fd(::memfd_create("lab", MFD_CLOEXEC));
  if (!fd.open()) fail("cannot make a file in memory");
  if (::write(fd.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()) ||
      ::lseek(fd.get(), 0, SEEK_SET) != 0) {
    fail("cannot fill a file in memory");
  }
  return fd;
}

std::string content(int fd) {
  std::string text;
  char buffer[64 * 1024];
  for (;;) {
    const ssize_t got = ::pread(fd, buffer, sizeof buffer, static_cast<off_t>(text.size()));
    if (got <= 0) return text;
    text.append(buffer, static_cast<std::size_t>(got));
  }
}

}  // namespace

std::string to_string(const Output& output) {
  return "exit " + std::to_string(output.exit) +
         (output.signal != 0 ? ", signal " + std::to_string(output.signal) : "") +
         "\n--- stdout\n" + output.out + "--- stderr\n" + output.err;
}

Process::Process(const Namespace& where, const std::vector<std::string>& words,
                 const std::string& input)
    : name_(words.front()), out_(memory_file()), err_(memory_file()) {
  const Fd in = memory_file(input);
  std::vector<char*> arguments;
  for (const std::string& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  const pid_t parent = ::getpid();
  const Namespace::Inside inside(where);
  pid_ = ::fork();
  if (pid_ < 0) fail("cannot fork");
  if (pid_ == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) ::_exit(126);
    ::dup2(in.get(), 0);
    ::dup2(out_.get(), 1);
    ::dup2(err_.get(), 2);
    ::signal(SIGPIPE, SIG_DFL);
    ::execvp(arguments[0], arguments.data());
    ::_exit(127);
  }
  pidfd_ = Fd(static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0)));
  if (!pidfd_.open()) fail("cannot watch a process");
}

Process::Process(Process&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)),
      name_(std::move(other.name_)),
      pidfd_(std::move(other.pidfd_)),
      out_(std::move(other.out_)),
      err_(std::move(other.err_)) {}

Process::~Process() {
  if (pid_ < 0) return;
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
}

void Process::kill(int signal) const {
  if (pid_ > 0) ::kill(pid_, signal);
}

Output Process::wait(Clock::duration patience) {
  pollfd end{pidfd_.get(), POLLIN, 0};
  const auto wait_ms = std::chrono::ceil<milliseconds>(patience).count();
  if (::poll(&end, 1, static_cast<int>(wait_ms)) != 1) {
    errno = 0;
    fail(name_ + " did not end in time\n" + content(out_.get()) + content(err_.get()));
  }
  int status = 0;
  ::waitpid(std::exchange(pid_, -1), &status, 0);
  Output output;
  if (WIFEXITED(status)) output.exit = WEXITSTATUS(status);
  if (WIFSIGNALED(status)) output.signal = WTERMSIG(status);
  output.out = content(out_.get());
  output.err = content(err_.get());
  if (output.exit == 127) {
    errno = 0;
    fail("these tests need the program '" + name_ + "', which cannot be started\n" + output.err);
  }
  return output;
}

std::string Process::out_so_far() const { return content(out_.get()); }
std::string Process::err_so_far() const { return content(err_.get()); }

Output run(const Namespace& where, const std::vector<std::string>& words, const std::string& input,
           Clock::duration patience) {
  return Process(where, words, input).wait(patience);
}

std::string must_run(const Namespace& where, const std::vector<std::string>& words,
                     const std::string& input) {
  Output output = run(where, words, input);
  if (!output.ok()) {
    errno = 0;
    std::string line;
    for (const std::string& word : words) line += word + " ";
    fail(line + "failed: " + to_string(output));
  }
  return std::move(output.out);
}

}  // namespace lab
