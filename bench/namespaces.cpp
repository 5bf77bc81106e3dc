// Two network namespaces joined by a veth pair: the host under test and who sends to it.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "bench/namespaces.hpp"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>
#include <stdexcept>

#include <fcntl.h>
#include <fmt/format.h>
#include <libmnl/libmnl.h>
#include <linux/ethtool.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

namespace bench {
namespace {

constexpr const char* kSetUpHost = R"(
write() { echo "$1" > "/proc/sys/net/$2"; }
ip link set lo up
ip link add host0 address 02:00:00:00:00:01 type veth \
  peer name sender0 address 02:00:00:00:00:02 netns "$1"
write 0 ipv4/conf/all/rp_filter
write 0 ipv4/conf/default/rp_filter
write 0 ipv4/conf/host0/rp_filter
write 0 ipv6/conf/host0/accept_dad
write 0 ipv6/conf/host0/accept_ra
# The sent ACK has no timestamp, and a full listener drops instead of computing a cookie.
write 0 ipv4/tcp_timestamps
write 0 ipv4/tcp_syncookies
ip address add 203.0.113.1/24 dev host0
ip address add 2001:db8:ffff::1/64 dev host0 nodad
ip link set host0 up
ip neighbor replace 203.0.113.2 lladdr 02:00:00:00:00:02 dev host0 nud permanent
ip neighbor replace 2001:db8:ffff::2 lladdr 02:00:00:00:00:02 dev host0 nud permanent
ip route add 198.18.0.0/15 via 203.0.113.2
ip route add 203.0.113.64/26 via 203.0.113.2
ip route add 203.0.113.192/26 via 203.0.113.2
ip route add 2001:db8::/32 via 2001:db8:ffff::2
)";

constexpr const char* kSetUpSender = R"(
ip link set lo up
echo 0 > /proc/sys/net/ipv6/conf/sender0/accept_dad
echo 0 > /proc/sys/net/ipv6/conf/sender0/accept_ra
echo 0 > /proc/sys/net/ipv4/tcp_timestamps
echo 1 > /proc/sys/net/ipv4/tcp_syn_retries  # connect() fails after three seconds
ip address add 203.0.113.2/24 dev sender0
ip address add 2001:db8:ffff::2/64 dev sender0 nodad
ip link set sender0 up
ip neighbor replace 203.0.113.1 lladdr 02:00:00:00:00:01 dev sender0 nud permanent
ip neighbor replace 2001:db8:ffff::1 lladdr 02:00:00:00:00:01 dev sender0 nud permanent
ip route add local 203.0.113.64/26 dev lo
ip -6 route add local 2001:db8:3::/48 dev lo
)";

Fd conntrack_socket() {
  Fd fd(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER));
  sockaddr_nl address{};
  address.nl_family = AF_NETLINK;
  if (fd.get() < 0 ||
      ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) < 0) {
    fail("cannot open a netfilter socket");
  }
  return fd;
}

std::string slurp(int fd) {
  std::string text;
  std::array<char, 4096> buffer{};
  for (ssize_t got = 0; (got = ::read(fd, buffer.data(), buffer.size())) > 0;) {
    text.append(buffer.data(), static_cast<std::size_t>(got));
  }
  return text;
}

}  // namespace

void fail(const std::string& what) {
  throw std::runtime_error(errno == 0 ? what : fmt::format("{}: {}", what, std::strerror(errno)));
}

Fd::~Fd() {
  if (fd_ >= 0) ::close(fd_);
}

void enter(const Fd& name_space) {
  if (::setns(name_space.get(), CLONE_NEWNET) < 0) fail("cannot enter a network namespace");
}

std::string run_in(const Fd& name_space, const std::vector<std::string>& command,
                   const std::string& input) {
  const Fd from(::memfd_create("input", MFD_CLOEXEC));
  if (::write(from.get(), input.data(), input.size()) != static_cast<ssize_t>(input.size()) ||
      ::lseek(from.get(), 0, SEEK_SET) != 0) {
    fail("cannot keep a script");
  }
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) < 0) fail("cannot open a pipe");
  const Fd out(ends[0]);
  Fd in(ends[1]);
  std::vector<char*> arguments;
  for (const std::string& word : command) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);

  const pid_t child = ::fork();
  if (child < 0) fail("cannot fork");
  if (child == 0) {
    if (::setns(name_space.get(), CLONE_NEWNET) < 0) ::_exit(126);
    ::dup2(from.get(), 0);
    ::dup2(in.get(), 1);
    ::execvp(arguments[0], arguments.data());
    ::_exit(127);
  }
  in = Fd();
  std::string text = slurp(out.get());
  int status = 0;
  ::waitpid(child, &status, 0);
  errno = 0;
  if (status != 0) fail(fmt::format("{} failed (status {:#x})\n{}", command[0], status, text));
  return text;
}

Fd new_namespace() {
  if (::unshare(CLONE_NEWNET) < 0) fail("cannot create a network namespace (root is needed)");
  Fd fd(::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
  if (fd.get() < 0) fail("cannot open the new network namespace");
  return fd;
}

void turn_on_gro(const char* device) {
  const Fd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ethtool_value value{};
  value.cmd = ETHTOOL_SGRO;
  value.data = 1;
  ifreq request{};
  std::strncpy(request.ifr_name, device, IFNAMSIZ - 1);
  request.ifr_data = reinterpret_cast<char*>(&value);
  if (::ioctl(socket.get(), SIOCETHTOOL, &request) < 0) fail("cannot turn on GRO");
}

NamespacePair make_namespaces() {
  NamespacePair pair;
  pair.sender = new_namespace();
  pair.host = new_namespace();
  const std::string sender = fmt::format("/proc/{}/fd/{}", ::getpid(), pair.sender.get());
  run_in(pair.host, {"bash", "-euc", kSetUpHost, "set-up", sender});
  run_in(pair.sender, {"bash", "-euc", kSetUpSender});
  enter(pair.host);
  turn_on_gro(kHostDevice);
  pair.host_index = static_cast<int>(::if_nametoindex(kHostDevice));
  pair.conntrack = conntrack_socket();
  enter(pair.sender);
  pair.sender_index = static_cast<int>(::if_nametoindex("sender0"));
  return pair;
}

void flush_conntrack(const NamespacePair& pair) {
  std::array<char, 256> buffer{};
  nlmsghdr* message = mnl_nlmsg_put_header(buffer.data());
  message->nlmsg_type = (NFNL_SUBSYS_CTNETLINK << 8) | IPCTNL_MSG_CT_DELETE;
  message->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
  auto* family = static_cast<nfgenmsg*>(mnl_nlmsg_put_extra_header(message, sizeof(nfgenmsg)));
  family->nfgen_family = AF_UNSPEC;
  family->version = NFNETLINK_V0;
  std::array<char, 1024> reply{};
  if (::send(pair.conntrack.get(), message, message->nlmsg_len, 0) < 0 ||
      ::recv(pair.conntrack.get(), reply.data(), reply.size(), 0) < 0) {
    fail("cannot flush conntrack");
  }
  const auto* header = reinterpret_cast<const nlmsghdr*>(reply.data());
  const auto* error = static_cast<const nlmsgerr*>(mnl_nlmsg_get_payload(header));
  errno = -error->error;
  if (header->nlmsg_type != NLMSG_ERROR || error->error != 0) fail("conntrack was not flushed");
}

std::uint64_t received_packets() {
  std::ifstream file("/proc/thread-self/net/dev");
  for (std::string line; std::getline(file, line);) {
    const std::size_t colon = line.find(':');
    if (colon == std::string::npos || line.find(kHostDevice) > colon) continue;
    std::istringstream numbers(line.substr(colon + 1));
    std::uint64_t bytes = 0;
    std::uint64_t packets = 0;
    numbers >> bytes >> packets;
    return packets;
  }
  errno = 0;
  fail("the host has lost its interface");
}

}  // namespace bench
