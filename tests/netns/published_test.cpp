// Ports that apps publish (P3): destination NAT on the host, filtered by the original port.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/lab/apps.hpp"
#include "tests/lab/family.hpp"

namespace lab {
namespace {

class Published : public OverFamily {
 protected:
  Published() {
    bridge.publish(29'418, wiki, 8080);
    bridge.publish(29'419, wiki, 8081);
    bridge.publish(5353, wiki, 5000);
    ip_commands(net.outside,
                "route add 172.18.0.0/16 via 203.0.113.1\n"
                "route add 2001:db8:172::/64 via 2001:db8:ffff::1\n");
  }
  std::string wiki_publishes(const std::string& ports) const {
    return apps_toml() + app_toml("wiki", wiki, "publishes = [" + ports + "]");
  }

  AppBridge bridge{net};
  App& wiki = bridge.add(2);
  Server server{wiki.inside, {8080, 8081}, {5000}};
};
BOTH_FAMILIES(Published);

TEST_P(Published, WithoutFirewallTheLabsNatWorks) {
  EXPECT_EQ(from(1).tcp(host(), 29'418), Outcome::served);
  EXPECT_EQ(from(1).tcp(host(), 29'419), Outcome::served);
  EXPECT_EQ(from(1).udp(host(), 5353), Outcome::served);
  EXPECT_EQ(from(1).tcp(wiki.address(family()), 8080), Outcome::served);
}

TEST_P(Published, PortsAreClosedUntilThePolicySaysSo) {
  fw.apply(apps_toml());
  EXPECT_EQ(from(1).tcp(host(), 29'418, kShort), Outcome::timed_out);
  EXPECT_EQ(from(1).udp(host(), 5353, kShort), Outcome::timed_out);
  fw.apply(wiki_publishes("\"tcp/29418\""));
  EXPECT_EQ(from(1).tcp(host(), 29'418), Outcome::served);
  EXPECT_EQ(from(1).tcp(host(), 29'419, kShort), Outcome::timed_out);
  EXPECT_EQ(from(1).udp(host(), 5353, kShort), Outcome::timed_out);
  fw.apply(wiki_publishes("\"udp/5353\""));
  EXPECT_EQ(from(1).tcp(host(), 29'418, kShort), Outcome::timed_out);
  EXPECT_EQ(from(1).udp(host(), 5353), Outcome::served);
  fw.apply("[ports]\ntcp = [22, \"29000-29500\"]\n" + apps_toml());
  EXPECT_EQ(from(1).tcp(host(), 29'419), Outcome::served);
}

TEST_P(Published, TheDefaultPolicyClosesThemToo) {
  fw.apply("");
  EXPECT_EQ(from(1).tcp(host(), 29'418, kShort), Outcome::timed_out);
  EXPECT_EQ(from(1).tcp(host(), 29'419, kShort), Outcome::timed_out);
}

TEST_P(Published, AnAppsOwnAddressIsClosedToTheOutside) {
  fw.apply("[ports]\ntcp = [22, 8080]\nudp = [5000]\n" + wiki_publishes("\"tcp/29418\""));
  EXPECT_EQ(from(1).tcp(wiki.address(family()), 8080, kShort), Outcome::timed_out)
      << "the port is open on the host, not on the app";
  EXPECT_EQ(from(1).udp(wiki.address(family()), 5000, kShort), Outcome::timed_out);
  EXPECT_EQ(from(1).tcp(host(), 29'418), Outcome::served);
}

TEST_P(Published, LimitsGoByTheOriginalPort) {
  fw.apply(wiki_publishes("\"tcp/29418\", \"tcp/29419\"") +
           limit_toml("git", "29418", "outside", "ip", "3/10s") +
           limit_toml("inner", "8081", "outside", "ip", "1/10s"));
  EXPECT_EQ(served(from(1).tries(host(), {29'418}, {10, {}, 700ms})), 3u);
  EXPECT_EQ(server.accepted(8080), 3u);
  EXPECT_EQ(counter(net.host, "git.refused"), 7u);
  EXPECT_EQ(served(from(1).tries(host(), {29'419}, {10})), 10u);
  EXPECT_EQ(served(from(2).tries(host(), {29'418}, {3})), 3u);
}

TEST_P(Published, ABucketOfAPublishedPortIsExact) {
  fw.apply(wiki_publishes("\"tcp/29418\"") + limit_toml("git", "29418", "outside", "ip", "50/1d"));
  RawLink link(net);
  Handshakes all(link, stranger(family(), 1), host(), {29'418}, 80);
  const Burst burst = finish({&all}, net.host, "git");
  EXPECT_EQ(burst.admitted, 50u);
  EXPECT_EQ(burst.resets, 30u);
  EXPECT_TRUE(eventually([&] { return server.accepted(8080) == 50; }));
}

TEST_P(Published, ALimitOfUdpCountsFlowsThatGoOn) {
  fw.apply(wiki_publishes("\"udp/5353\"") +
           limit_toml("dns", "\"udp/5353\"", "outside", "ip", "2/10s"));
  EXPECT_EQ(from(1).udp(host(), 5353), Outcome::served);
  EXPECT_EQ(from(1).udp(host(), 5353), Outcome::served);
  EXPECT_EQ(from(1).udp(host(), 5353, kShort), Outcome::timed_out);
  EXPECT_EQ(from(2).udp(host(), 5353), Outcome::served);
}

}  // namespace
}  // namespace lab
