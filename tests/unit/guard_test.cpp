// Whom a block must not hit.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/host/guard.hpp"

#include <gtest/gtest.h>

#include "fw/effective/policy.hpp"

namespace fw {
namespace {

Ip addr(const char* text) { return parse_ip(text).value(); }
IpRange network(const char* text) { return parse_ip_range(text).value(); }

OwnNetwork own_network() {
  OwnNetwork own;
  own.network.addresses = {{addr("127.0.0.1"), "lo"},       {addr("192.0.2.10"), "eth0"},
                           {addr("172.29.0.1"), "docker0"}, {addr("2001:db8:1::10"), "eth0"},
                           {addr("fe80::10"), "eth0"},      {addr("10.8.0.1"), "wg0"}};
  own.network.links = {{network("192.0.2.0/24"), "eth0"},
                       {network("172.29.0.0/16"), "docker0", true},
                       {network("2001:db8:1::/64"), "eth0"},
                       {network("fe80::/64"), "docker0", true},
                       {network("10.8.0.0/24"), "wg0"}};
  own.network.routers = {{addr("192.0.2.1"), "eth0"}, {addr("fe80::1"), "eth0"}};
  own.resolvers = {addr("9.9.9.9"), addr("2620:fe::fe")};
  return own;
}

BlockGuard guard() {
  const Parsed parsed = parse_policy(
      "[trusted]\nnetworks = [\"198.51.100.0/28\", \"2001:db8:7::/48\"]\n"
      "[apps]\nnetwork = [\"172.18.0.0/16\", \"fd00:18::/64\"]\n",
      "p");
  EXPECT_TRUE(parsed.ok());
  return {parsed.policy, own_network()};
}

std::string said(const char* text, std::optional<Ip> caller = {}) {
  const auto objection = guard().objection(network(text), caller);
  return objection ? to_string(*objection) : "";
}

TEST(BlockGuard, SaysWhatABlockWouldHit) {
  using Kind = Objection::Kind;
  const BlockGuard here = guard();
  for (const auto& [text, kind, why] : std::vector<std::tuple<const char*, Kind, const char*>>{
           {"198.51.100.3", Kind::trusted, "is in the trusted network 198.51.100.0/28 (p:2:13)"},
           {"198.51.100.0/24", Kind::trusted,
            "holds addresses of the trusted network 198.51.100.0/28 (p:2:13)"},
           {"2001:db8:7::1", Kind::trusted, "is in the trusted network 2001:db8:7::/48 (p:2:32)"},
           {"127.0.0.53", Kind::own_address, "is this host"},
           {"::1", Kind::own_address, "is this host"},
           {"0.0.0.0", Kind::own_address, "is a host without an address yet"},
           {"192.0.2.10", Kind::own_address, "is an address of this host (eth0)"},
           {"2001:db8:1::10", Kind::own_address, "is an address of this host (eth0)"},
           {"172.29.0.1", Kind::own_address, "is an address of this host (docker0)"},
           {"10.8.0.0/24", Kind::own_address, "holds 10.8.0.1, an address of this host (wg0)"},
           {"192.0.2.1", Kind::router, "is a router of this host (eth0)"},
           {"192.0.2.0/30", Kind::router, "holds 192.0.2.1, a router of this host (eth0)"},
           {"fe80::1", Kind::router, "is a router of this host (eth0)"},
           {"9.9.9.0/24", Kind::resolver, "holds 9.9.9.9, a DNS resolver of this host"},
           {"2620:fe::fe", Kind::resolver, "is a DNS resolver of this host"},
           {"172.18.3.4", Kind::apps, "is in the app network 172.18.0.0/16 (p:4:12)"},
           {"fd00:18::/60", Kind::apps, "holds addresses of the app network fd00:18::/64 (p:4:29)"},
           {"172.29.3.4", Kind::apps, "is in the containers' network 172.29.0.0/16 (docker0)"},
           {"192.0.2.128/25", Kind::own_link,
            "is in this host's own link 192.0.2.0/24 (eth0), where single addresses can be "
            "blocked"},
           {"2001:db8:1:0:8000::/65", Kind::own_link,
            "is in this host's own link 2001:db8:1::/64 (eth0), where single addresses can be "
            "blocked"},
           {"fe80::8000:0:0:0/65", Kind::own_link,
            "is in the link-local network fe80::/10, where single addresses can be blocked"},
           {"fe81::/32", Kind::own_link,
            "is in the link-local network fe80::/10, where single addresses can be blocked"},
           {"169.254.7.0/24", Kind::own_link,
            "is in the link-local network 169.254.0.0/16, where single addresses can be blocked"},
           {"12.0.0.0/7", Kind::too_wide, "is wider than a /8"},
           {"2400::/15", Kind::too_wide, "is wider than a /16"}}) {
    const auto objection = here.objection(network(text));
    ASSERT_TRUE(objection) << text;
    EXPECT_EQ(objection->kind, kind) << text;
    EXPECT_EQ(objection->why, why) << text;
  }
  for (const char* text : {"0.0.0.0/0", "::/0", "::ffff:0:0/96", "172.16.0.0/12"}) {
    EXPECT_NE(said(text), "") << text;
  }
}

TEST(BlockGuard, LetsTheRestPass) {
  for (const char* text : {"203.0.113.7", "203.0.113.0/24", "11.0.0.0/8", "2001:db8:9::1",
                           "2001:db8:9::/48", "2400::/16", "192.0.2.77", "2001:db8:1::77",
                           "fe80::77", "169.254.7.7", "172.17.0.9", "10.8.0.9", "9.9.9.10"}) {
    EXPECT_EQ(said(text), "") << text;
  }
}

TEST(BlockGuard, KeepsItsCaller) {
  EXPECT_EQ(said("203.0.113.0/24", addr("203.0.113.9")),
            "203.0.113.0/24 holds 203.0.113.9, the address of this SSH session");
  EXPECT_EQ(said("203.0.113.0/24", addr("198.18.0.1")), "");
  const auto all = guard().objections(
      {network("203.0.113.1"), network("::1"), network("203.0.113.9")}, addr("203.0.113.9"));
  ASSERT_EQ(all.size(), 2u);
  EXPECT_EQ(all[0].range, network("::1"));
  EXPECT_EQ(all[1].kind, Objection::Kind::session);
}

TEST(BlockGuard, ANeighbourIsOneAddress) {
  const BlockGuard here = guard();
  for (const auto& [address, length, client] :
       std::vector<std::tuple<const char*, int, const char*>>{
           {"2001:db8:9::7", 64, "2001:db8:9::/64"},
           {"2001:db8:9::7", 48, "2001:db8:9::/48"},
           {"2001:db8:9::7", 128, "2001:db8:9::7"},
           {"203.0.113.7", 32, "203.0.113.7"},
           {"203.0.113.7", 24, "203.0.113.0/24"},
           {"fe80::7", 64, "fe80::7"},
           {"2001:db8:1::7", 64, "2001:db8:1::7"},
           {"2001:db8:1::7", 48, "2001:db8:1::7"},
           {"192.0.2.7", 24, "192.0.2.7"},
           {"169.254.3.4", 16, "169.254.3.4"},
           // Beside a link of the host's own: the largest network that does not reach into it.
           {"2001:db8:1:1::7", 48, "2001:db8:1:1::/64"},
           {"2001:db8:1:8000::7", 48, "2001:db8:1:8000::/49"},
           {"192.0.3.7", 16, "192.0.3.0/24"}}) {
    EXPECT_EQ(to_string(here.client(addr(address), length)), client) << address << "/" << length;
  }
}

TEST(Resolvers, AreReadAsTheHostDoes) {
  EXPECT_EQ(
      parse_resolvers("# nameserver 1.1.1.1\nsearch example.org\nnameserver 9.9.9.9\r\n"
                      "nameserver\t2620:fe::fe  # one\nnameserver fe80::1%eth0\n"
                      "nameserverx 8.8.8.8\nnameserver\nnameserver nonsense\n"
                      "options edns0\nnameserver 192.0.2.53"),
      (std::vector<Ip>{addr("9.9.9.9"), addr("2620:fe::fe"), addr("fe80::1"), addr("192.0.2.53")}));
  std::string many;
  for (int i = 0; i < 100; ++i) many += "nameserver 192.0.2." + std::to_string(i) + "\n";
  EXPECT_EQ(parse_resolvers(many).size(), 16u);
  EXPECT_TRUE(parse_resolvers("").empty());
}

}  // namespace
}  // namespace fw
