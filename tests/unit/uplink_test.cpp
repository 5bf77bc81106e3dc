// Where default routes lead, as the kernel lists them, and app networks that reach there.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/host/uplink.hpp"

#include <gtest/gtest.h>

#include "fw/effective/policy.hpp"

namespace fw {
namespace {

constexpr const char* kRoutes4 =
    "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"
    "eth0\t00000000\t0100A8C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n"
    "eth0\t0000A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n"
    "ppp0\t00000000\t00000000\t0001\t0\t0\t50\t00000000\t0\t0\t0\n"
    "*\t00000000\t00000000\t0200\t0\t0\t90\t00000000\t0\t0\t0\n"
    "nonsense\n";
constexpr const char* kRoutes6 =
    "00000000000000000000000000000000 00 00000000000000000000000000000000 00 "
    "fe800000000000000000000000000001 00000400 00000001 00000000 00000003     eth1\n"
    "20010db8000000000000000000000000 40 00000000000000000000000000000000 00 "
    "00000000000000000000000000000000 00000100 00000001 00000000 00000001     eth1\n"
    "00000000000000000000000000000000 00 00000000000000000000000000000000 00 "
    "00000000000000000000000000000000 ffffffff 00000001 00000000 00200200       lo\n";

Ip ip(const char* text) { return parse_ip(text).value(); }

TEST(Uplink, IsWhereDefaultRoutesLead) {
  const Uplink uplink = parse_default_routes(kRoutes4, kRoutes6);
  EXPECT_EQ(uplink.gateways, (std::vector<Ip>{ip("192.168.0.1"), ip("fe80::1")}));
  EXPECT_EQ(uplink.devices, (std::vector<std::string>{"eth0", "eth1", "ppp0"}));
  EXPECT_TRUE(parse_default_routes("", "").devices.empty());
}

TEST(Uplink, ResolversAreOfResolvConf) {
  EXPECT_EQ(nameservers_of("# a comment\nnameserver 9.9.9.9\nsearch example.org\n"
                           "nameserver fe80::1%eth0\nnameserver nonsense\nnameserver 2620:fe::fe"),
            (std::vector<Ip>{ip("9.9.9.9"), ip("fe80::1"), ip("2620:fe::fe")}));
}

TEST(Uplink, IsNoNetworkOfApps) {
  const auto problems = [](const std::string& network) {
    const Parsed parsed =
        parse_policy("[apps]\nnetwork = [\"" + network + "\"]\n", "/etc/cloudron-fw/policy.toml");
    return uplinks_among_apps(parsed.policy,
                              {{ip("192.168.0.1")}, {"eth0"}, {ip("2001:db8:1::7")}});
  };
  EXPECT_TRUE(problems("172.18.0.0/16").empty());
  const auto router = problems("192.168.0.0/24");
  ASSERT_EQ(router.size(), 1u);
  EXPECT_EQ(router[0].severity, Severity::error);
  EXPECT_EQ(router[0].where.line, 2);
  EXPECT_NE(router[0].what.find("this host's router 192.168.0.1"), std::string::npos);
  const auto own = problems("2001:db8:1::/64");
  ASSERT_EQ(own.size(), 1u);
  EXPECT_NE(own[0].what.find("this host's own address 2001:db8:1::7"), std::string::npos);
  EXPECT_TRUE(uplinks_among_apps(default_policy(), {{ip("172.18.0.1")}, {"eth0"}, {}}).empty())
      << "the built-in default names no LAN on purpose";
}

}  // namespace
}  // namespace fw
