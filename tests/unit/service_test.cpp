// The loop that services share: signals, what the manager hears, and timers.
// SPDX-License-Identifier: GPL-2.0-or-later
#include <algorithm>
#include <csignal>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "fw/base/file.hpp"
#include "fw/service/messages.hpp"
#include "fw/service/service_loop.hpp"
#include "fw/service/timers.hpp"

namespace fw {
namespace {

using namespace std::chrono_literals;
using ::testing::Contains;
using ::testing::ElementsAre;

/// Where the service believes its manager to be.
class FakeManager {
 public:
  FakeManager() : socket_(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) {
    const std::string name = "cloudron-fw-test-" + std::to_string(getpid());
    sockaddr_un at{};
    at.sun_family = AF_UNIX;
    std::memcpy(at.sun_path + 1, name.data(), name.size());
    const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
    EXPECT_EQ(::bind(socket_.fd(), reinterpret_cast<const sockaddr*>(&at), length), 0);
    setenv("NOTIFY_SOCKET", ("@" + name).c_str(), 1);
  }
  ~FakeManager() {
    unsetenv("NOTIFY_SOCKET");
    unsetenv("WATCHDOG_USEC");
  }
  FakeManager(const FakeManager&) = delete;
  FakeManager& operator=(const FakeManager&) = delete;

  std::vector<std::string> heard() const {
    std::vector<std::string> out;
    char bytes[256];
    for (::ssize_t n = 0; (n = ::recv(socket_.fd(), bytes, sizeof bytes, 0)) >= 0;) {
      out.emplace_back(bytes, static_cast<std::size_t>(n));
    }
    return out;
  }

 private:
  File socket_;
};

TEST(ServiceLoop, TellsTheManagerAndRunsUntilItIsToEnd) {
  const FakeManager manager;
  ServiceLoop loop;
  Due end(loop.io(), [] { std::raise(SIGTERM); });
  end.within(1ms);
  loop.run("watching", [] {});
  EXPECT_THAT(manager.heard(), ElementsAre("READY=1\nSTATUS=watching", "STOPPING=1"));
}

TEST(ServiceLoop, KeepsTheWatchdogQuiet) {
  const FakeManager manager;
  setenv("WATCHDOG_USEC", "60000", 1);
  ServiceLoop loop;
  Due end(loop.io(), [] { std::raise(SIGINT); });
  end.within(100ms);
  loop.run("watching", [] {});
  const auto heard = manager.heard();
  EXPECT_GE(std::ranges::count(heard, "WATCHDOG=1"), 3);
}

TEST(ServiceLoop, EndsThoughItsManagerReadsNothing) {
  const FakeManager manager;
  setenv("WATCHDOG_USEC", "3000", 1);
  ServiceLoop loop;
  Due end(loop.io(), [] { std::raise(SIGTERM); });
  end.within(100ms);  // by then the kernel queues no more
  loop.run("watching", [] {});
  EXPECT_THAT(manager.heard(), Contains("WATCHDOG=1"));
}

TEST(ServiceLoop, ReloadsAsOftenAsItIsToldTo) {
  ServiceLoop loop;
  int reloads = 0;
  std::raise(SIGHUP);  // before it runs
  loop.run("watching", [&] { std::raise(++reloads == 2 ? SIGTERM : SIGHUP); });
  EXPECT_EQ(reloads, 2);
}

TEST(Due, TheSoonerOneStays) {
  boost::asio::io_context io;
  int done = 0;
  Due due(io, [&] { ++done; });
  due.within(1h);
  due.within(1ms);
  EXPECT_TRUE(due.pending());
  due.within(1h);
  io.run();
  EXPECT_EQ(done, 1);
  EXPECT_FALSE(due.pending());
}

TEST(Due, IsPutOffByThatAlone) {
  boost::asio::io_context io;
  const auto begin = std::chrono::steady_clock::now();
  Due due(io, [] {});
  due.within(1ms);
  due.after(30ms);
  io.run();
  EXPECT_GE(std::chrono::steady_clock::now() - begin, 30ms);
}

TEST(Periodic, GoesOn) {
  boost::asio::io_context io;
  int times = 0;
  Periodic periodic(io, 1ms, [&] {
    if (++times == 3) io.stop();
  });
  periodic.start();
  io.run();
  EXPECT_EQ(times, 3);
}

TEST(ServiceMessages, GoToTheJournalOnlyIfStderrLeadsThere) {
  const File file(::memfd_create("stderr", MFD_CLOEXEC));
  struct stat status {};
  ASSERT_EQ(::fstat(file.fd(), &status), 0);
  const std::string stream = std::to_string(status.st_dev) + ":" + std::to_string(status.st_ino);
  EXPECT_TRUE(is_journal(file.fd(), stream.c_str()));
  EXPECT_FALSE(is_journal(file.fd(), nullptr)) << "a terminal without a journal";
  EXPECT_FALSE(is_journal(file.fd(), "1:2")) << "inherited, and led elsewhere";
  EXPECT_FALSE(is_journal(-1, stream.c_str()));
}

}  // namespace
}  // namespace fw
