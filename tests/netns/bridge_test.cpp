// What an app sends on its bridge below IP, or in another's name (A1); and bridges of others.
// SPDX-License-Identifier: GPL-2.0-or-later
#include <algorithm>
#include <functional>

#include <fmt/format.h>

#include "tests/lab/apps.hpp"
#include "tests/lab/family.hpp"
#include "tests/lab/frames.hpp"

namespace lab {
namespace {

/// A frame of the attacker, and a part of it to know it by.
struct Attack {
  std::string name;
  std::string frame;
  std::string part;
};

/// wiki has the addon mysql, chat is another app, from which all attacks come: with packet sockets,
/// which is what CAP_NET_RAW gives.
class OnABridge : public testing::Test {
 protected:
  OnABridge() {
    for (App* app : {&wiki, &chat, &mysql}) {
      app->inside.sysctl("ipv4/conf/eth0/arp_accept", "1");
    }
  }
  std::string policy() const {
    return apps_toml() + app_toml("wiki", wiki, "addons = [\"mysql\"]") +
           app_toml("chat", chat, "addons = []") + app_toml("idle", idle, "addons = [\"mysql\"]") +
           addon_toml("mysql", mysql, {3306});
  }
  Packet udp(Ip from, Ip to, std::uint16_t port = 5353) const {
    return {from, to, kUdp, 4444, port, 0, 0, 0};
  }
  Attack from_chat(std::string name, const Mac& to, std::uint16_t type, const std::string& payload,
                   std::string part = {}) const {
    if (part.empty()) part = payload;
    return {std::move(name), ethernet(chat.mac, to, type, payload), std::move(part)};
  }
  Attack from_chat(std::string name, const Mac& to, const Packet& packet) const {
    return from_chat(std::move(name), to, packet.from.family == Family::ipv4 ? kIpv4 : kIpv6,
                     ip_packet(packet));
  }

  /// Which of the frames come to `at`. A question by ARP goes behind them and shows that all have.
  std::vector<std::string> arrived(const std::vector<Attack>& attacks, const App& at) const {
    const RawLink sender(chat.inside, chat.mac, at.mac);
    RawLink receiver(at.inside, at.mac, chat.mac);
    Frames frames;
    for (const Attack& attack : attacks) frames.push_back(attack.frame);
    const std::string last =
        arp(Arp::request, chat.mac, chat.address(Family::ipv4), at.address(Family::ipv4));
    frames.push_back(ethernet(chat.mac, at.mac, kArp, last));
    sender.send(frames);
    std::vector<std::string> out;
    for (const auto end = Clock::now() + 20s; Clock::now() < end;) {
      for (const std::string& frame : receiver.receive_frames(1s)) {
        for (const Attack& attack : attacks) {
          if (frame.find(attack.part, 12) != std::string::npos) out.push_back(attack.name);
        }
        if (frame.find(last, 12) != std::string::npos) return out;
      }
    }
    ADD_FAILURE() << "the last frame did not come";
    return out;
  }

  /// All of them arrive without the firewall, and none with it.
  void expect_stopped(const std::vector<Attack>& attacks, const App& at) {
    std::vector<std::string> all;
    for (const Attack& attack : attacks) all.push_back(attack.name);
    EXPECT_EQ(arrived(attacks, at), all) << "before there is a firewall";
    fw.apply(policy());
    EXPECT_EQ(arrived(attacks, at), std::vector<std::string>{});
  }

  std::string neighbour(const Namespace& where, Ip ip) const {
    return run(where, {"ip", "neighbour", "show", to_string(ip)}).out;
  }
  static std::string text(const Mac& mac) { return fmt::format("{:02x}", fmt::join(mac, ":")); }

  Network net;
  Firewall fw{net.host};
  AppBridge bridge{net};
  App& wiki = bridge.add(2);
  App& chat = bridge.add(3);
  App& mysql = bridge.add(10);
  App idle{{}, 7, {2, 0, 0, 0, 2, 7}};  ///< it is named, and does not run
};

constexpr Family kBoth[] = {Family::ipv4, Family::ipv6};

Ip ip_of(const char* text) { return *fw::parse_ip(text); }

TEST_F(OnABridge, TagsAndOtherKindsOfFramesEnd) {
  std::vector<Attack> attacks;
  std::uint16_t port = 6000;
  for (const Family f : kBoth) {
    const std::uint16_t type = f == Family::ipv4 ? kIpv4 : kIpv6;
    for (const auto& [name, outer, tags] :
         std::initializer_list<std::tuple<const char*, std::uint16_t, std::string>>{
             {"VLAN 0", kVlan, tag(0, type)},
             {"VLAN 5", kVlan, tag(5, type)},
             {"VLAN 0 twice", kVlan, tag(0, kVlan) + tag(0, type)},
             {"802.1ad", kServiceVlan, tag(0, type)},
             {"802.1ad and VLAN 0", kServiceVlan, tag(0, kVlan) + tag(0, type)}}) {
      const std::string packet = ip_packet(udp(chat.address(f), wiki.address(f), ++port));
      attacks.push_back(from_chat(name, wiki.mac, outer, tags + packet, packet));
    }
  }
  attacks.push_back(from_chat("a local type", wiki.mac, 0x88b5, std::string(46, 'a')));
  attacks.push_back(from_chat("PPPoE", wiki.mac, 0x8864, std::string(46, 'b')));
  attacks.push_back(from_chat("a length, LLC", wiki.mac, 46, std::string(46, 'c')));
  attacks.push_back(from_chat("MPLS", kEveryone, 0x8847, std::string(46, 'd')));
  attacks.push_back(from_chat("tagged ARP", wiki.mac, kVlan,
                              tag(0, kArp) + arp(Arp::reply, chat.mac, mysql.address(Family::ipv4),
                                                 wiki.address(Family::ipv4))));
  attacks.back().part = attacks.back().part.substr(4);
  expect_stopped(attacks, wiki);
}

TEST_F(OnABridge, BroadcastAndGroupsEndWhateverTheSource) {
  std::vector<Attack> attacks;
  std::uint16_t port = 6000;
  const auto to_group = [&](const char* name, Ip from, Ip group) {
    attacks.push_back(from_chat(name, group_mac(group), udp(from, group, ++port)));
  };
  const Ip own4 = chat.address(Family::ipv4);
  const Ip own6 = chat.address(Family::ipv6);
  to_group("broadcast", own4, ip_of("255.255.255.255"));
  to_group("broadcast of the network", own4, ip_of("172.18.255.255"));
  to_group("group", own4, ip_of("224.0.0.1"));
  to_group("group, foreign source", ip_of("203.0.113.9"), ip_of("224.0.0.251"));
  to_group("group 6", own6, ip_of("ff02::1"));
  to_group("group 6, foreign source", ip_of("2001:db8:bad::1"), ip_of("ff02::fb"));
  to_group("group 6, link-local source", link_local(chat.mac), ip_of("ff02::1"));
  // To one receiver below IP, to all of them in IP.
  for (const char* group : {"255.255.255.255", "172.18.255.255", "224.0.0.1"}) {
    attacks.push_back(from_chat(group, wiki.mac, udp(own4, ip_of(group), ++port)));
  }
  attacks.push_back(from_chat("ff02::1", wiki.mac, udp(own6, ip_of("ff02::1"), ++port)));
  // And the other way round.
  for (const Family f : kBoth) {
    attacks.push_back(
        from_chat("to all below IP", kEveryone, udp(chat.address(f), wiki.address(f), ++port)));
  }
  expect_stopped(attacks, wiki);
}

TEST_F(OnABridge, NobodyIsARouterOrGivesAddresses) {
  const Ip from = link_local(chat.mac);
  const Ip all = ip_of("ff02::1");
  const Ip to = wiki.address(Family::ipv6);
  std::vector<Attack> attacks{
      from_chat("router advertisement", group_mac(all), kIpv6,
                router_advertisement(chat.mac, from, all)),
      from_chat("router advertisement to one", wiki.mac, kIpv6,
                router_advertisement(chat.mac, from, to)),
      from_chat("router advertisement of the host", wiki.mac, kIpv6,
                router_advertisement(chat.mac, link_local(kBridgeMac), to)),
      from_chat("redirect", wiki.mac, kIpv6, redirect(from, to, from, mysql.address(Family::ipv6))),
      from_chat("redirect of the host", wiki.mac, kIpv6,
                redirect(link_local(kBridgeMac), to, from, mysql.address(Family::ipv6)))};
  for (const auto& [name, mac, source, destination] :
       std::initializer_list<std::tuple<const char*, Mac, const char*, const char*>>{
           {"DHCP offer", kEveryone, "172.18.16.3", "255.255.255.255"},
           {"DHCP offer to one", wiki.mac, "172.18.16.3", "172.18.16.2"},
           {"DHCP offer of the host", kEveryone, "172.18.0.1", "255.255.255.255"}}) {
    attacks.push_back(
        from_chat(name, mac, {ip_of(source), ip_of(destination), kUdp, 67, 68, 0, 0, 0}));
  }
  attacks.push_back(
      from_chat("DHCPv6 answer", wiki.mac, {from, link_local(wiki.mac), kUdp, 547, 546, 0, 0, 0}));
  expect_stopped(attacks, wiki);
}

TEST_F(OnABridge, NobodySpeaksInAnothersName) {
  std::vector<Attack> attacks;
  const auto mysql4 = mysql.address(Family::ipv4);
  for (const auto& [name, sender] :
       std::initializer_list<std::pair<const char*, Ip>>{{"wiki", wiki.address(Family::ipv4)},
                                                         {"host", bridge_address(Family::ipv4)},
                                                         {"idle", idle.address(Family::ipv4)}}) {
    for (const Arp what : {Arp::request, Arp::reply}) {
      const std::string way = what == Arp::request ? " asks" : " answers";
      attacks.push_back(
          from_chat(name + way, mysql.mac, kArp, arp(what, chat.mac, sender, mysql4)));
      attacks.push_back(
          from_chat(name + way + " all", kEveryone, kArp, arp(what, chat.mac, sender, sender)));
    }
  }
  const auto mysql6 = mysql.address(Family::ipv6);
  const Ip all = ip_of("ff02::1");
  for (const auto& [name, sender] : std::initializer_list<std::pair<const char*, Ip>>{
           {"wiki 6", wiki.address(Family::ipv6)},
           {"wiki link-local", link_local(wiki.mac)},
           {"host 6", bridge_address(Family::ipv6)},
           {"host link-local", link_local(kBridgeMac)},
           {"idle 6", idle.address(Family::ipv6)}}) {
    attacks.push_back(from_chat(name + std::string(" asks"), mysql.mac, kIpv6,
                                solicitation(chat.mac, sender, mysql6, mysql6)));
    attacks.push_back(from_chat(name + std::string(" answers"), mysql.mac, kIpv6,
                                advertisement(chat.mac, sender, mysql6, sender)));
    attacks.push_back(
        from_chat(name + std::string(" answers by chat"), mysql.mac, kIpv6,
                  advertisement(chat.mac, chat.address(Family::ipv6), mysql6, sender)));
    attacks.push_back(from_chat(name + std::string(" answers all"), group_mac(all), kIpv6,
                                advertisement(chat.mac, link_local(chat.mac), all, sender)));
  }
  // wiki's addon, by wiki's address: a SYN, a datagram, an answer to what wiki had begun.
  for (const Family f : kBoth) {
    const Ip from = wiki.address(f);
    attacks.push_back(from_chat("SYN of wiki", mysql.mac,
                                {from, mysql.address(f), kTcp, 12'000, 3306, kSyn, 1, 0}));
    attacks.push_back(
        from_chat("SYN of idle", mysql.mac,
                  {idle.address(f), mysql.address(f), kTcp, 12'001, 3306, kSyn, 1, 0}));
    Attack as_wiki{"by wiki's MAC address",
                   ethernet(wiki.mac, mysql.mac,
                            Packet{from, mysql.address(f), kTcp, 12'002, 3306, kSyn, 1, 0}),
                   {}};
    as_wiki.part = as_wiki.frame.substr(12);
    attacks.push_back(as_wiki);
  }
  expect_stopped(attacks, mysql);
}

TEST_F(OnABridge, AnAppIsNotTakenForItsAddon) {
  std::vector<Attack> attacks;
  for (const Family f : kBoth) {
    attacks.push_back(
        from_chat("mysql to wiki", wiki.mac,
                  {mysql.address(f), wiki.address(f), kTcp, 3306, 12'000, kSyn | kAck, 1, 0}));
    attacks.push_back(
        from_chat("the outside to wiki", wiki.mac, udp(gateway_address(f), wiki.address(f))));
    attacks.push_back(from_chat("itself to wiki", wiki.mac, udp(chat.address(f), wiki.address(f))));
    attacks.push_back(from_chat("SCTP", wiki.mac, f == Family::ipv4 ? kIpv4 : kIpv6, [&] {
      std::string packet = ip_packet(udp(chat.address(f), wiki.address(f), 777));
      if (f == Family::ipv6) packet[6] = static_cast<char>(132);
      return packet;
    }()));
  }
  expect_stopped(attacks, wiki);
}

TEST_F(OnABridge, TheHostIsNotToldWhereOthersAre) {
  fw.apply(policy());
  const RawLink to_host(chat.inside, chat.mac, kBridgeMac);
  const Ip wiki6 = wiki.address(Family::ipv6);
  const Ip host6 = bridge_address(Family::ipv6);
  to_host.send(Frames{
      ethernet(chat.mac, kBridgeMac, kArp,
               arp(Arp::reply, chat.mac, wiki.address(Family::ipv4), bridge_address(Family::ipv4))),
      ethernet(
          chat.mac, kBridgeMac, kArp,
          arp(Arp::request, chat.mac, wiki.address(Family::ipv4), bridge_address(Family::ipv4))),
      ethernet(chat.mac, kBridgeMac, kIpv6, advertisement(chat.mac, wiki6, host6, wiki6)),
      ethernet(chat.mac, kBridgeMac, kIpv6, solicitation(chat.mac, wiki6, host6, host6)),
      ethernet(chat.mac, kBridgeMac, kIpv6,
               router_advertisement(chat.mac, link_local(chat.mac), host6)),
      // Through the host, to wiki's addon.
      ethernet(chat.mac, kBridgeMac,
               Packet{wiki.address(Family::ipv4), mysql.address(Family::ipv4), kTcp, 12'000, 3306,
                      kSyn, 1, 0})});
  const Server server(net.host, {80});
  for (const Family f : kBoth) {  // what comes behind it shows that the host has seen it
    EXPECT_EQ(Client(chat.inside, chat.address(f)).tcp(bridge_address(f), 80), Outcome::served);
    EXPECT_NE(neighbour(net.host, wiki.address(f)).find(text(wiki.mac)), std::string::npos)
        << neighbour(net.host, wiki.address(f));
  }
  EXPECT_EQ(counter(net.host, "bridge_forged", "bridge cloudron"), 6u);
}

TEST_F(OnABridge, NobodyGetsAnothersFramesByItsMacAddress) {
  fw.apply(policy());
  const Server server(wiki.inside, {8080});
  RawLink receiver(chat.inside, chat.mac, kBridgeMac);
  const RawLink as_wiki(chat.inside, wiki.mac, kBridgeMac);
  as_wiki.send(
      {Packet{wiki.address(Family::ipv4), bridge_address(Family::ipv4), kUdp, 1, 1, 0, 0, 0}});
  Frames frames{ethernet(
      wiki.mac, kEveryone, kArp,
      arp(Arp::request, wiki.mac, chat.address(Family::ipv4), chat.address(Family::ipv4)))};
  // To the addresses of 802.1D, whose frames a bridge takes before its hooks, and learns from.
  for (std::uint8_t last = 0; last < 16; ++last) {
    frames.push_back(
        ethernet(wiki.mac, {0x01, 0x80, 0xc2, 0, 0, last}, 0x88cc, std::string(46, 'a')));
  }
  as_wiki.send(frames);
  const Client from_host(net.host, bridge_address(Family::ipv4));
  (void)from_host.tcp(wiki.address(Family::ipv4), 8080, kShort);
  for (const Packet& packet : receiver.receive(0ms)) {
    EXPECT_FALSE(packet.to == wiki.address(Family::ipv4)) << "chat has got it";
  }
  const Server on_host(net.host, {80});
  EXPECT_EQ(Client(wiki.inside, wiki.address(Family::ipv4)).tcp(bridge_address(Family::ipv4), 80),
            Outcome::served)
      << "once it says something";
  EXPECT_EQ(from_host.tcp(wiki.address(Family::ipv4), 8080), Outcome::served);
}

TEST_F(OnABridge, AFrameToLldpsAddressTeachesTheBridgeUntilThatIsOff) {
  fw.apply(policy());
  const Server on_host(net.host, {80});
  const auto speaks = [](const App& app) {
    return Client(app.inside, app.address(Family::ipv4)).tcp(bridge_address(Family::ipv4), 80);
  };
  /// Where the bridge believes wiki to be after such a frame of chat.
  const auto taught = [&] {
    EXPECT_EQ(speaks(wiki), Outcome::served);
    const RawLink as_wiki(chat.inside, wiki.mac, kBridgeMac);
    as_wiki.send(
        {ethernet(wiki.mac, {0x01, 0x80, 0xc2, 0, 0, 0x0e}, 0x88cc, std::string(46, 'a'))});
    EXPECT_EQ(speaks(chat), Outcome::served) << "the frame was before that";
    const std::string all = must_run(net.host, {"bridge", "fdb", "show", "br", "br0"});
    const auto at = all.find(text(wiki.mac) + " dev app");
    return at == std::string::npos ? "" : all.substr(at, all.find(" master", at) - at);
  };
  const auto port = [this](const App& app) {
    return text(wiki.mac) + " dev app" + std::to_string(app.number);
  };
  EXPECT_EQ(taught(), port(chat)) << "then docs/security.md has one line too many";
  must_run(net.host, {"ip", "link", "set", "br0", "type", "bridge", "no_linklocal_learn", "1"});
  EXPECT_EQ(taught(), port(wiki));
}

TEST_F(OnABridge, WhatAppsNeedToFindOneAnotherGoesOn) {
  const Server addon(mysql.inside, {3306});
  const Server on_host(net.host, {80}, {53});
  const Server outside(net.outside, {8080});
  ip_commands(net.outside, "route add 2001:db8:172::/64 via 2001:db8:ffff::1\n");
  fw.apply(policy());
  for (const App* app : {&wiki, &mysql}) {
    run(app->inside, {"ip", "neighbour", "flush", "all"});
    run(app->inside, {"ip", "-6", "neighbour", "flush", "all"});
  }
  run(net.host, {"ip", "neighbour", "flush", "dev", "br0"});
  run(net.host, {"ip", "-6", "neighbour", "flush", "dev", "br0"});
  for (const Family f : kBoth) {
    const Client app(wiki.inside, wiki.address(f));
    EXPECT_EQ(app.tcp(mysql.address(f), 3306), Outcome::served);
    EXPECT_EQ(app.tcp(bridge_address(f), 80), Outcome::served);
    EXPECT_EQ(app.udp(bridge_address(f), 53), Outcome::served);
    EXPECT_EQ(app.tcp(gateway_address(f), 8080), Outcome::served);
    EXPECT_NE(neighbour(wiki.inside, mysql.address(f)).find(text(mysql.mac)), std::string::npos);
  }
  EXPECT_EQ(counter(net.host, "bridge_forged", "bridge cloudron"), 0u);
}

TEST_F(OnABridge, WhenItsTableAloneIsDormantThatIsSaid) {
  fw.apply(policy());
  const std::string who = to_string(client(Family::ipv4, 1));
  const auto live = [&](const std::string& port) {
    return fw.run({"explain", who, port, "--live"});
  };
  EXPECT_EQ(live("tcp/22").out.find("dormant"), std::string::npos);
  nft(net.host, "add table bridge cloudron { flags dormant; }");
  const Output open = live("tcp/22");
  EXPECT_EQ(open.exit, 0) << to_string(open);
  EXPECT_NE(open.out.find("table bridge cloudron is dormant"), std::string::npos) << open.out;
  EXPECT_EQ(open.out.find("not in force"), std::string::npos) << "the table inet is awake";
  EXPECT_EQ(live("tcp/8080").exit, 2) << "and closes ports";
  for (const char* command : {"verify", "plan"}) {
    const Output said = fw.run({command});
    EXPECT_EQ(said.exit, 2);
    EXPECT_NE(said.out.find("table bridge cloudron\n  - flags dormant"), std::string::npos)
        << said.out;
    EXPECT_EQ(said.out.find("table inet"), std::string::npos) << said.out;
  }
  nft(net.host, "add table inet cloudron { flags dormant; }");
  EXPECT_NE(live("tcp/8080").out.find("not in force: everything passes"), std::string::npos);
  fw.apply();
  EXPECT_EQ(listing(net.host).find("dormant"), std::string::npos);
}

TEST_F(OnABridge, AResetNamesWhatItRemoves) {
  fw.apply(policy());
  EXPECT_NE(
      fw.must({"reset", "--yes"}).out.find("table inet cloudron, table bridge cloudron removed"),
      std::string::npos);
  EXPECT_EQ(listing(net.host).find("cloudron"), std::string::npos);
  fw.apply(policy());
  nft(net.host, "delete table inet cloudron");
  EXPECT_TRUE(fw.must({"reset", "--yes"}).out.starts_with("table bridge cloudron removed"));
}

TEST_F(OnABridge, TheTableIsPartOfAllThatIsDoneWithRules) {
  fw.apply(policy());
  const std::string meant = rules_only(net.host, "bridge cloudron");
  EXPECT_NE(meant.find("ties4"), std::string::npos) << meant;
  for (const char* meddling :
       {"flush table bridge cloudron", "delete table bridge cloudron",
        "flush set bridge cloudron ties4", "add rule bridge cloudron bridge_forward accept",
        "insert rule bridge cloudron from_port accept", "delete table inet cloudron",
        "add chain bridge cloudron input { type filter hook input priority 0; policy drop; }",
        "add table bridge cloudron { flags dormant; }"}) {
    nft(net.host, std::string(meddling) + "\n");
    EXPECT_EQ(fw.run({"plan"}).exit, 2) << meddling;
    EXPECT_EQ(fw.run({"verify"}).exit, 2) << meddling;
    EXPECT_EQ(fw.run({"apply"}).exit, 0) << meddling;
    EXPECT_EQ(rules_only(net.host, "bridge cloudron"), meant) << meddling;
    EXPECT_EQ(fw.run({"plan"}).exit, 0) << meddling;
  }
  const std::string shown = fw.must({"show", "--format", "nft"}).out;
  const Output checked = run(net.host, {"nft", "-c", "-f", "-"}, shown);
  EXPECT_EQ(checked.exit, 0) << to_string(checked);
  EXPECT_NE(fw.must({"status"}).out.find("with a spoofed address"), std::string::npos);
  fw.apply(apps_toml());
  EXPECT_NE(run(net.host, {"nft", "list", "table", "bridge", "cloudron"}).exit, 0)
      << "apps are not kept apart any more";
  fw.apply(policy());
  fw.must({"reset", "--yes"});
  EXPECT_NE(run(net.host, {"nft", "list", "table", "bridge", "cloudron"}).exit, 0);
}

TEST_F(OnABridge, AnAppOfAnotherMomentIsHeldToItsNameToo) {
  fw.apply(policy());
  App& late = bridge.add(20);
  EXPECT_EQ(fw.run({"plan"}).exit, 2);
  fw.apply();
  const RawLink sender(late.inside, late.mac, mysql.mac);
  sender.send({Packet{wiki.address(Family::ipv4), mysql.address(Family::ipv4), kTcp, 12'000, 3306,
                      kSyn, 1, 0}});
  EXPECT_TRUE(
      eventually([&] { return counter(net.host, "bridge_forged", "bridge cloudron") == 1; }));
}

}  // namespace
}  // namespace lab
