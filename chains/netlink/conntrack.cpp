// The connection tracking table over netlink.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "chains/netlink/conntrack.hpp"

#include <cerrno>
#include <cstring>
#include <fstream>

#include <arpa/inet.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_conntrack_tcp.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "chains/netlink/attributes.hpp"
#include "chains/netlink/flow.hpp"
#include "chains/netlink/handles.hpp"

namespace chains {

using fw::ErrorCode;
using fw::fail_errno;
using fw::Family;
using fw::Ip;
using fw::Result;

namespace {

constexpr std::size_t kBufferBytes = 256 * 1024;
constexpr std::size_t kSendBytes = 60 * 1024;
constexpr std::uint32_t kEstablishedSeconds = 5 * 24 * 3600;  // the kernel's own default

/// An entry, and its identity as raw attributes.
struct Entry {
  std::vector<char> identity;  // CTA_TUPLE_ORIG and CTA_ZONE as they came
  Flow flow;
};

Entry read_entry(const nlmsghdr* message) {
  Entry entry{{}, read_flow(message)};
  for_each_attribute(message, sizeof(nfgenmsg), [&entry](const nlattr* a) {
    const auto type = mnl_attr_get_type(a);
    if (type != CTA_TUPLE_ORIG && type != CTA_ZONE) return;
    const auto* raw = reinterpret_cast<const char*>(a);
    entry.identity.insert(entry.identity.end(), raw, raw + MNL_ALIGN(a->nla_len));
  });
  return entry;
}

/// True when this namespace surely tracks nothing: walking the table costs milliseconds even then,
/// for its buckets are those of all namespaces.
bool tracks_nothing() {
  std::ifstream file("/proc/sys/net/netfilter/nf_conntrack_count");
  std::size_t count = 1;
  return (file >> count) && count == 0;
}

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

  /// Hands every flow to `on`.
  template <class On>
  Result<void> dump(const On& on) {
    alignas(nlmsghdr) char request[256];
    nlmsghdr* header = put_header(request, IPCTNL_MSG_CT_GET, NLM_F_DUMP, AF_UNSPEC);
    if (mnl_socket_sendto(socket_.get(), header, header->nlmsg_len) < 0)
      return conntrack_refused(errno);
    for (;;) {
      const ssize_t got = mnl_socket_recvfrom(socket_.get(), buffer_.data(), buffer_.size());
      if (got < 0) return conntrack_refused(errno);
      int left = static_cast<int>(got);
      for (auto* m = reinterpret_cast<const nlmsghdr*>(buffer_.data()); message_fits(m, left);
           m = mnl_nlmsg_next(m, &left)) {
        if (m->nlmsg_type == NLMSG_DONE) return {};
        if (m->nlmsg_type == NLMSG_ERROR) {
          return conntrack_refused(-static_cast<const nlmsgerr*>(mnl_nlmsg_get_payload(m))->error);
        }
        on(read_entry(m));
      }
    }
  }

  /// Queues: the flow's label loses the bits.
  void clear_label(const Entry& entry, const Bytes& bits) {
    const auto family = entry.flow.source.family == Family::ipv4 ? AF_INET : AF_INET6;
    nlmsghdr* header = queue(IPCTNL_MSG_CT_NEW, 0, family);
    put_identity(header, entry);
    const Bytes none(bits.size());
    mnl_attr_put(header, CTA_LABELS, none.size(), none.data());
    mnl_attr_put(header, CTA_LABELS_MASK, bits.size(), bits.data());
    queued(header);
  }

  /// Queues: the entry goes.
  void forget(const Entry& entry) {
    const auto family = entry.flow.source.family == Family::ipv4 ? AF_INET : AF_INET6;
    nlmsghdr* header = queue(IPCTNL_MSG_CT_DELETE, 0, family);
    put_identity(header, entry);
    mnl_attr_put_u32(header, CTA_ID, htonl(entry.flow.id));
    queued(header);
  }

  /// Queues a new entry for an open TCP connection, window tracking left liberal because its past
  /// is unknown. One that exists already stays as it is.
  void enter(const OpenConnection& c, const Bytes& label) {
    const auto family = c.local.family == Family::ipv4 ? AF_INET : AF_INET6;
    nlmsghdr* header = queue(IPCTNL_MSG_CT_NEW, NLM_F_CREATE | NLM_F_EXCL, family);
    put_tcp_tuple(header, CTA_TUPLE_ORIG, c.remote, c.remote_port, c.local, c.local_port);
    put_tcp_tuple(header, CTA_TUPLE_REPLY, c.local, c.local_port, c.remote, c.remote_port);
    mnl_attr_put_u32(header, CTA_STATUS, htonl(IPS_CONFIRMED | IPS_SEEN_REPLY | IPS_ASSURED));
    mnl_attr_put_u32(header, CTA_TIMEOUT, htonl(kEstablishedSeconds));
    mnl_attr_put(header, CTA_LABELS, label.size(), label.data());
    nlattr* info = mnl_attr_nest_start(header, CTA_PROTOINFO);
    nlattr* tcp = mnl_attr_nest_start(header, CTA_PROTOINFO_TCP);
    mnl_attr_put_u8(header, CTA_PROTOINFO_TCP_STATE, TCP_CONNTRACK_ESTABLISHED);
    const nf_ct_tcp_flags liberal{IP_CT_TCP_FLAG_BE_LIBERAL, IP_CT_TCP_FLAG_BE_LIBERAL};
    mnl_attr_put(header, CTA_PROTOINFO_TCP_FLAGS_ORIGINAL, sizeof liberal, &liberal);
    mnl_attr_put(header, CTA_PROTOINFO_TCP_FLAGS_REPLY, sizeof liberal, &liberal);
    mnl_attr_nest_end(header, tcp);
    mnl_attr_nest_end(header, info);
    queued(header);
  }

  /// Sends what is queued. Entries that vanished or exist already are no errors: no process
  /// listens.
  void flush() {
    if (used_ == 0) return;
    (void)mnl_socket_sendto(socket_.get(), send_.data(), used_);
    while (recv(mnl_socket_get_fd(socket_.get()), buffer_.data(), buffer_.size(), MSG_DONTWAIT) >
           0) {
    }
    used_ = 0;
  }

 private:
  nlmsghdr* put_header(char* at, std::uint16_t type, int flags, int family) {
    return put_conntrack_header(at, type, flags, family, ++sequence_);
  }

  nlmsghdr* queue(std::uint16_t type, int flags, int family) {
    if (used_ + 1024 > send_.size()) flush();
    return put_header(send_.data() + used_, type, flags, family);
  }

  static void put_identity(nlmsghdr* header, const Entry& entry) {
    auto* tail = static_cast<char*>(mnl_nlmsg_get_payload_tail(header));
    std::memcpy(tail, entry.identity.data(), entry.identity.size());
    header->nlmsg_len += static_cast<std::uint32_t>(entry.identity.size());
  }

  void queued(const nlmsghdr* header) { used_ += MNL_ALIGN(header->nlmsg_len); }

  SocketHandle socket_;
  std::vector<char> buffer_ = std::vector<char>(kBufferBytes);
  std::vector<char> send_ = std::vector<char>(kSendBytes);
  std::size_t used_ = 0;
  std::uint32_t sequence_ = 0;
};

}  // namespace

Result<OlderFlows> older_flows(Admission admission, const std::function<bool(Ip)>& blocked) {
  OlderFlows out;
  if (tracks_nothing()) return out;
  auto conntrack = Conntrack::open();
  if (!conntrack) return std::unexpected(conntrack.error());
  const Bytes seen = admission.seen();
  const auto done = conntrack->dump([&](const Entry& entry) {
    const Flow& flow = entry.flow;
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
  for (const OpenConnection& connection : connections) conntrack->enter(connection, label);
  conntrack->flush();
  return {};
}

Result<std::size_t> expel_flows(Admission admission, const std::function<bool(Ip)>& blocked) {
  if (tracks_nothing()) return std::size_t{0};
  auto conntrack = Conntrack::open();
  if (!conntrack) return std::unexpected(conntrack.error());
  std::vector<Entry> entries;
  const auto done = conntrack->dump([&](Entry entry) {
    if (blocked(entry.flow.source) || blocked(entry.flow.reply_source)) {
      entries.push_back(std::move(entry));
    }
  });
  if (!done) return std::unexpected(done.error());
  const Bytes seen = admission.seen();
  const Bytes decisions = admission.decisions();
  std::size_t cut = 0;
  for (const Entry& entry : entries) {
    const Flow& flow = entry.flow;
    // Without a label it may be admitted by its id, which another entry will not have.
    const bool labelled = has_bits(flow.label, seen);
    const bool admitted = labelled ? admission.admits(flow.label) : flow.answered();
    if (labelled && admitted) conntrack->clear_label(entry, decisions);
    if (admitted && !flow.ending) ++cut;
    // Without its entry an answerless flow to the blocked would begin again and pass; only of TCP
    // the rules can tell that it is no beginning.
    if (blocked(flow.source) || flow.protocol == IPPROTO_TCP || !labelled) {
      conntrack->forget(entry);
    }
  }
  conntrack->flush();
  return cut;
}

}  // namespace chains
