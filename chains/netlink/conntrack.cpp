// The connection tracking table over netlink.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "chains/netlink/conntrack.hpp"

#include <cerrno>
#include <fstream>

#include <linux/netfilter/nfnetlink_conntrack.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "chains/netlink/attributes.hpp"
#include "chains/netlink/entry.hpp"
#include "chains/netlink/flow.hpp"
#include "chains/netlink/handles.hpp"

namespace chains {

using fw::ErrorCode;
using fw::fail_errno;
using fw::Ip;
using fw::Result;

namespace {

constexpr std::size_t kBufferBytes = 256 * 1024;
constexpr std::size_t kSendBytes = 60 * 1024;

/// True when this namespace surely tracks nothing: walking the table costs milliseconds even then,
/// for its buckets are those of all namespaces.
bool tracks_nothing() {
  std::ifstream file("/proc/sys/net/netfilter/nf_conntrack_count");
  std::size_t count = 1;
  return (file >> count) && count == 0;
}

/// Changes of entries, as messages one after the other, in parts that one system call sends.
class Changes {
 public:
  /// The flow's label loses the bits.
  void clear_label(const nf_conntrack& entry, const Bytes& bits) {
    const EntryHandle change = identity_of(entry);
    set_label_cleared(*change, bits);
    add(put_entry(message_, IPCTNL_MSG_CT_NEW, 0, *change, 0));
  }

  /// The entry goes.
  void forget(const nf_conntrack& entry, std::uint32_t id) {
    nlmsghdr* const header = put_entry(message_, IPCTNL_MSG_CT_DELETE, 0, *identity_of(entry), 0);
    append_entry_id(header, id);
    add(header);
  }

  /// A new entry. One that exists already stays as it is.
  void enter(const nf_conntrack& entry) {
    add(put_entry(message_, IPCTNL_MSG_CT_NEW, NLM_F_CREATE | NLM_F_EXCL, entry, 0));
  }

  const std::vector<std::vector<char>>& parts() const { return parts_; }

 private:
  void add(const nlmsghdr* header) {
    const std::size_t size = MNL_ALIGN(header->nlmsg_len);
    if (parts_.empty() || parts_.back().size() + size > kSendBytes) {
      parts_.emplace_back().reserve(kSendBytes);
    }
    parts_.back().insert(parts_.back().end(), message_, message_ + size);
  }

  alignas(nlmsghdr) char message_[kEntryBytesMax]{};
  std::vector<std::vector<char>> parts_;
};

class Conntrack {
 public:
  static Result<Conntrack> open() {
    Conntrack conntrack;
    conntrack.socket_.reset(mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC));
    if (!conntrack.socket_ || mnl_socket_bind(conntrack.socket_.get(), 0, MNL_SOCKET_AUTOPID) < 0) {
      return fail_errno(ErrorCode::unsupported, "cannot open a netfilter netlink socket", errno);
    }
    return conntrack;
  }

  /// Hands the message of every entry to `on`.
  template <class On>
  Result<void> dump(const On& on) {
    alignas(nlmsghdr) char request[256];
    const nlmsghdr* const header =
        put_conntrack_header(request, IPCTNL_MSG_CT_GET, NLM_F_DUMP, AF_UNSPEC, 1);
    if (mnl_socket_sendto(socket_.get(), header, header->nlmsg_len) < 0)
      return conntrack_refused(errno);
    for (;;) {
      const ssize_t got = mnl_socket_recvfrom(socket_.get(), buffer_.data(), buffer_.size());
      if (got < 0) return conntrack_refused(errno);
      for (const nlmsghdr* const m : Messages(buffer_.data(), got)) {
        if (m->nlmsg_type == NLMSG_DONE) return {};
        if (m->nlmsg_type == NLMSG_ERROR) return conntrack_refused(error_of(m));
        on(m);
      }
    }
  }

  /// Entries that vanished or exist already are no errors: nobody listens.
  void send(const Changes& changes) {
    for (const std::vector<char>& part : changes.parts()) {
      (void)mnl_socket_sendto(socket_.get(), part.data(), part.size());
      while (recv(mnl_socket_get_fd(socket_.get()), buffer_.data(), buffer_.size(), MSG_DONTWAIT) >
             0) {
      }
    }
  }

 private:
  SocketHandle socket_;
  std::vector<char> buffer_ = std::vector<char>(kBufferBytes);
};

}  // namespace

Result<OlderFlows> older_flows(Admission admission, const std::function<bool(Ip)>& blocked) {
  OlderFlows out;
  if (tracks_nothing()) return out;
  auto conntrack = Conntrack::open();
  if (!conntrack) return std::unexpected(conntrack.error());
  const Bytes seen = admission.seen();
  const auto done = conntrack->dump([&](const nlmsghdr* message) {
    const Flow flow = read_flow(message);
    if (!flow.answered() || has_bits(flow.label, seen)) return;
    if (blocked(flow.source) || blocked(flow.reply_source)) return;
    if (out.ids.size() < fw::kAdoptedMax) {
      out.ids.push_back(flow.id);
    } else {
      ++out.left_out;
    }
  });
  if (!done) return std::unexpected(done.error());
  return out;
}

Result<void> enter_connections(Admission admission,
                               const std::vector<OpenConnection>& connections) {
  if (connections.empty()) return {};
  auto conntrack = Conntrack::open();
  if (!conntrack) return std::unexpected(conntrack.error());
  const Bytes label = admission.seen() | admission.counted(0);
  // Which end opened a connection is not known here, and an admitted flow needs no direction. One
  // that is tracked already is found by either, and stays as it is.
  Changes changes;
  for (const OpenConnection& connection : connections) {
    changes.enter(*established_entry(connection, label));
  }
  conntrack->send(changes);
  return {};
}

Result<std::size_t> expel_flows(Admission admission, const std::function<bool(Ip)>& blocked) {
  if (tracks_nothing()) return std::size_t{0};
  auto conntrack = Conntrack::open();
  if (!conntrack) return std::unexpected(conntrack.error());
  const Bytes seen = admission.seen();
  const Bytes decisions = admission.decisions();
  std::size_t cut = 0;
  Changes changes;  // sent when the table has been read, which they change
  const auto done = conntrack->dump([&](const nlmsghdr* message) {
    const Flow flow = read_flow(message);
    if (!blocked(flow.source) && !blocked(flow.reply_source)) return;
    const EntryHandle entry = read_entry(message);
    if (!entry) return;
    // Without a label it may be admitted by its id, which another entry will not have.
    const bool labelled = has_bits(flow.label, seen);
    const bool admitted = labelled ? admission.admits(flow.label) : flow.answered();
    if (labelled && admitted) changes.clear_label(*entry, decisions);
    if (admitted && !flow.ending) ++cut;
    // Without its entry an answerless flow to the blocked would begin again and pass; only of TCP
    // the rules can tell that it is no beginning.
    if (blocked(flow.source) || flow.protocol == IPPROTO_TCP || !labelled) {
      changes.forget(*entry, flow.id);
    }
  });
  if (!done) return std::unexpected(done.error());
  conntrack->send(changes);
  return cut;
}

}  // namespace chains
