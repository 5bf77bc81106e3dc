// Which connections are tracked: one query for each, many queries per system call.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "chains/netlink/tracked.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <span>

#include <libmnl/libmnl.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <sys/socket.h>

#include "chains/netlink/attributes.hpp"
#include "chains/netlink/entry.hpp"
#include "chains/netlink/flow.hpp"
#include "chains/netlink/handles.hpp"

namespace chains {

using fw::Result;

namespace {

// Questions of one system call: the answers must find room in the socket's queue.
constexpr std::size_t kQuestions = 64;
constexpr std::size_t kAnswerBytes = 16 * 1024;

using Connections = std::span<const OpenConnection>;

Result<void> ask(mnl_socket* socket, Connections some) {
  alignas(nlmsghdr) std::array<char, kQuestions * kEntryBytesMax> buffer;
  std::size_t used = 0;
  std::uint32_t number = 0;
  for (const OpenConnection& c : some) {
    const nlmsghdr* const header =
        put_entry(buffer.data() + used, IPCTNL_MSG_CT_GET, 0, *tcp_entry(c), ++number);
    used += MNL_ALIGN(header->nlmsg_len);
  }
  if (mnl_socket_sendto(socket, buffer.data(), used) < 0) return conntrack_refused(errno);
  return {};
}

/// One answer for each question: an entry, or an error.
Result<void> read_answers(mnl_socket* socket, Connections some, std::vector<OpenConnection>& out) {
  std::array<char, kAnswerBytes> buffer;
  std::size_t answers = 0;
  while (answers < some.size()) {
    const ssize_t got = mnl_socket_recvfrom(socket, buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return conntrack_refused(errno);
    for (const nlmsghdr* const m : Messages(buffer.data(), got)) {
      ++answers;
      if (m->nlmsg_type != NLMSG_ERROR) continue;
      const int code = error_of(m);
      if (code != ENOENT) return conntrack_refused(code);
      if (m->nlmsg_seq >= 1 && m->nlmsg_seq <= some.size()) out.push_back(some[m->nlmsg_seq - 1]);
    }
  }
  return {};
}

}  // namespace

Result<std::vector<OpenConnection>> untracked(const std::vector<OpenConnection>& connections) {
  std::vector<OpenConnection> out;
  if (connections.empty()) return out;
  const SocketHandle socket(mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC));
  if (!socket || mnl_socket_bind(socket.get(), 0, MNL_SOCKET_AUTOPID) < 0) {
    return fw::fail_errno(fw::ErrorCode::unsupported, "cannot open a netfilter netlink socket",
                          errno);
  }
  for (Connections rest(connections); !rest.empty();) {
    const Connections some = rest.first(std::min(kQuestions, rest.size()));
    rest = rest.subspan(some.size());
    auto done = ask(socket.get(), some);
    if (done) done = read_answers(socket.get(), some, out);
    if (!done) return std::unexpected(done.error());
  }
  return out;
}

}  // namespace chains
