// Running other programs: their ends, bounds, and what they do not inherit. The programs are real.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/base/process.hpp"

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

namespace fw {
namespace {

using namespace std::chrono_literals;
using testing::HasSubstr;

constexpr ProcessBounds kWide{20s, 1 << 20};

ProcessEnd end_of(const std::vector<std::string>& words, const ProcessBounds& bounds = kWide) {
  const auto end = run_process(words, bounds);
  EXPECT_TRUE(end) << to_string(end.error());
  return end ? *end : ProcessEnd{};
}

ErrorCode error_of(const std::vector<std::string>& words) {
  const auto end = run_process(words, kWide);
  EXPECT_FALSE(end);
  return end ? ErrorCode::memory : end.error().code;
}

/// Does the process run? One that ended and that nobody reaped does not.
bool runs(const std::string& pid) {
  std::ifstream file("/proc/" + pid + "/stat");
  std::string line;
  return std::getline(file, line) && line[line.rfind(')') + 2] != 'Z';
}

bool ends_soon(const std::string& pid) {
  for (int i = 0; i < 500 && runs(pid); ++i) std::this_thread::sleep_for(10ms);
  return !runs(pid);
}

std::string first_line(const std::string& text) { return text.substr(0, text.find('\n')); }

/// No child of ours is left, neither running nor as a zombie.
bool childless() { return ::waitpid(-1, nullptr, WNOHANG) == -1 && errno == ECHILD; }

TEST(Process, HasAnExitStatusAndOutput) {
  EXPECT_EQ(end_of({"/bin/echo", "a  b", "$HOME"}),
            (ProcessEnd{0, 0, false, false, "a  b $HOME\n"}));
  EXPECT_EQ(end_of({"true"}).exit_status, 0);
  EXPECT_EQ(end_of({"sh", "-c", "echo out; echo err >&2; exit 7"}),
            (ProcessEnd{7, 0, false, false, "out\nerr\n"}));
  EXPECT_EQ(end_of({"sh", "-c", "kill -9 $$"}), (ProcessEnd{-1, 9, false, false, ""}));
  EXPECT_TRUE(childless());
}

TEST(Process, IsLookedUpInFixedFoldersOnly) {
  EXPECT_EQ(error_of({"no-such-program-here"}), ErrorCode::missing);
  EXPECT_EQ(error_of({"/no/such/program"}), ErrorCode::missing);
  EXPECT_EQ(error_of({"bin/true"}), ErrorCode::usage);
  EXPECT_EQ(error_of({}), ErrorCode::usage);
  EXPECT_EQ(error_of({""}), ErrorCode::usage);
  EXPECT_EQ(error_of({"echo", std::string("a\0b", 3)}), ErrorCode::usage);
  EXPECT_EQ(error_of({"/etc/passwd"}), ErrorCode::io) << "it is no program";
}

TEST(Process, ReadsWhatItIsGiven) {
  EXPECT_EQ(end_of({"cat"}).output, "");
  const std::string text(200'000, 'x');
  const auto end = run_process({"cat"}, kWide, text);
  ASSERT_TRUE(end);
  EXPECT_EQ(end->output, text);
}

TEST(Process, InheritsNothing) {
  ::setenv("PROCESS_TEST", "leaks", 1);
  EXPECT_EQ(end_of({"/usr/bin/env"}).output, "PATH=/usr/sbin:/usr/bin:/sbin:/bin\nLC_ALL=C\n");
  ::unsetenv("PROCESS_TEST");
  EXPECT_EQ(end_of({"pwd"}).output, "/\n");

  const int open = ::open("/dev/null", O_RDONLY);  // without O_CLOEXEC
  EXPECT_EQ(end_of({"ls", "/proc/self/fd"}).output, "0\n1\n2\n3\n") << "3 is the folder itself";
  ::close(open);

  sigset_t blocked;
  sigset_t before;
  sigemptyset(&blocked);
  sigaddset(&blocked, SIGTERM);
  ::pthread_sigmask(SIG_BLOCK, &blocked, &before);
  const auto former = ::signal(SIGPIPE, SIG_IGN);
  const std::string status = end_of({"cat", "/proc/self/status"}).output;
  ::signal(SIGPIPE, former);
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  EXPECT_THAT(status, HasSubstr("SigBlk:\t0000000000000000"));
  // libc lets the signals 32 and 33, which are its own, be ignored.
  const auto ignored = std::stoull(status.substr(status.find("SigIgn:\t") + 8), nullptr, 16);
  EXPECT_EQ(ignored & 0x7fffffffu, 0u);
}

TEST(Process, OutputIsBounded) {
  const ProcessEnd end = end_of({"head", "-c", "300000", "/dev/zero"}, {20s, 1000});
  EXPECT_TRUE(end.ok()) << "it was read to its end";
  EXPECT_EQ(end.output, std::string(1000, '\0'));
  EXPECT_TRUE(end.output_cut);
  EXPECT_FALSE(end_of({"head", "-c", "1000", "/dev/zero"}, {20s, 1000}).output_cut);

  const ProcessEnd endless = end_of({"yes"}, {200ms, 10});
  EXPECT_EQ(endless.output, "y\ny\ny\ny\ny\n");
  EXPECT_TRUE(endless.output_cut);
  EXPECT_TRUE(endless.timed_out);
  EXPECT_EQ(endless.signal, SIGTERM);
}

TEST(Process, TimeIsBounded) {
  const auto began = std::chrono::steady_clock::now();
  const ProcessEnd end = end_of({"/bin/sleep", "60"}, {100ms, 1000});
  EXPECT_TRUE(end.timed_out);
  EXPECT_FALSE(end.ok());
  EXPECT_EQ(end.signal, SIGTERM);
  EXPECT_GE(std::chrono::steady_clock::now() - began, 100ms);
  EXPECT_LT(std::chrono::steady_clock::now() - began, 20s);
  EXPECT_TRUE(childless());
}

TEST(Process, WhoIgnoresTheTermSignalIsKilled) {
  const ProcessEnd end =
      end_of({"sh", "-c", "trap '' TERM; echo $$; while :; do sleep 60; done"}, {300ms, 1000});
  EXPECT_TRUE(end.timed_out);
  EXPECT_EQ(end.signal, SIGKILL);
  EXPECT_FALSE(runs(first_line(end.output)));
  EXPECT_TRUE(childless());
}

TEST(Process, ChildrenEndWithIt) {
  // They keep its output open, and one ignores what can be ignored.
  const ProcessEnd by_itself = end_of({"sh", "-c", "trap '' TERM HUP; sleep 60 & echo $!"});
  EXPECT_TRUE(by_itself.ok()) << "a child that holds the output is not waited for";
  EXPECT_TRUE(ends_soon(first_line(by_itself.output)));
  const ProcessEnd in_time = end_of({"sh", "-c", "sleep 60 & echo $!; wait"}, {300ms, 1000});
  EXPECT_TRUE(in_time.timed_out);
  EXPECT_TRUE(ends_soon(first_line(in_time.output)));
}

TEST(Process, RunsFromManyThreads) {
  std::vector<std::string> outputs(8);
  {
    std::vector<std::jthread> threads;
    for (std::size_t i = 0; i < outputs.size(); ++i) {
      threads.emplace_back([i, &outputs] {
        for (int n = 0; n < 5; ++n) outputs[i] += end_of({"echo", std::to_string(i)}).output;
      });
    }
  }
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    std::string wanted;
    for (int n = 0; n < 5; ++n) wanted += std::to_string(i) + "\n";
    EXPECT_EQ(outputs[i], wanted);
  }
  EXPECT_TRUE(childless());
}

}  // namespace
}  // namespace fw
