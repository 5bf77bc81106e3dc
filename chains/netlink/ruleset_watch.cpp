// Changes of the kernel's rulesets.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "chains/netlink/ruleset_watch.hpp"

#include <cerrno>
#include <string_view>
#include <utility>

#include <arpa/inet.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <sys/socket.h>

#include "chains/netlink/attributes.hpp"
#include "chains/netlink/feed_socket.hpp"
#include "chains/ruleset.hpp"

namespace chains {

using fw::ErrorCode;
using fw::Result;

namespace {

constexpr std::size_t kChangesMax = 1024;  // of one call
// NFTA_TABLE_NAME, NFTA_CHAIN_TABLE, NFTA_RULE_TABLE, NFTA_SET_TABLE, NFTA_SET_ELEM_LIST_TABLE and
// NFTA_OBJ_TABLE are one number.
constexpr std::uint16_t kTableAttribute = NFTA_TABLE_NAME;
static_assert(NFTA_TABLE_NAME == 1 && NFTA_CHAIN_TABLE == 1 && NFTA_RULE_TABLE == 1 &&
              NFTA_SET_TABLE == 1 && NFTA_SET_ELEM_LIST_TABLE == 1 && NFTA_OBJ_TABLE == 1);

std::string_view text_of(const nlattr* a) {
  const std::string_view all(static_cast<const char*>(mnl_attr_get_payload(a)),
                             mnl_attr_get_payload_len(a));
  return all.substr(0, all.find('\0'));
}

std::uint32_t number_of(const nlattr* a) { return ntohl(value_of<std::uint32_t>(a)); }

}  // namespace

bool ChangeReader::read(const nlmsghdr* message, RulesetChange& out) {
  if (message->nlmsg_type >> 8 != NFNL_SUBSYS_NFTABLES ||
      mnl_nlmsg_get_payload_len(message) < sizeof(nfgenmsg)) {
    ++malformed_;
    return false;
  }
  const int type = message->nlmsg_type & 0xff;
  if (type != NFT_MSG_NEWGEN) {
    const auto* const nfg = static_cast<const nfgenmsg*>(mnl_nlmsg_get_payload(message));
    if (nfg->nfgen_family != NFPROTO_INET && nfg->nfgen_family != NFPROTO_BRIDGE) return false;
    bool ours = false;
    for_each_attribute(message, sizeof(nfgenmsg), [&ours](const nlattr* a) {
      if (mnl_attr_get_type(a) == kTableAttribute) ours = text_of(a) == kTable;
    });
    const bool element = type == NFT_MSG_NEWSETELEM || type == NFT_MSG_DELSETELEM;
    ours_ = ours_ || ours;
    if (ours && type == NFT_MSG_DELTABLE) removed_ = true;
    if (ours && type == NFT_MSG_NEWTABLE) removed_ = false;
    other_than_elements_ = other_than_elements_ || (ours && !element);
    return false;
  }
  out = RulesetChange{};
  out.port = message->nlmsg_pid;
  for_each_attribute(message, sizeof(nfgenmsg), [&out](const nlattr* a) {
    switch (mnl_attr_get_type(a)) {
      case NFTA_GEN_ID:
        out.generation = number_of(a);
        break;
      case NFTA_GEN_PROC_PID:
        out.pid = static_cast<pid_t>(number_of(a));
        break;
      case NFTA_GEN_PROC_NAME:
        out.process = text_of(a);
        break;
      default:
        break;
    }
  });
  out.ours = std::exchange(ours_, false);
  out.only_elements = out.ours && !other_than_elements_;
  out.removed = std::exchange(removed_, false);
  other_than_elements_ = false;
  return true;
}

struct RulesetWatch::State {
  fw::File socket;
  ChangeReader reader;
  std::uint64_t changes_read = 0;
  std::uint64_t lost = 0;
  std::uint32_t dropped_before = 0;
  std::vector<RulesetChange> changes;
  std::vector<char> buffer = std::vector<char>(kFeedBytes);
};

RulesetWatch::RulesetWatch(std::unique_ptr<State> state) : state_(std::move(state)) {}
RulesetWatch::RulesetWatch(RulesetWatch&&) noexcept = default;
RulesetWatch& RulesetWatch::operator=(RulesetWatch&&) noexcept = default;
RulesetWatch::~RulesetWatch() = default;

Result<RulesetWatch> RulesetWatch::open(std::size_t buffer_bytes) {
  auto state = std::make_unique<State>();
  auto socket = netfilter_socket();
  if (!socket) return std::unexpected(socket.error());
  state->socket = std::move(*socket);
  const int fd = state->socket.fd();
  if (!make_queue(fd, buffer_bytes) ||
      !set_option(fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, int{NFNLGRP_NFTABLES})) {
    return fw::fail_errno(ErrorCode::permission,
                          "cannot watch changes of the firewall: this needs root or the "
                          "capability CAP_NET_ADMIN (try: sudo)",
                          errno);
  }
  return RulesetWatch(std::move(state));
}

int RulesetWatch::fd() const { return state_->socket.fd(); }

Result<RulesetWatch::Drained> RulesetWatch::drain() {
  State& s = *state_;
  s.changes.clear();
  const std::uint32_t total = dropped(s.socket.fd());
  const std::uint32_t lost = total - std::exchange(s.dropped_before, total);
  s.lost += lost;
  while (s.changes.size() < kChangesMax) {
    const ssize_t got = recv(s.socket.fd(), s.buffer.data(), s.buffer.size(), 0);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno == EAGAIN) break;
    if (got < 0) {
      return fw::fail_errno(ErrorCode::kernel_refused, "cannot watch changes of the firewall",
                            errno);
    }
    for (const nlmsghdr* const m : Messages(s.buffer.data(), got)) {
      RulesetChange change;
      if (s.reader.read(m, change)) s.changes.push_back(std::move(change));
    }
  }
  s.changes_read += s.changes.size();
  return Drained{s.changes, lost != 0};
}

void RulesetWatch::pause() const {
  (void)set_option(state_->socket.fd(), SOL_NETLINK, NETLINK_DROP_MEMBERSHIP,
                   int{NFNLGRP_NFTABLES});
}

void RulesetWatch::resume() const {
  (void)set_option(state_->socket.fd(), SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, int{NFNLGRP_NFTABLES});
}

RulesetWatch::Counts RulesetWatch::counts() const {
  return {state_->changes_read, state_->lost, state_->reader.malformed()};
}

}  // namespace chains
