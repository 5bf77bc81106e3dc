// Apps apart from one another (A1), on one bridge, as Docker has them.
// SPDX-License-Identifier: GPL-2.0-or-later
#include <algorithm>

#include "tests/lab/apps.hpp"
#include "tests/lab/family.hpp"
#include "tests/lab/frames.hpp"

namespace lab {
namespace {

class Isolation : public OverFamily {
 protected:
  Isolation() { ip_commands(net.outside, "route add 2001:db8:172::/64 via 2001:db8:ffff::1\n"); }
  std::string policy() const {
    return apps_toml() + app_toml("wiki", wiki, "addons = [\"mysql\"]") +
           app_toml("chat", chat, "addons = []") + app_toml("shop", shop) +
           addon_toml("mysql", mysql, {3306}) + addon_toml("redis", redis, {6379});
  }
  Outcome call(const App& from, const App& to, std::uint16_t port,
               Clock::duration patience = 3s) const {
    return Client(from.inside, from.address(family())).tcp(to.address(family()), port, patience);
  }

  AppBridge bridge{net};
  App& wiki = bridge.add(2);
  App& chat = bridge.add(3);
  App& shop = bridge.add(4);
  App& mysql = bridge.add(10);
  App& redis = bridge.add(11);
  Server wiki_server{wiki.inside, {8080}};
  Server chat_server{chat.inside, {8080}, {5000}};
  Server mysql_server{mysql.inside, {3306, 22}};
  Server redis_server{redis.inside, {6379}};
  Server host_server{net.host, {53, 80, 8080}, {53, 5000}};
  Server outside_server{net.outside, {8080}, {5000}};
};
BOTH_FAMILIES(Isolation);

TEST_P(Isolation, WithoutFirewallEveryoneReachesEveryone) {
  EXPECT_EQ(call(wiki, chat, 8080), Outcome::served);
  EXPECT_EQ(call(chat, mysql, 3306), Outcome::served);
}

TEST_P(Isolation, AnAppReachesItsAddonsAndNoOther) {
  fw.apply(policy());
  EXPECT_EQ(call(wiki, mysql, 3306), Outcome::served);
  EXPECT_EQ(call(wiki, mysql, 22, kShort), Outcome::timed_out) << "not a port of the addon";
  EXPECT_EQ(call(wiki, redis, 6379, kShort), Outcome::timed_out);
  EXPECT_EQ(call(chat, mysql, 3306, kShort), Outcome::timed_out);
  EXPECT_EQ(call(shop, mysql, 3306), Outcome::served) << "addons left out: all";
  EXPECT_EQ(call(shop, redis, 6379), Outcome::served);
}

TEST_P(Isolation, AnAppReachesNoOtherApp) {
  fw.apply(policy());
  EXPECT_EQ(call(wiki, chat, 8080, kShort), Outcome::timed_out);
  EXPECT_EQ(call(shop, wiki, 8080, kShort), Outcome::timed_out);
  EXPECT_EQ(call(mysql, wiki, 8080, kShort), Outcome::timed_out) << "nor does an addon";
  const Client from_wiki(wiki.inside, wiki.address(family()));
  EXPECT_EQ(from_wiki.udp(chat.address(family()), 5000, kShort), Outcome::timed_out);
}

TEST_P(Isolation, AnAppDoesNotPingAnother) {
  fw.apply(policy());
  const bool v4 = family() == Family::ipv4;
  RawLink sender(wiki.inside, wiki.mac, chat.mac);
  RawLink receiver(chat.inside, chat.mac, wiki.mac);
  sender.send({{wiki.address(family()), chat.address(family()), v4 ? kIcmp : kIcmp6, 7,
                static_cast<std::uint16_t>(v4 ? 8 : 128)}});
  for (const Packet& p : receiver.receive(200ms)) {
    EXPECT_FALSE(p.port_to == (v4 ? 8 : 128)) << "the request arrived";
  }
}

TEST_P(Isolation, AnAppReachesTheOutside) {
  fw.apply(policy());
  const Client from_wiki(wiki.inside, wiki.address(family()));
  EXPECT_EQ(from_wiki.tcp(gateway_address(family()), 8080), Outcome::served);
  EXPECT_EQ(from_wiki.udp(gateway_address(family()), 5000), Outcome::served);
}

TEST_P(Isolation, AnAppMayAskTheHostForNamesAndOpenPorts) {
  fw.apply(policy());
  const Client from_wiki(wiki.inside, wiki.address(family()));
  const Ip host_inside = bridge_address(family());
  EXPECT_EQ(from_wiki.udp(host_inside, 53), Outcome::served);
  EXPECT_EQ(from_wiki.tcp(host_inside, 53), Outcome::served);
  EXPECT_EQ(from_wiki.tcp(host_inside, 80), Outcome::served);
  EXPECT_EQ(from_wiki.tcp(host_inside, 8080, kShort), Outcome::timed_out);
  EXPECT_EQ(from_wiki.udp(host_inside, 5000, kShort), Outcome::timed_out);
  EXPECT_EQ(from(1).udp(host(), 53, kShort), Outcome::timed_out) << "names are for apps only";
}

TEST_P(Isolation, BridgedPacketsAreFilteredFromThenOn) {
  const auto bridged = [&] {
    return net.host.in([&] {
      return read_file(std::string("/proc/sys/net/bridge/bridge-nf-call-") +
                       (family() == Family::ipv4 ? "iptables" : "ip6tables"));
    });
  };
  EXPECT_EQ(bridged(), "0\n");
  fw.apply(policy());
  EXPECT_EQ(bridged(), "1\n");
  EXPECT_EQ(fw.run({"status"}).exit, 0);
  const std::string name =
      std::string("bridge-nf-call-") + (family() == Family::ipv4 ? "iptables" : "ip6tables");
  net.host.in([&] { write_file("/proc/sys/net/bridge/" + name, "0"); });
  const Output status = fw.run({"status"});
  EXPECT_EQ(status.exit, 2);
  EXPECT_NE(status.out.find("not isolated: net.bridge." + name), std::string::npos)
      << to_string(status);
  EXPECT_EQ(fw.run({"status", "--json"}).exit, 2);
  fw.apply();
  EXPECT_EQ(fw.run({"status"}).exit, 0) << "an apply turns it on again";
}

TEST_P(Isolation, WithoutNamedAppsTheyAreNotKeptApart) {
  fw.apply(apps_toml());
  EXPECT_EQ(call(wiki, chat, 8080), Outcome::served);
}

TEST_P(Isolation, TakingAnAddonAwayEndsWhatIsNew) {
  fw.apply(policy());
  EXPECT_EQ(call(wiki, mysql, 3306), Outcome::served);
  fw.apply(apps_toml() + app_toml("wiki", wiki, "addons = []") +
           addon_toml("mysql", mysql, {3306}));
  EXPECT_EQ(call(wiki, mysql, 3306, kShort), Outcome::timed_out);
}

/// An app's flow may be known to another, or guessed; an error about it comes from its peer alone.
TEST_P(Isolation, AnErrorReachesAnAppFromItsAddonAndNoStranger) {
  std::string dns = addon_toml("mysql", mysql, {5353});
  dns.replace(dns.find("5353"), 4, "\"udp/5353\"");
  fw.apply(apps_toml() + app_toml("wiki", wiki) + app_toml("chat", chat, "addons = []") + dns);
  const bool v4 = family() == Family::ipv4;
  const Packet asked{wiki.address(family()), mysql.address(family()), kUdp, 4000, 5353};
  const Packet answered{asked.to, asked.from, kUdp, 5353, 4000};
  RawLink(wiki.inside, wiki.mac, mysql.mac).send({asked});
  RawLink(mysql.inside, mysql.mac, wiki.mac).send({answered});  // so the flow is admitted
  RawLink receiver(wiki.inside, wiki.mac, mysql.mac);
  const auto error_of = [&](const App& app) {
    const std::string unreachable(v4 ? "\x03\x03\0\0\0\0\0\0" : "\x01\x04\0\0\0\0\0\0", 8);
    const RawLink sender(app.inside, app.mac, wiki.mac);
    sender.send(Frames{sender.frame_of({app.address(family()), asked.from, v4 ? kIcmp : kIcmp6,
                                        unreachable + ip_packet(asked), 64})});
  };
  error_of(chat);
  error_of(mysql);
  std::vector<Ip> heard;
  EXPECT_TRUE(eventually([&] {
    for (const Packet& p : receiver.receive(50ms)) {
      if (p.to == asked.from && p.port_to == (v4 ? 3 : 1)) heard.push_back(p.from);
    }
    return !heard.empty();
  }));
  EXPECT_EQ(heard, std::vector<Ip>{mysql.address(family())});
  EXPECT_EQ(counter(net.host, "isolated"), 1u);
}

/// Every IPv6 device has a link-local address beside the one that the policy names.
class LinkLocal : public Isolation {};
INSTANTIATE_TEST_SUITE_P(, LinkLocal, testing::Values(Family::ipv6), family_name);

TEST_P(LinkLocal, AnAppReachesNoOtherAppByItsLinkLocalAddress) {
  fw.apply(policy());
  const auto link_local = [](const App& app) {  // RFC 4291 appendix A, of 02:00:00:00:02:NN
    return Ip{Family::ipv6, fw::U128{0xfe80} << 112 | fw::U128{0x00ff'fe00'0200} | app.number};
  };
  for (const App* app : {&wiki, &chat}) {
    ASSERT_TRUE(eventually([&] {
      return run(app->inside, {"ip", "-6", "address"}).out.find(to_string(link_local(*app))) !=
             std::string::npos;
    })) << to_string(link_local(*app));
  }
  RawLink sender(wiki.inside, wiki.mac, chat.mac);
  RawLink receiver(chat.inside, chat.mac, wiki.mac);
  sender.send({{link_local(wiki), link_local(chat), kTcp, 12'000, 8080, kSyn, 1, 0}});
  const auto arrived = receiver.receive(300ms);
  EXPECT_TRUE(std::none_of(arrived.begin(), arrived.end(), [](const Packet& p) {
    return p.protocol == kTcp && p.port_to == 8080;
  })) << "the SYN arrived";
}

}  // namespace
}  // namespace lab
