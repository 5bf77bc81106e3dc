// An nflog group's packets, and why they are there.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "chains/netlink/refusal_feed.hpp"

#include <cerrno>
#include <string_view>
#include <vector>

#include <arpa/inet.h>
#include <fmt/format.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_log.h>
#include <poll.h>

#include "chains/compile.hpp"
#include "chains/netlink/attributes.hpp"
#include "chains/netlink/feed_socket.hpp"

namespace chains {

using fw::ErrorCode;
using fw::Result;

namespace {

constexpr std::uint32_t kCopyBytes = 128;  // IPv6 with some extension headers, and TCP
constexpr int kAnswerMs = 5000;

/// A request about a group. Each is answered before the next is sent.
class Request {
 public:
  Request(std::uint16_t group) {
    header_ = mnl_nlmsg_put_header(bytes_);
    header_->nlmsg_type = NFNL_SUBSYS_ULOG << 8 | NFULNL_MSG_CONFIG;
    header_->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
    auto* nfg = static_cast<nfgenmsg*>(mnl_nlmsg_put_extra_header(header_, sizeof(nfgenmsg)));
    nfg->nfgen_family = AF_UNSPEC;
    nfg->version = NFNETLINK_V0;
    nfg->res_id = htons(group);
  }
  template <class T>
  Request& with(std::uint16_t attribute, const T& value) {
    mnl_attr_put(header_, attribute, sizeof value, &value);
    return *this;
  }
  /// 0, or the kernel's reason.
  int send_to(int fd) const {
    if (send(fd, header_, header_->nlmsg_len, 0) < 0) return errno;
    std::vector<char> answer(kFeedBytes);
    pollfd ready{fd, POLLIN, 0};
    while (poll(&ready, 1, kAnswerMs) > 0) {
      const ssize_t got = recv(fd, answer.data(), answer.size(), 0);
      if (got < 0) return errno;
      const auto* message = reinterpret_cast<const nlmsghdr*>(answer.data());
      // Packets may come before the answer does; they are not waited for yet.
      if (!message_fits(message, static_cast<int>(got)) || message->nlmsg_type != NLMSG_ERROR) {
        continue;
      }
      return error_of(message);
    }
    return ETIMEDOUT;
  }

 private:
  alignas(nlmsghdr) char bytes_[256];
  nlmsghdr* header_;
};

std::unexpected<fw::Error> refused(int code) {
  return fw::fail_errno(ErrorCode::unsupported,
                        "the kernel does not pass on refused packets "
                        "(CONFIG_NETFILTER_NETLINK_LOG; try: modprobe nfnetlink_log)",
                        code);
}

void read_why(std::string_view prefix, Refusal& out) {
  if (prefix == kLogClosed) out.why = Refusal::Why::closed;
  for (const std::string_view kind : {kLogReset, kLogRefused}) {
    if (!prefix.starts_with(kind)) continue;
    out.why = Refusal::Why::limit;
    out.limit = prefix.substr(kind.size());
    out.shaken = kind == kLogReset;
  }
}

}  // namespace

bool read_refusal(const nlmsghdr* message, Refusal& out) {
  out = Refusal{};
  if (message->nlmsg_type != (NFNL_SUBSYS_ULOG << 8 | NFULNL_MSG_PACKET) ||
      mnl_nlmsg_get_payload_len(message) < sizeof(nfgenmsg)) {
    return false;
  }
  bool whole = false;
  for_each_attribute(message, sizeof(nfgenmsg), [&](const nlattr* a) {
    const auto* const bytes = static_cast<const std::uint8_t*>(mnl_attr_get_payload(a));
    const std::size_t size = mnl_attr_get_payload_len(a);
    switch (mnl_attr_get_type(a)) {
      case NFULA_PREFIX: {
        const std::string_view text(reinterpret_cast<const char*>(bytes), size);
        read_why(text.substr(0, text.find('\0')), out);
        break;
      }
      case NFULA_PAYLOAD:
        whole = fw::read_packet({bytes, size}, out.packet);
        break;
      default:
        break;
    }
  });
  return whole;
}

struct RefusalFeed::State {
  fw::File socket;
  std::uint16_t group = 0;
  Counts counts;
  std::uint32_t dropped_before = 0;
  std::vector<Refusal> refusals;
  std::vector<char> buffer = std::vector<char>(kFeedBytes);

  Result<void> open(std::size_t buffer_bytes) {
    auto opened = netfilter_socket();
    if (!opened) return std::unexpected(opened.error());
    socket = std::move(*opened);
    if (!make_queue(socket.fd(), buffer_bytes)) {
      return fw::fail(ErrorCode::permission,
                      "cannot read refused packets: this needs root or the capability "
                      "CAP_NET_ADMIN (try: sudo)");
    }
    nfulnl_msg_config_cmd bind{};
    bind.command = NFULNL_CFG_CMD_BIND;
    nfulnl_msg_config_mode mode{};
    mode.copy_range = htonl(kCopyBytes);
    mode.copy_mode = NFULNL_COPY_PACKET;
    int code = Request(group).with(NFULA_CFG_CMD, bind).send_to(socket.fd());
    if (code == EPERM || code == EBUSY) {
      return fw::fail(ErrorCode::kernel_refused,
                      fmt::format("another program reads nflog group {}; choose another number for "
                                  "[advanced] nflog_group",
                                  group));
    }
    if (code == 0) {
      // Each packet at once, instead of after a second.
      code = Request(group)
                 .with(NFULA_CFG_MODE, mode)
                 .with(NFULA_CFG_QTHRESH, htonl(1))
                 .send_to(socket.fd());
    }
    if (code != 0) return refused(code);
    return {};
  }

  void read(const nlmsghdr* message) {
    if (message->nlmsg_type == NLMSG_DONE) return;  // of a batch
    ++counts.messages;
    refusals.emplace_back();
    if (read_refusal(message, refusals.back())) return;
    refusals.pop_back();
    ++counts.malformed;
  }
};

RefusalFeed::RefusalFeed(std::unique_ptr<State> state) : state_(std::move(state)) {}
RefusalFeed::RefusalFeed(RefusalFeed&&) noexcept = default;
RefusalFeed& RefusalFeed::operator=(RefusalFeed&&) noexcept = default;
RefusalFeed::~RefusalFeed() = default;

Result<RefusalFeed> RefusalFeed::open(std::uint16_t group, std::size_t buffer_bytes) {
  auto state = std::make_unique<State>();
  state->group = group;
  if (const auto opened = state->open(buffer_bytes); !opened) {
    return std::unexpected(opened.error());
  }
  return RefusalFeed(std::move(state));
}

int RefusalFeed::fd() const { return state_->socket.fd(); }

Result<std::span<const Refusal>> RefusalFeed::drain() {
  State& s = *state_;
  s.refusals.clear();
  const std::uint32_t total = dropped(s.socket.fd());
  s.counts.lost += total - std::exchange(s.dropped_before, total);
  while (s.refusals.size() < kDrainMax) {
    const ssize_t got = recv(s.socket.fd(), s.buffer.data(), s.buffer.size(), 0);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno == EAGAIN) break;
    if (got < 0) return refused(errno);
    for (const nlmsghdr* const m : Messages(s.buffer.data(), got)) {
      s.read(m);
    }
  }
  return s.refusals;
}

const RefusalFeed::Counts& RefusalFeed::counts() const { return state_->counts; }

}  // namespace chains
