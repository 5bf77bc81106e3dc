// Network namespaces without a name.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/lab/namespace.hpp"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

namespace lab {
namespace {

constexpr const char* kHere = "/proc/thread-self/ns/net";

Fd open_here() {
  Fd fd(::open(kHere, O_RDONLY | O_CLOEXEC));
  if (!fd.open()) fail("cannot open the network namespace of this thread");
  return fd;
}

void loopback_up() {
  const Fd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq request{};
  std::strcpy(request.ifr_name, "lo");
  request.ifr_flags = IFF_UP;
  if (::ioctl(socket.get(), SIOCSIFFLAGS, &request) < 0) fail("cannot set up a loopback device");
}

}  // namespace

Namespace::Namespace() {
  const Fd back = open_here();
  if (::unshare(CLONE_NEWNET) < 0) {
    fail(
        "these tests need root (CAP_SYS_ADMIN and CAP_NET_ADMIN) and a kernel with network "
        "namespaces (CONFIG_NET_NS): run them with sudo; a network namespace cannot be made");
  }
  fd_ = open_here();
  loopback_up();
  if (::setns(back.get(), CLONE_NEWNET) < 0) fail("cannot return from a new network namespace");
}

Namespace::Namespace(const std::string& path) : fd_(::open(path.c_str(), O_RDONLY | O_CLOEXEC)) {
  if (!fd_.open()) fail("cannot open the network namespace " + path);
}

Namespace::Inside::Inside(const Namespace& there) : back_(open_here()) {
  if (::setns(there.fd(), CLONE_NEWNET) < 0) fail("cannot enter a network namespace");
}

Namespace::Inside::~Inside() {
  if (::setns(back_.get(), CLONE_NEWNET) == 0) return;
  std::perror("cannot leave a network namespace");  // no test may go on in the wrong one
  std::abort();
}

std::string Namespace::path() const {
  return "/proc/" + std::to_string(::getpid()) + "/fd/" + std::to_string(fd_.get());
}

void Namespace::sysctl(const std::string& name, const std::string& value) const {
  in([&] { write_file("/proc/sys/net/" + name, value); });
}

std::string Namespace::sysctl(const std::string& name) const {
  std::string value = in([&] { return read_file("/proc/sys/net/" + name); });
  if (value.ends_with('\n')) value.pop_back();
  return value;
}

}  // namespace lab
