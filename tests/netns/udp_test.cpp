// Limits of UDP: new flows are counted, and a full meter neither disables a limit nor locks out.
// SPDX-License-Identifier: GPL-2.0-or-later
#include <algorithm>

#include <fmt/format.h>

#include "tests/lab/apps.hpp"
#include "tests/lab/family.hpp"

namespace lab {
namespace {

constexpr const char* kUdpPorts = "[ports]\ntcp = [22]\nudp = [5000, \"6000-6010\"]\n";

class Udp : public OverFamily {
 protected:
  Server server{net.host, {}, {5000, 6005}};
};
BOTH_FAMILIES(Udp);

TEST_P(Udp, NewFlowsAreCountedInAnExactWindow) {
  fw.apply(kUdpPorts +
           limit_toml("dns", "\"udp/5000\", \"udp/6000-6010\"", "outside", "ip", "3/10s"));
  EXPECT_EQ(from(1).udp(host(), 5000), Outcome::served);
  EXPECT_EQ(from(1).udp(host(), 6005), Outcome::served);
  EXPECT_EQ(from(1).udp(host(), 5000), Outcome::served);
  EXPECT_EQ(from(1).udp(host(), 6005, kShort), Outcome::timed_out);
  EXPECT_EQ(from(2).udp(host(), 6005), Outcome::served);
}

TEST_P(Udp, AFlowThatWasAdmittedGoesOnUncounted) {
  fw.apply(kUdpPorts + limit_toml("dns", "\"udp/5000\"", "outside", "ip", "1/10s"));
  RawLink link(net);
  std::vector<Packet> flow(500, {stranger(family(), 1), host(), kUdp, 5555, 5000});
  link.send(flow);
  EXPECT_TRUE(eventually([&] { return server.received(5000) == 500; })) << server.received(5000);
  EXPECT_EQ(counter(net.host, "dns.accepted"), 1u);
  flow.front().port_from = 5556;
  link.send({flow.front()});
  EXPECT_TRUE(eventually([&] { return counter(net.host, "dns.refused") == 1; }));
}

TEST_P(Udp, ABucketAdmitsItsBurstOfFlows) {
  fw.apply(kUdpPorts + limit_toml("dns", "\"udp/5000\"", "outside", "ip", "50/1d"));
  RawLink link(net);
  std::vector<Packet> flows;
  for (std::uint16_t port = 5000; port < 5100; ++port) {
    flows.push_back({stranger(family(), 1), host(), kUdp, port, 5000});
  }
  link.send(flows);
  EXPECT_TRUE(eventually([&] { return server.received(5000) == 50; })) << server.received(5000);
  EXPECT_EQ(counter(net.host, "dns.accepted"), 50u);
  EXPECT_TRUE(eventually([&] { return counter(net.host, "dns.refused") == 50; }));
}

TEST_P(Udp, AnUnlimitedPortIsOpenToAnyNumberOfFlows) {
  fw.apply(kUdpPorts);
  for (int i = 0; i < 30; ++i) EXPECT_EQ(from(1).udp(host(), 5000), Outcome::served);
}

/// Fills a meter with more sources than it has room for.
class AloneFullMeter : public OverFamily {
 protected:
  static constexpr unsigned kRoom = 65'535;

  /// One flow each of strangers `first` and on.
  void flows(RawLink& link, unsigned first, unsigned count) const {
    std::vector<Packet> packets;
    for (unsigned i = first; i < first + count; ++i) {
      packets.push_back({stranger(family(), i), host(), kUdp, 5555, 5000});
    }
    link.send(packets);
  }
  /// Waits until the limit has decided on so many flows in all.
  bool decided(std::uint64_t flows) const {
    return eventually([&] {
      std::uint64_t sum = 0;
      for (const char* way : {"accepted", "overflowed", "refused"}) {
        sum += counter(net.host, std::string("dns.") + way);
      }
      return sum >= flows;
    });
  }
  boost::json::value status(const char* what) const {
    const boost::json::value all = fw.json({"status"});
    for (const auto& limit : all.at("limits").as_array()) {
      if (limit.at("name").as_string() == "dns") return limit.at(what);
    }
    return nullptr;
  }
};
BOTH_FAMILIES(AloneFullMeter);

TEST_P(AloneFullMeter, FurtherSourcesAreCountedByTheirNetworks) {
  // 30 in an hour for each source, and then for each /24 or /56 of those that find no room.
  fw.apply(kUdpPorts + limit_toml("dns", "\"udp/5000\"", "outside", "ip", "30/1h"));
  RawLink link(net);
  flows(link, 0, kRoom);
  ASSERT_TRUE(decided(kRoom)) << "every packet arrives";
  EXPECT_EQ(counter(net.host, "dns.accepted"), kRoom);
  EXPECT_EQ(counter(net.host, "dns.overflowed"), 0u);

  flows(link, kRoom, 100);  // one of the last network of before, and 99 of another
  ASSERT_TRUE(decided(kRoom + 100));
  EXPECT_EQ(counter(net.host, "dns.overflowed"), 31u);
  EXPECT_EQ(counter(net.host, "dns.refused"), 69u) << "the limit is not switched off";

  flows(link, kRoom + 100, 1000);  // of four more
  ASSERT_TRUE(decided(kRoom + 1100));
  EXPECT_GE(counter(net.host, "dns.overflowed"), 151u);
  EXPECT_LE(counter(net.host, "dns.overflowed"), 156u);

  EXPECT_EQ(status("sources").to_number<unsigned>(), kRoom);
  EXPECT_GE(status("fullest").to_number<double>(), 0.99 * status("capacity").to_number<double>());
  EXPECT_EQ(status("overflowed").to_number<std::uint64_t>(), counter(net.host, "dns.overflowed"));
  const Output text = fw.run({"status"});
  EXPECT_NE(text.out.find("100%"), std::string::npos) << text.out;
  EXPECT_NE(text.out.find("'dns' was full"), std::string::npos) << text.out;
}

TEST_P(AloneFullMeter, AWindowOverflowsInTheSameWay) {
  fw.apply(kUdpPorts + limit_toml("dns", "\"udp/5000\"", "outside", "ip", "2/1h"));
  RawLink link(net);
  flows(link, 0, kRoom);
  ASSERT_TRUE(decided(kRoom));
  EXPECT_EQ(counter(net.host, "dns.accepted"), kRoom);
  flows(link, kRoom, 100);
  ASSERT_TRUE(decided(kRoom + 100));
  EXPECT_EQ(counter(net.host, "dns.accepted"), kRoom) << "nobody is counted in two places";
  EXPECT_EQ(counter(net.host, "dns.overflowed"), 1u + 2u);
  EXPECT_EQ(counter(net.host, "dns.refused"), 97u);
}

TEST(AloneFullMeterOfApps, FurtherOnesShareOneBucket) {
  // An app's container has no network of its own, so there is none to count it by.
  const Network net;
  AppBridge bridge(net);
  App& wiki = bridge.add(2);
  Firewall fw(net.host);
  fw.apply(kUdpPorts + apps_toml() + limit_toml("dns", "\"udp/5000\"", "apps", "app", "1/1h"));
  RawLink link(wiki.inside, wiki.mac, kBridgeMac);
  constexpr unsigned kRoom = 65'535;
  std::vector<Packet> packets;
  for (unsigned i = 0; i < kRoom + 100; ++i) {
    const Ip from = app_address(Family::ipv6, 1000 + i);
    packets.push_back({from, host_address(Family::ipv6), kUdp, 5555, 5000});
  }
  link.send(packets);
  EXPECT_TRUE(eventually([&] { return counter(net.host, "dns.refused") == 84; }));
  EXPECT_EQ(counter(net.host, "dns.accepted"), kRoom);
  EXPECT_EQ(counter(net.host, "dns.overflowed"), 16u) << "16 times the rate for all further ones";
}

}  // namespace
}  // namespace lab
