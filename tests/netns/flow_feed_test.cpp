// The feed of flow events: every flow is told once, and what the queue loses is found again.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "chains/netlink/flow_feed.hpp"

#include <map>
#include <set>

#include <poll.h>

#include "tests/lab/family.hpp"

namespace lab {
namespace {

using chains::FlowEvent;
using chains::FlowFeed;
using Kind = FlowEvent::Kind;

constexpr const char* kPorts = "[ports]\ntcp = [22, 80, 81]\nudp = [5000, 5001]\n";

class Feed : public OverFamily {
 protected:
  void open(std::size_t buffer_bytes = std::size_t{4} << 20) {
    net.host.in([&] {
      auto opened = FlowFeed::open(
          {{{fw::Protocol::tcp, 80, 80}, {fw::Protocol::udp, 5000, 5000}}, buffer_bytes});
      ASSERT_TRUE(opened) << to_string(opened.error());
      feed_ = std::make_unique<FlowFeed>(std::move(*opened));
    });
  }
  /// All that is told until nothing more comes for so long.
  std::vector<FlowEvent> told(Clock::duration quiet = 200ms) {
    std::vector<FlowEvent> all;
    const auto wait = std::chrono::duration_cast<milliseconds>(quiet);
    pollfd ready{feed_->fd(), POLLIN, 0};
    while (poll(&ready, 1, static_cast<int>(wait.count())) > 0) {
      const auto events = feed_->drain();
      if (!events) fail(to_string(events.error()));
      all.insert(all.end(), events->begin(), events->end());
    }
    return all;
  }
  static std::size_t count(const std::vector<FlowEvent>& events, Kind kind) {
    return static_cast<std::size_t>(std::count_if(
        events.begin(), events.end(), [kind](const FlowEvent& e) { return e.kind == kind; }));
  }
  /// Source ports of the flows that were told so.
  static std::set<std::uint16_t> ports(const std::vector<FlowEvent>& events, Kind kind) {
    std::set<std::uint16_t> found;
    for (const FlowEvent& e : events) {
      if (e.kind == kind) found.insert(e.flow.source_port);
    }
    return found;
  }
  /// One flow each of one source, to a UDP port.
  void flows(std::uint16_t first, std::uint16_t n, std::uint16_t to = 5000) {
    RawLink link(net);
    std::vector<Packet> packets;
    for (std::uint16_t i = 0; i < n; ++i) {
      packets.push_back(
          {stranger(family(), 1), host(), kUdp, static_cast<std::uint16_t>(first + i), to});
    }
    const std::size_t before = server.received(to);
    link.send(packets);
    ASSERT_TRUE(eventually([&] { return server.received(to) == before + n; }))
        << server.received(to);
  }
  void forget_all() { must_run(net.host, {"conntrack", "-F"}); }

  Server server{net.host, {80, 81}, {5000, 5001}};
  std::unique_ptr<FlowFeed> feed_;
};
BOTH_FAMILIES(Feed);

TEST_P(Feed, TellsBeginAndEndOfCountedFlowsOnly) {
  fw.apply(kPorts);
  open();
  EXPECT_EQ(count(told(), Kind::snapshot), 1u);
  EXPECT_EQ(from(1).tcp(host(), 80), Outcome::served);
  EXPECT_EQ(from(2).tcp(host(), 81), Outcome::served);
  EXPECT_EQ(from(3).udp(host(), 5001), Outcome::served);
  auto events = told();
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].kind, Kind::began);
  const chains::Flow flow = events[0].flow;
  EXPECT_EQ(flow.source, client(family(), 1));
  EXPECT_EQ(flow.destination, host());
  EXPECT_EQ(flow.destination_port, 80);
  EXPECT_EQ(flow.protocol, kTcp);
  EXPECT_NE(flow.source_port, 0);
  forget_all();
  events = told();
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].kind, Kind::ended);
  EXPECT_EQ(events[0].flow.source_port, flow.source_port);
  EXPECT_TRUE(events[0].flow.answered());
  EXPECT_EQ(feed_->counts().messages, 2u) << "the kernel keeps to itself what is not counted";
}

TEST_P(Feed, BeginsWithWhatLives) {
  fw.apply(kPorts);
  flows(1000, 10);
  flows(1000, 10, 5001);
  open();
  auto events = told();
  ASSERT_EQ(events.size(), 11u);
  EXPECT_EQ(events[0].kind, Kind::snapshot);
  EXPECT_EQ(ports(events, Kind::lives).size(), 10u);
  feed_->refresh();
  EXPECT_EQ(told(1500ms).size(), 11u) << "they are still there";
  forget_all();
  feed_->refresh();
  EXPECT_EQ(count(told(1500ms), Kind::lives), 0u);
  EXPECT_EQ(feed_->counts().recovered, 0u);
}

TEST_P(Feed, TellsTheBeginOfWhatBeganBeforeItsFirstDrain) {
  fw.apply(kPorts);
  flows(1000, 10);
  open();
  flows(2000, 10);
  const auto events = told();
  EXPECT_EQ(ports(events, Kind::lives).size(), 10u);
  EXPECT_EQ(ports(events, Kind::began).size(), 10u);
  EXPECT_EQ(*ports(events, Kind::began).begin(), 2000);
}

TEST_P(Feed, FindsAgainWhatTheQueueLost) {
  fw.apply(kPorts);
  open(4096);
  told();
  flows(1000, 2000);
  const auto events = told(1500ms);
  const auto& counts = feed_->counts();
  EXPECT_GT(counts.lost, 1000u);
  EXPECT_EQ(counts.messages + counts.lost, 2000u);
  EXPECT_EQ(counts.recovered, counts.lost);
  EXPECT_EQ(counts.snapshots, 2u);
  EXPECT_EQ(count(events, Kind::began), 2000u) << "each is told once";
  EXPECT_EQ(ports(events, Kind::began).size(), 2000u);
}

TEST_P(Feed, TellsNoEndWithoutABegin) {
  fw.apply(kPorts);
  open(4096);
  auto events = told();
  flows(1000, 500);
  forget_all();
  flows(2000, 500);
  const auto later = told(1500ms);
  events.insert(events.end(), later.begin(), later.end());
  forget_all();
  const auto last = told(1500ms);
  events.insert(events.end(), last.begin(), last.end());
  std::map<std::uint16_t, int> living;
  for (const FlowEvent& e : events) {
    if (e.kind == Kind::snapshot) living.clear();
    if (e.kind == Kind::lives || e.kind == Kind::began) {
      EXPECT_EQ(living[e.flow.source_port]++, 0);
    }
    if (e.kind == Kind::ended) {
      EXPECT_EQ(--living[e.flow.source_port], 0);
    }
  }
  for (const auto& [port, lives] : living) EXPECT_EQ(lives, 0) << port;
  EXPECT_GT(feed_->counts().lost, 0u);
}

}  // namespace
}  // namespace lab
