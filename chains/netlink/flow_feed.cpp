// Events and dumps of connection tracking, merged into one stream of flows.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "chains/netlink/flow_feed.hpp"

#include <algorithm>
#include <array>
#include <bitset>
#include <cerrno>

#include <boost/unordered/unordered_flat_set.hpp>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/netlink.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "chains/netlink/attributes.hpp"
#include "chains/netlink/feed_socket.hpp"
#include "chains/netlink/flow_filter.hpp"

namespace chains {

using fw::ErrorCode;
using fw::fail_errno;
using fw::Protocol;
using fw::Result;
using Clock = std::chrono::steady_clock;

namespace {

constexpr std::size_t kBatch = 64;             // messages a system call
constexpr std::size_t kMessageBytes = 1024;    // an event takes some 300
constexpr std::size_t kQueuedBytesMax = 4096;  // that one takes of the kernel's queue
constexpr std::size_t kDumpBytes = 64 * 1024;
// However much is lost, most of the time is for reading what comes: a snapshot reads all the table.
constexpr auto kRestMin = std::chrono::seconds(1);
constexpr int kRestFactor = 10;

Result<fw::File> event_socket(const FlowFeedOptions& options) {
  auto fd = netfilter_socket();
  if (!fd) return fd;
  auto filter = flow_filter(options.ports);
  const sock_fprog program{static_cast<unsigned short>(filter.size()), filter.data()};
  if (!set_option(fd->fd(), SOL_SOCKET, SO_ATTACH_FILTER, program)) {
    return fail_errno(ErrorCode::kernel_refused, "the kernel refused the filter of flow events",
                      errno);
  }
  if (!make_queue(fd->fd(), options.buffer_bytes)) return conntrack_refused(errno);
  for (const int group : {NFNLGRP_CONNTRACK_NEW, NFNLGRP_CONNTRACK_DESTROY}) {
    if (!set_option(fd->fd(), SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, group)) {
      return conntrack_refused(errno);
    }
  }
  return fd;
}

/// Which flow it is, among those that live.
std::uint64_t key_of(const Flow& flow) {
  return std::uint64_t{flow.id} << 32 | std::uint64_t{flow.source_port} << 16 |
         flow.destination_port;
}

}  // namespace

struct FlowFeed::State {
  using Keys = boost::unordered_flat_set<std::uint64_t>;

  Result<void> open(const FlowFeedOptions& options);
  Result<std::span<const FlowEvent>> drain();
  void want_snapshot();

  fw::File events_fd, dump_fd, timer_fd, epoll_fd;
  Counts counts;

 private:
  bool watch(int fd) const {
    epoll_event event{EPOLLIN, {}};
    return epoll_ctl(epoll_fd.fd(), EPOLL_CTL_ADD, fd, &event) == 0;
  }
  bool counted(const Flow& flow) const {
    if (flow.protocol == static_cast<std::uint8_t>(Protocol::tcp)) {
      return tcp_[flow.destination_port];
    }
    return flow.protocol == static_cast<std::uint8_t>(Protocol::udp) && udp_[flow.destination_port];
  }
  void tell(FlowEvent::Kind kind, const Flow& flow) { told_.push_back({kind, flow}); }

  void count_losses();
  Result<void> begin_snapshot();
  Result<void> read_dump();
  Result<void> read_events();
  void dumped(const Flow& flow);
  void began(const Flow& flow);
  void ended(const Flow& flow);
  void end_snapshot();
  void caught_up();
  void arm_timer();

  std::bitset<65536> tcp_, udp_;
  std::vector<FlowEvent> told_;
  std::vector<char> buffer_ = std::vector<char>(std::max(kBatch * kMessageBytes, kDumpBytes));
  Keys known_;  ///< lives, and was reported
  bool dumping_ = false;
  bool announced_ = true;  ///< `snapshot` knows of this dump
  // From the begin of a snapshot until what was queued in the meantime has been read:
  bool catching_up_ = false;
  Keys stale_;  ///< what was known before
  Keys found_;  ///< what only the snapshot knows, so far
  bool wanted_ = false;
  Clock::time_point snapshot_begin_;
  Clock::time_point next_snapshot_;
  std::uint32_t drops_ = 0;
  std::uint64_t unchecked_ = 0;  ///< messages read since drops_ was asked for
  std::uint64_t overflow_messages_ = 0;
  bool timer_armed_ = false;
};

Result<void> FlowFeed::State::open(const FlowFeedOptions& options) {
  for (const fw::PortRange& range : options.ports) {
    auto& ports = range.protocol == Protocol::tcp ? tcp_ : udp_;
    for (std::uint32_t port = range.first; port <= range.last; ++port) ports.set(port);
  }
  auto events = event_socket(options);
  if (!events) return std::unexpected(events.error());
  auto dump = netfilter_socket();
  if (!dump) return std::unexpected(dump.error());
  overflow_messages_ = options.buffer_bytes / kQueuedBytesMax;
  events_fd = std::move(*events);
  dump_fd = std::move(*dump);
  epoll_fd = fw::File(epoll_create1(EPOLL_CLOEXEC));
  timer_fd = fw::File(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
  if (!epoll_fd || !timer_fd || !watch(events_fd.fd()) || !watch(dump_fd.fd()) ||
      !watch(timer_fd.fd())) {
    return fail_errno(ErrorCode::io, "cannot wait for flow events", errno);
  }
  // At once: the kernel fills the first part of the answer (all of it, unless the table is large)
  // before it returns, so what begins from now on is reported as begun.
  return begin_snapshot();
}

void FlowFeed::State::want_snapshot() {
  wanted_ = true;
  arm_timer();
}

/// Wakes whoever waits, at once or when the rest after the last snapshot is over.
void FlowFeed::State::arm_timer() {
  const auto rest = std::max<Clock::duration>(next_snapshot_ - Clock::now(), Clock::duration(1));
  const auto seconds = std::chrono::floor<std::chrono::seconds>(rest);
  const itimerspec when{{}, {seconds.count(), std::chrono::nanoseconds(rest - seconds).count()}};
  timerfd_settime(timer_fd.fd(), 0, &when, nullptr);
  timer_armed_ = true;
}

/// Costs a system call. A queue that overflowed holds many messages, so there was no loss before so
/// many were read.
void FlowFeed::State::count_losses() {
  if (unchecked_ < overflow_messages_) return;
  unchecked_ = 0;
  const std::uint32_t total = dropped(events_fd.fd());
  const std::uint32_t more = total - std::exchange(drops_, total);
  if (more == 0) return;
  counts.lost += more;
  want_snapshot();
}

Result<std::span<const FlowEvent>> FlowFeed::State::drain() {
  told_.clear();
  std::uint64_t expirations = 0;
  if (timer_armed_ && read(timer_fd.fd(), &expirations, sizeof expirations) > 0) {
    timer_armed_ = false;
  }
  Result<void> done;
  if (wanted_ && !dumping_ && Clock::now() >= next_snapshot_) done = begin_snapshot();
  if (done && dumping_) done = read_dump();
  if (done && !dumping_) done = read_events();
  count_losses();
  if (!done) return std::unexpected(done.error());
  return told_;
}

Result<void> FlowFeed::State::begin_snapshot() {
  alignas(nlmsghdr) char request[256];
  const nlmsghdr* header =
      put_conntrack_header(request, IPCTNL_MSG_CT_GET, NLM_F_DUMP, AF_UNSPEC, 1);
  if (send(dump_fd.fd(), header, header->nlmsg_len, 0) < 0) return conntrack_refused(errno);
  dumping_ = true;
  wanted_ = false;
  snapshot_begin_ = Clock::now();
  ++counts.snapshots;
  catching_up_ = true;
  announced_ = false;
  stale_.merge(std::exchange(known_, {}));
  return {};
}

void FlowFeed::State::end_snapshot() {
  dumping_ = false;
  const auto now = Clock::now();
  next_snapshot_ = now + std::max<Clock::duration>(kRestMin, (now - snapshot_begin_) * kRestFactor);
  if (wanted_) arm_timer();
}

/// All that was queued is read.
void FlowFeed::State::caught_up() {
  if (!catching_up_) return;
  catching_up_ = false;
  counts.recovered += found_.size();
  stale_ = {};
  found_ = {};
}

Result<void> FlowFeed::State::read_dump() {
  if (!std::exchange(announced_, true)) tell(FlowEvent::Kind::snapshot, {});
  while (told_.size() < kDrainMax) {
    const ssize_t got = recv(dump_fd.fd(), buffer_.data(), buffer_.size(), 0);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno == EAGAIN) return {};
    if (got < 0) return conntrack_refused(errno);
    for (const nlmsghdr* const m : Messages(buffer_.data(), got)) {
      if (m->nlmsg_type == NLMSG_DONE) {
        end_snapshot();
        return {};
      }
      if (m->nlmsg_type == NLMSG_ERROR) {
        return conntrack_refused(error_of(m));
      }
      const Flow flow = read_flow(m);
      if (counted(flow)) dumped(flow);
    }
  }
  return {};
}

Result<void> FlowFeed::State::read_events() {
  std::array<mmsghdr, kBatch> messages{};
  std::array<iovec, kBatch> parts{};
  for (std::size_t i = 0; i < kBatch; ++i) {
    parts[i] = {buffer_.data() + i * kMessageBytes, kMessageBytes};
    messages[i].msg_hdr.msg_iov = &parts[i];
    messages[i].msg_hdr.msg_iovlen = 1;
  }
  while (told_.size() < kDrainMax) {
    const int got = recvmmsg(events_fd.fd(), messages.data(), kBatch, 0, nullptr);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno == EAGAIN) {
      caught_up();
      return {};
    }
    if (got < 0) return conntrack_refused(errno);
    counts.messages += static_cast<std::uint64_t>(got);
    unchecked_ += static_cast<std::uint64_t>(got);
    for (std::size_t i = 0; i < static_cast<std::size_t>(got); ++i) {
      const auto* m = static_cast<const nlmsghdr*>(parts[i].iov_base);
      if (!message_fits(m, static_cast<int>(messages[i].msg_len))) {
        ++counts.lost;  // longer than any that is known
        want_snapshot();
        continue;
      }
      const Flow flow = read_flow(m);
      if (!counted(flow)) continue;
      (m->nlmsg_type & 0xff) == IPCTNL_MSG_CT_DELETE ? ended(flow) : began(flow);
    }
    if (static_cast<std::size_t>(got) < kBatch) {
      caught_up();
      return {};
    }
  }
  return {};
}

void FlowFeed::State::dumped(const Flow& flow) {
  const std::uint64_t key = key_of(flow);
  if (!known_.insert(key).second) return;  // a dump may meet a flow twice
  const bool older = counts.snapshots == 1 || stale_.contains(key);
  if (!older) found_.insert(key);
  tell(older ? FlowEvent::Kind::lives : FlowEvent::Kind::began, flow);
}

void FlowFeed::State::began(const Flow& flow) {
  const std::uint64_t key = key_of(flow);
  if (known_.insert(key).second) {
    tell(FlowEvent::Kind::began, flow);
  } else {
    found_.erase(key);  // the snapshot was only earlier than the message
  }
}

void FlowFeed::State::ended(const Flow& flow) {
  const std::uint64_t key = key_of(flow);
  if (known_.erase(key) == 0) {
    const bool before = stale_.contains(key) || (catching_up_ && counts.snapshots == 1);
    if (before) return;  // gone when the snapshot came by
    ++counts.recovered;
    tell(FlowEvent::Kind::began, flow);
  }
  tell(FlowEvent::Kind::ended, flow);
}

FlowFeed::FlowFeed(std::unique_ptr<State> state) : state_(std::move(state)) {}
FlowFeed::FlowFeed(FlowFeed&&) noexcept = default;
FlowFeed& FlowFeed::operator=(FlowFeed&&) noexcept = default;
FlowFeed::~FlowFeed() = default;

Result<FlowFeed> FlowFeed::open(const FlowFeedOptions& options) {
  auto state = std::make_unique<State>();
  if (const auto opened = state->open(options); !opened) return std::unexpected(opened.error());
  return FlowFeed(std::move(state));
}

int FlowFeed::fd() const { return state_->epoll_fd.fd(); }
Result<std::span<const FlowEvent>> FlowFeed::drain() { return state_->drain(); }
void FlowFeed::refresh() { state_->want_snapshot(); }
const FlowFeed::Counts& FlowFeed::counts() const { return state_->counts; }

}  // namespace chains
