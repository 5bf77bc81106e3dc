// The feed of refused packets: who was refused, by which limit, and whether the sender is certain.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "chains/netlink/refusal_feed.hpp"

#include <algorithm>
#include <thread>

#include <poll.h>

#include "tests/lab/family.hpp"
#include "tests/lab/raw.hpp"
#include "tests/lab/server.hpp"

namespace lab {
namespace {

using chains::Refusal;
using chains::RefusalFeed;

class Refusals : public OverFamily {
 protected:
  void open(std::size_t buffer_bytes = std::size_t{1} << 20) {
    net.host.in([&] {
      auto opened = RefusalFeed::open(7, buffer_bytes);
      ASSERT_TRUE(opened) << to_string(opened.error());
      feed_ = std::make_unique<RefusalFeed>(std::move(*opened));
    });
  }
  /// All that comes until nothing more does.
  std::vector<Refusal> told(milliseconds quiet = 500ms) {
    std::vector<Refusal> all;
    pollfd ready{feed_->fd(), POLLIN, 0};
    while (poll(&ready, 1, static_cast<int>(quiet.count())) > 0) {
      const auto some = feed_->drain();
      if (!some) fail(to_string(some.error()));
      all.insert(all.end(), some->begin(), some->end());
    }
    return all;
  }
  std::vector<Packet> syns(unsigned who, std::uint16_t port, int n) const {
    std::vector<Packet> packets;
    for (int i = 0; i < n; ++i) {
      packets.push_back({stranger(family(), who), host(), kTcp,
                         static_cast<std::uint16_t>(2000 + i), port, kSyn});
    }
    return packets;
  }

  Server server{net.host, {22, 80}, {53}};
  std::unique_ptr<RefusalFeed> feed_;
};
BOTH_FAMILIES(Refusals);

constexpr const char* kReportingPolicy =
    "[ports]\ntcp = [22, 80]\nudp = [53]\n[advanced]\nnflog_group = 7\n"
    "[[limit]]\nname = \"ssh\"\nports = [22]\nrate = \"2/m\"\n"
    "[[limit]]\nname = \"web\"\nports = [80]\nrate = \"20/m\"\n"
    "[[limit]]\nname = \"dns\"\nports = [\"udp/53\"]\nrate = \"2/m\"\n";

TEST_P(Refusals, SayWhoAndWhy) {
  fw.apply(kReportingPolicy);
  open();
  from(1).tries(host(), {22}, {3, 10ms, kShort});
  from(2).tcp(host(), 81, kShort);
  for (int i = 0; i < 3; ++i) from(3).udp(host(), 53, kShort);
  const auto refusals = told();
  ASSERT_EQ(refusals.size(), 3u);
  EXPECT_EQ(refusals[0].why, Refusal::Why::limit);
  EXPECT_EQ(refusals[0].limit, "ssh");
  EXPECT_EQ(refusals[0].packet.source, client(family(), 1));
  EXPECT_EQ(refusals[0].packet.destination, host());
  EXPECT_EQ(refusals[0].packet.destination_port, 22);
  EXPECT_EQ(refusals[0].packet.protocol, kTcp);
  EXPECT_EQ(refusals[0].packet.tcp_flags & kSyn, kSyn);
  EXPECT_FALSE(refusals[0].shaken) << "a SYN can be anybody's";
  EXPECT_EQ(refusals[1].why, Refusal::Why::closed);
  EXPECT_EQ(refusals[1].packet.source, client(family(), 2));
  EXPECT_EQ(refusals[1].packet.destination_port, 81);
  EXPECT_EQ(refusals[2].limit, "dns");
  EXPECT_EQ(refusals[2].packet.protocol, kUdp);
  EXPECT_FALSE(refusals[2].shaken);
  EXPECT_EQ(feed_->counts().lost, 0u);
  EXPECT_EQ(feed_->counts().malformed, 0u);
}

TEST_P(Refusals, KnowWhoCompletedAHandshake) {
  fw.apply(kReportingPolicy);
  open();
  RawLink link(net);
  keep_quiet(net.outside);
  Handshakes shaken(link, stranger(family(), 1), host(), {80}, 30);
  shaken.finish();
  const auto refusals = told();
  ASSERT_EQ(refusals.size(), 10u);
  for (const Refusal& refusal : refusals) {
    EXPECT_TRUE(refusal.shaken);
    EXPECT_EQ(refusal.limit, "web");
    EXPECT_EQ(refusal.packet.source, stranger(family(), 1));
  }
}

TEST_P(Refusals, AFloodCostsLittle) {
  fw.apply(kReportingPolicy);
  open();
  RawLink link(net);
  link.send(syns(1, 81, 20'000));
  const auto refusals = told();
  EXPECT_GE(refusals.size(), 50u);
  EXPECT_LE(refusals.size(), 400u) << "100 at once, and 50 a second";
  EXPECT_EQ(feed_->counts().lost, 0u);
}

TEST_P(Refusals, WhatTheQueueLosesIsCounted) {
  fw.apply(kReportingPolicy);
  open(4096);
  RawLink link(net);
  link.send(syns(1, 81, 60));
  std::this_thread::sleep_for(300ms);
  std::size_t heard = 0;
  EXPECT_TRUE(eventually([&] {
    heard += told().size();
    return heard + feed_->counts().lost == 60;
  })) << heard
      << " heard, " << feed_->counts().lost << " lost";
  EXPECT_GT(feed_->counts().lost, 0u);
}

TEST_P(Refusals, AGroupHasOneListener) {
  fw.apply(kReportingPolicy);
  open();
  net.host.in([] {
    const auto second = RefusalFeed::open(7);
    ASSERT_FALSE(second);
    EXPECT_NE(to_string(second.error()).find("another program reads nflog group 7"),
              std::string::npos);
  });
}

}  // namespace
}  // namespace lab
