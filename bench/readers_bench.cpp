// What one message costs a reader: the product's own readers beside libnetfilter_conntrack's and
// libnetfilter_log's, over the same messages of the kernel.
//
// usage: readers_bench [ROUNDS]. As root; everything happens in a namespace of its own.
// SPDX-License-Identifier: GPL-2.0-or-later
#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include <arpa/inet.h>
#include <fmt/format.h>
#include <libnetfilter_log/libnetfilter_log.h>
#include <linux/netfilter/nf_conntrack_tcp.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/netfilter/nfnetlink_log.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "bench/namespaces.hpp"
#include "chains/admission.hpp"
#include "chains/compile.hpp"
#include "chains/netlink/attributes.hpp"
#include "chains/netlink/conntrack.hpp"
#include "chains/netlink/entry.hpp"
#include "chains/netlink/flow.hpp"
#include "chains/netlink/handles.hpp"
#include "chains/netlink/refusal_feed.hpp"

namespace bench {
namespace {

using chains::Messages;
using Clock = std::chrono::steady_clock;

constexpr std::uint16_t kGroup = 7;
constexpr std::uint16_t kPort = 9;
constexpr int kFlows = 10'000;
constexpr int kPackets = 2'000;

/// Whole messages of one kind, one after the other.
using Captured = std::vector<char>;

void add(Captured& to, const nlmsghdr* message) {
  const auto* bytes = reinterpret_cast<const char*>(message);
  to.insert(to.end(), bytes, bytes + MNL_ALIGN(message->nlmsg_len));
}

/// A dump of a table that holds so many TCP connections.
Captured flows() {
  std::vector<chains::OpenConnection> connections;
  for (int i = 0; i < kFlows; ++i) {
    connections.push_back({fw::parse_ip("203.0.113.1").value(), 443,
                           fw::parse_ip(fmt::format("198.18.{}.{}", i / 250, i % 250 + 1)).value(),
                           static_cast<std::uint16_t>(20'000 + i)});
  }
  if (!chains::enter_connections(chains::Admission(0), connections)) fail("cannot enter flows");
  const chains::SocketHandle socket(mnl_socket_open(NETLINK_NETFILTER));
  mnl_socket_bind(socket.get(), 0, MNL_SOCKET_AUTOPID);
  alignas(nlmsghdr) char request[256];
  const nlmsghdr* header =
      chains::put_conntrack_header(request, IPCTNL_MSG_CT_GET, NLM_F_DUMP, AF_UNSPEC, 1);
  mnl_socket_sendto(socket.get(), header, header->nlmsg_len);
  Captured out;
  std::vector<char> buffer(256 * 1024);
  for (;;) {
    const ssize_t got = mnl_socket_recvfrom(socket.get(), buffer.data(), buffer.size());
    if (got < 0) fail("cannot read flows");
    for (const nlmsghdr* const m : Messages(buffer.data(), got)) {
      if (m->nlmsg_type == NLMSG_DONE) return out;
      if (m->nlmsg_type == NLMSG_ERROR) fail("cannot read flows");
      add(out, m);
    }
  }
}

void set_loopback_up() {
  const Fd fd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq request{};
  std::strcpy(request.ifr_name, "lo");
  request.ifr_flags = IFF_UP | IFF_RUNNING;
  if (ioctl(fd.get(), SIOCSIFFLAGS, &request) != 0) fail("cannot set lo up");
}

/// A socket that the kernel sends the group's packets to, each at once.
chains::SocketHandle log_socket() {
  chains::SocketHandle socket(mnl_socket_open(NETLINK_NETFILTER));
  mnl_socket_bind(socket.get(), 0, MNL_SOCKET_AUTOPID);
  const int fd = mnl_socket_get_fd(socket.get());
  const int large = 32 << 20;
  const timeval patience{1, 0};
  setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &large, sizeof large);
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  alignas(nlmsghdr) char request[256];
  nlmsghdr* header = nflog_nlmsg_put_header(request, NFULNL_MSG_CONFIG, AF_UNSPEC, kGroup);
  nflog_attr_put_cfg_cmd(header, NFULNL_CFG_CMD_BIND);
  mnl_socket_sendto(socket.get(), header, header->nlmsg_len);
  header = nflog_nlmsg_put_header(request, NFULNL_MSG_CONFIG, AF_UNSPEC, kGroup);
  nflog_attr_put_cfg_mode(header, NFULNL_COPY_PACKET, 128);
  mnl_attr_put_u32(header, NFULA_CFG_QTHRESH, htonl(1));
  mnl_socket_sendto(socket.get(), header, header->nlmsg_len);
  return socket;
}

/// Packets that a rule copies, as the product's rules do.
Captured refusals(const Fd& own) {
  set_loopback_up();
  run_in(own, {"nft", "-f", "-"},
         fmt::format("table inet t {{ chain c {{ type filter hook input priority 0; udp dport {} "
                     "log prefix \"{}ssh.5/10s\" group {} snaplen 128\n}}\n}}\n",
                     kPort, chains::kLogRefused, kGroup));
  const chains::SocketHandle socket = log_socket();
  const Fd sender(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(kPort);
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  for (int sent = 0; sent < kPackets; ++sent) {
    sendto(sender.get(), "0123456789abcdef", 16, 0, reinterpret_cast<sockaddr*>(&to), sizeof to);
  }
  Captured out;
  std::vector<char> buffer(256 * 1024);
  for (int seen = 0; seen < kPackets;) {
    const ssize_t got = mnl_socket_recvfrom(socket.get(), buffer.data(), buffer.size());
    if (got < 0) fail("cannot read packets");
    for (const nlmsghdr* const m : Messages(buffer.data(), got)) {
      if (m->nlmsg_type != (NFNL_SUBSYS_ULOG << 8 | NFULNL_MSG_PACKET)) continue;
      add(out, m);
      ++seen;
    }
  }
  return out;
}

fw::Ip address_of(const nf_conntrack& entry, nf_conntrack_attr v4, nf_conntrack_attr v6) {
  if (const void* bytes = nfct_get_attr(&entry, v4)) {
    return fw::ip_from_bytes(fw::Family::ipv4, bytes);
  }
  if (const void* bytes = nfct_get_attr(&entry, v6)) {
    return fw::ip_from_bytes(fw::Family::ipv6, bytes);
  }
  return {};
}

chains::Bytes label_of(const nf_conntrack& entry) {
  const auto* const mask = static_cast<const nfct_bitmask*>(nfct_get_attr(&entry, ATTR_CONNLABELS));
  if (mask == nullptr) return {};
  chains::Bytes label((nfct_bitmask_maxbit(mask) + 1) / 8);
  for (unsigned bit = 0; bit < label.size() * 8; ++bit) {
    if (nfct_bitmask_test_bit(mask, bit) == 0) continue;
    label[bit / 8] = static_cast<std::uint8_t>(label[bit / 8] | 1u << bit % 8);
  }
  return label;
}

/// What read_flow() finds, by libnetfilter_conntrack.
chains::Flow flow_with_library(const nlmsghdr* message) {
  const chains::EntryHandle held = chains::read_entry(message);
  const nf_conntrack& entry = *held;
  chains::Flow flow;
  flow.source = address_of(entry, ATTR_ORIG_IPV4_SRC, ATTR_ORIG_IPV6_SRC);
  flow.destination = address_of(entry, ATTR_ORIG_IPV4_DST, ATTR_ORIG_IPV6_DST);
  flow.reply_source = address_of(entry, ATTR_REPL_IPV4_SRC, ATTR_REPL_IPV6_SRC);
  // Of what is not set the library says 0.
  flow.source_port = ntohs(nfct_get_attr_u16(&entry, ATTR_ORIG_PORT_SRC));
  flow.destination_port = ntohs(nfct_get_attr_u16(&entry, ATTR_ORIG_PORT_DST));
  flow.protocol = nfct_get_attr_u8(&entry, ATTR_ORIG_L4PROTO);
  flow.ending = nfct_get_attr_u8(&entry, ATTR_TCP_STATE) > TCP_CONNTRACK_ESTABLISHED;
  flow.id = nfct_get_attr_u32(&entry, ATTR_ID);
  flow.status = nfct_get_attr_u32(&entry, ATTR_STATUS);
  flow.label = label_of(entry);
  return flow;
}

/// What read_refusal() finds, by the attributes that libnetfilter_log gives.
bool read_with_library(const nlmsghdr* message, chains::Refusal& out) {
  nlattr* attributes[NFULA_MAX + 1]{};
  out = chains::Refusal{};
  if (nflog_nlmsg_parse(message, attributes) != MNL_CB_OK) return false;
  const nlattr* const payload = attributes[NFULA_PAYLOAD];
  if (payload == nullptr) return false;
  if (const nlattr* const prefix = attributes[NFULA_PREFIX]) {
    const std::string_view text = mnl_attr_get_str(prefix);
    if (text.starts_with(chains::kLogRefused)) {
      out.why = chains::Refusal::Why::limit;
      out.limit = text.substr(std::string_view(chains::kLogRefused).size());
    }
  }
  const auto* const bytes = static_cast<const std::uint8_t*>(mnl_attr_get_payload(payload));
  return fw::read_packet({bytes, mnl_attr_get_payload_len(payload)}, out.packet);
}

/// Nanoseconds a message; `read` gives a number, never 0, that depends on what it read.
double measure(const Captured& captured, const auto& read) {
  constexpr int kPasses = 20;
  std::uint64_t sum = 0, count = 0;
  const auto begin = Clock::now();
  for (int pass = 0; pass < kPasses; ++pass) {
    for (const nlmsghdr* const m : Messages(captured.data(), captured.size())) {
      sum += read(m);
      ++count;
    }
  }
  const std::chrono::duration<double, std::nano> took = Clock::now() - begin;
  if (sum < count) fail("a message was not read");
  return took.count() / static_cast<double>(count);
}

void run(int rounds) {
  const Fd own = new_namespace();
  const Captured flow_messages = flows();
  const Captured log_messages = refusals(own);
  for (const nlmsghdr* const m : Messages(flow_messages.data(), flow_messages.size())) {
    if (chains::read_flow(m) != flow_with_library(m)) fail("the readers disagree");
  }
  chains::Refusal refusal;
  const std::vector<std::pair<std::string, std::function<double()>>> readers{
      {"flow, cloudron-fw",
       [&] { return measure(flow_messages, [](auto* m) { return chains::read_flow(m).id; }); }},
      {"flow, libnetfilter_conntrack",
       [&] { return measure(flow_messages, [](auto* m) { return flow_with_library(m).id; }); }},
      {"refusal, cloudron-fw",
       [&] {
         return measure(log_messages, [&](auto* m) { return chains::read_refusal(m, refusal); });
       }},
      {"refusal, libnetfilter_log", [&] {
         return measure(log_messages, [&](auto* m) { return read_with_library(m, refusal); });
       }}};
  std::vector<std::vector<double>> all(readers.size());
  for (int round = 0; round < rounds; ++round) {
    for (std::size_t i = 0; i < readers.size(); ++i) all[i].push_back(readers[i].second());
  }
  for (std::size_t i = 0; i < readers.size(); ++i) {
    std::sort(all[i].begin(), all[i].end());
    fmt::print("{:30} {:7.0f} ns a message ({:.0f} to {:.0f})\n", readers[i].first,
               all[i][all[i].size() / 2], all[i].front(), all[i].back());
  }
}

}  // namespace
}  // namespace bench

int main(int argc, char** argv) {
  try {
    bench::run(argc > 1 ? std::atoi(argv[1]) : 9);
  } catch (const std::exception& error) {
    fmt::print(stderr, "readers_bench: {}\n", error.what());
    return 1;
  }
}
