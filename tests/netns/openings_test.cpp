// Ports and protocols that are open for some sources or interfaces only (P4).
// SPDX-License-Identifier: GPL-2.0-or-later
#include <fmt/format.h>

#include "tests/lab/apps.hpp"
#include "tests/lab/family.hpp"
#include "tests/lab/vpn.hpp"

namespace lab {
namespace {

/// The host with a second way in, as of a VPN.
class Openings : public OverFamily {
 protected:
  Client by_vpn() const { return {vpn.peer(), Vpn::peer_address(family())}; }
  std::string network(unsigned n) const {
    return fmt::format("{}/{}", to_string(client(family(), n)),
                       family() == Family::ipv4 ? 32 : 128);
  }

  Vpn vpn{net.host};
  Server server{net.host, {22, 80, 9100, 9101, 9105}, {5000}};
};
BOTH_FAMILIES(Openings);

TEST_P(Openings, ForANetworkAPortIsOpenToThatAlone) {
  fw.apply(fmt::format("[[open]]\nports = [9100, \"udp/5000\"]\nfrom = [\"{}\"]\n", network(1)));
  EXPECT_EQ(from(1).tcp(host(), 9100), Outcome::served);
  EXPECT_EQ(from(1).udp(host(), 5000), Outcome::served);
  EXPECT_EQ(from(2).tcp(host(), 9100, kShort), Outcome::timed_out);
  EXPECT_EQ(from(2).udp(host(), 5000, kShort), Outcome::timed_out);
  EXPECT_EQ(from(1).tcp(host(), 9101, kShort), Outcome::timed_out);
  EXPECT_EQ(by_vpn().tcp(host(), 9100, kShort), Outcome::timed_out);
  EXPECT_EQ(from(2).tcp(host(), 80), Outcome::served) << "all else is as before";
}

TEST_P(Openings, ByAnInterfaceAPortIsOpenToWhoComesInThere) {
  fw.apply("[ports]\ntcp = [80]\n[[open]]\nports = [22, \"9100-9101\"]\ninterfaces = [\"wg0\"]\n");
  EXPECT_EQ(by_vpn().tcp(Vpn::host_address(family()), 22), Outcome::served);
  EXPECT_EQ(by_vpn().tcp(host(), 9101), Outcome::served) << "whatever address it asks for";
  EXPECT_EQ(from(1).tcp(host(), 22, kShort), Outcome::timed_out);
  EXPECT_EQ(from(1).tcp(host(), 9100, kShort), Outcome::timed_out);
}

TEST_P(Openings, ANameMayEndInAStar) {
  fw.apply("[[open]]\nports = [9100]\ninterfaces = [\"tailscale*\", \"w*\"]\n");
  EXPECT_EQ(by_vpn().tcp(host(), 9100), Outcome::served);
  EXPECT_EQ(from(1).tcp(host(), 9100, kShort), Outcome::timed_out);
  fw.apply("[[open]]\nports = [9100]\ninterfaces = [\"wg\"]\n");
  EXPECT_EQ(by_vpn().tcp(host(), 9100, kShort), Outcome::timed_out) << "without one it is a name";
}

TEST_P(Openings, SourcesAndInterfacesMustBothFit) {
  fw.apply(
      fmt::format("[[open]]\nports = [9100]\nfrom = [\"{}\"]\ninterfaces = [\"wg0\"]\n"
                  "[[open]]\nports = [9101]\nfrom = [\"{}\", \"{}\"]\n",
                  network(1), network(1), network(3)));
  EXPECT_EQ(from(1).tcp(host(), 9100, kShort), Outcome::timed_out);
  EXPECT_EQ(by_vpn().tcp(host(), 9100, kShort), Outcome::timed_out);
  EXPECT_EQ(from(3).tcp(host(), 9101), Outcome::served);
  EXPECT_EQ(from(2).tcp(host(), 9101, kShort), Outcome::timed_out);
}

TEST_P(Openings, ForAListAPortIsOpenToItsAddressesAlone) {
  const std::string policy =
      "[[open]]\nports = [9100, \"udp/5000\"]\nfrom = [\"office\"]\n"
      "[[list]]\nname = \"office\"\nfile = \"office.txt\"\n";
  const bool v4 = family() == Family::ipv4;
  const std::string many = v4 ? "198.18.1.0/24" : "2001:db8:18:100::/56";
  fw.file("office.txt", network(1) + "\n");
  fw.apply(policy);
  EXPECT_EQ(from(1).tcp(host(), 9100), Outcome::served);
  EXPECT_EQ(from(1).udp(host(), 5000), Outcome::served);
  EXPECT_EQ(from(1).tcp(host(), 9101, kShort), Outcome::timed_out) << "no other port";
  EXPECT_EQ(from(2).tcp(host(), 9100, kShort), Outcome::timed_out);
  EXPECT_EQ(from(2).tcp(host(), 80), Outcome::served) << "all else is as before";

  fw.file("office.txt", network(2) + "\n" + many + "\n");
  EXPECT_NE(fw.run({"plan"}).out.find("list office"), std::string::npos);
  fw.must({"apply"});
  EXPECT_EQ(from(1).tcp(host(), 9100, kShort), Outcome::timed_out) << "it is out of the list";
  EXPECT_EQ(from(2).tcp(host(), 9100), Outcome::served);
  EXPECT_EQ(from(0x1ff).tcp(host(), 9100), Outcome::served);
  EXPECT_EQ(from(0x200).tcp(host(), 9100, kShort), Outcome::timed_out);
  EXPECT_EQ(elements(net.host, v4 ? "open_list4_office" : "open_list6_office").size(), 2u);
  EXPECT_EQ(fw.run({"plan"}).exit, 0);
  EXPECT_EQ(fw.run({"verify"}).exit, 0);
}

TEST_P(Openings, AListBesideNetworksAndAnInterface) {
  fw.file("office.txt", network(2) + "\n" + to_string(Vpn::peer_address(family())) + "\n");
  fw.apply(
      fmt::format("[[open]]\nports = [9100]\nfrom = [\"{}\", \"office\"]\n"
                  "[[open]]\nports = [9101]\nfrom = [\"office\"]\ninterfaces = [\"wg0\"]\n"
                  "[[list]]\nname = \"office\"\nfile = \"office.txt\"\naction = \"open\"\n",
                  network(1)));
  for (const unsigned n : {1u, 2u}) EXPECT_EQ(from(n).tcp(host(), 9100), Outcome::served) << n;
  EXPECT_EQ(from(3).tcp(host(), 9100, kShort), Outcome::timed_out);
  EXPECT_EQ(by_vpn().tcp(host(), 9101), Outcome::served);
  EXPECT_EQ(from(2).tcp(host(), 9101, kShort), Outcome::timed_out) << "by another interface";
}

TEST_P(Openings, AListThatIsMissingOpensToNobody) {
  fw.policy(
      "[[open]]\nports = [9100]\nfrom = [\"office\"]\n"
      "[[list]]\nname = \"office\"\nfile = \"office.txt\"\n");
  EXPECT_EQ(fw.run({"apply"}).exit, 3);
  EXPECT_EQ(from(1).tcp(host(), 9100, kShort), Outcome::timed_out);
  fw.file("office.txt", network(1) + "\n");
  fw.must({"apply"});
  EXPECT_EQ(from(1).tcp(host(), 9100), Outcome::served);
}

TEST_P(Openings, TheListOfAnOpeningIsBackAfterTheTableWasGone) {
  fw.file("office.txt", network(1) + "\n");
  fw.apply(
      "[[open]]\nports = [9100]\nfrom = [\"office\"]\n"
      "[[list]]\nname = \"office\"\nfile = \"office.txt\"\n");
  nft(net.host, "delete table inet cloudron");
  fw.must({"apply"});
  EXPECT_EQ(from(1).tcp(host(), 9100), Outcome::served);
  EXPECT_EQ(from(2).tcp(host(), 9100, kShort), Outcome::timed_out);
}

TEST_P(Openings, TheLimitOfThePortHolds) {
  fw.apply(fmt::format("[ports]\ntcp = [80]\n[[open]]\nports = [22]\ninterfaces = [\"wg0\"]\n"
                       "[[open]]\nports = [9100]\nfrom = [\"{}\"]\n",
                       network(1)) +
           limit_toml("metrics", "9100", "outside", "ip", "3/10m"));
  EXPECT_EQ(served(by_vpn().tries(Vpn::host_address(family()), {22}, {8, 0s, kShort})), 5u);
  EXPECT_EQ(served(from(1).tries(host(), {9100}, {8, 0s, kShort})), 3u);
  EXPECT_EQ(counter(net.host, "metrics.accepted"), 3u);
  EXPECT_EQ(from(2).tcp(host(), 9100, kShort), Outcome::timed_out);
}

TEST_P(Openings, APublishedPortMayBeOpenForSome) {
  AppBridge bridge(net);
  App& wiki = bridge.add(2);
  const Server inside(wiki.inside, {9105});
  bridge.publish(9105, wiki, 9105);
  const std::string apps = apps_toml() + app_toml("wiki", wiki);
  fw.apply(apps + fmt::format("[[open]]\nports = [9105]\nfrom = [\"{}\"]\n", network(1)));
  EXPECT_EQ(from(1).tcp(host(), 9105), Outcome::served);
  EXPECT_EQ(from(2).tcp(host(), 9105, kShort), Outcome::timed_out);
  EXPECT_EQ(inside.accepted(9105), 1u);
  fw.apply(apps + "[[open]]\nports = [9105]\ninterfaces = [\"wg0\"]\n");
  EXPECT_EQ(by_vpn().tcp(host(), 9105), Outcome::served);
  EXPECT_EQ(from(1).tcp(host(), 9105, kShort), Outcome::timed_out);
}

TEST_P(Openings, TheCommandsUnderstandThem) {
  fw.apply(
      fmt::format("[ports]\ntcp = [80]\n[[open]]\nports = [22]\ninterfaces = [\"wg*\"]\n"
                  "[[open]]\nports = [9100]\nprotocols = [\"vrrp\"]\nfrom = [\"{}\"]\n",
                  network(1)));
  const auto explained = [&](const std::vector<std::string>& words) {
    std::vector<std::string> all{"explain"};
    all.insert(all.end(), words.begin(), words.end());
    return fw.run(all).exit;
  };
  const std::string peer = to_string(Vpn::peer_address(family()));
  const std::string one = to_string(client(family(), 1));
  EXPECT_EQ(explained({peer, "22"}), 0) << "by the route to it";
  EXPECT_EQ(explained({one, "22"}), 2);
  EXPECT_EQ(explained({one, "22", "--via", "wg7"}), 0);
  EXPECT_EQ(explained({peer, "22", "--live"}), 0);
  EXPECT_EQ(explained({one, "9100"}), 0);
  EXPECT_EQ(explained({peer, "9100"}), 2);
  EXPECT_EQ(explained({one, "vrrp"}), 0);
  EXPECT_EQ(explained({peer, "vrrp"}), 2);
  EXPECT_EQ(by_vpn().tcp(host(), 22), Outcome::served);
  const std::string status = fw.must({"status"}).out;
  EXPECT_NE(status.find("tcp/22 by wg*"), std::string::npos) << status;
  EXPECT_NE(status.find("tcp/9100 from " + one), std::string::npos) << status;
  EXPECT_NE(status.find("vrrp from " + one), std::string::npos) << status;
  EXPECT_NE(fw.must({"plan"}).out.find("nothing to do"), std::string::npos);
  EXPECT_EQ(fw.run({"verify"}).exit, 0);
}

TEST_P(Openings, TheCommandsUnderstandLists) {
  const std::string one = to_string(client(family(), 1));
  const std::string two = to_string(client(family(), 2));
  fw.file("office.txt", one + "\n");
  fw.apply(
      "[[open]]\nports = [9100]\nprotocols = [\"vrrp\"]\nfrom = [\"office\"]\n"
      "[[list]]\nname = \"office\"\nfile = \"office.txt\"\n");
  for (const std::string what : {"9100", "vrrp"}) {
    EXPECT_EQ(fw.run({"explain", one, what}).exit, 0) << what;
    EXPECT_EQ(fw.run({"explain", two, what}).exit, 2) << what;
    EXPECT_EQ(fw.run({"explain", one, what, "--live"}).exit, 0) << what;
    EXPECT_EQ(fw.run({"explain", two, what, "--live"}).exit, 2) << what;
  }
  const std::string status = fw.must({"status"}).out;
  EXPECT_NE(status.find("tcp/9100 from office"), std::string::npos) << status;
  EXPECT_NE(status.find("vrrp from office"), std::string::npos) << status;
  EXPECT_EQ(fw.json({"status"}).at("lists").at(0).at("action"), "open");
  EXPECT_NE(fw.must({"show", "--format", "nft"}).out.find(one), std::string::npos)
      << "its addresses";
}

TEST_P(Openings, AProtocolIsOpenForSome) {
  const bool v4 = family() == Family::ipv4;
  RawLink link(net);
  const auto counted = [&] { return counter(net.host, "closed"); };
  const auto send = [&](unsigned n, std::uint8_t protocol) {
    link.send(
        Frames{link.frame_of({client(family(), n), host(), protocol, std::string(16, '\0')})});
  };
  fw.apply(fmt::format("[[open]]\nprotocols = [\"gre\", 50, \"{}\"]\nfrom = [\"{}\"]\n",
                       v4 ? "ipip" : "ospf", network(1)));
  for (const std::uint8_t protocol : {std::uint8_t{47}, std::uint8_t{50},
                                      std::uint8_t{v4 ? std::uint8_t{4} : std::uint8_t{89}}}) {
    const auto before = counted();
    send(1, protocol);
    send(2, protocol);
    EXPECT_TRUE(eventually([&] { return counted() > before; })) << int{protocol};
    EXPECT_EQ(counted(), before + 1) << "of the other only; protocol " << int{protocol};
  }
  const auto before = counted();
  send(1, 103);
  EXPECT_TRUE(eventually([&] { return counted() == before + 1; }));
}

TEST_P(Openings, VrrpWithARealPeerDecidesWhoIsMaster) {
  const bool v4 = family() == Family::ipv4;
  const std::string shared = v4 ? "203.0.113.100/24" : "fe80::100/64";
  const TempDir dir;
  ip_commands(net.host, "address add fe80::1/64 dev eth0 nodad\n");
  ip_commands(net.outside, "address add fe80::2/64 dev eth0 nodad\n");
  const auto keepalived = [&](const Namespace& where, const std::string& name, int priority) {
    write_file(dir / name, fmt::format(R"(
global_defs {{
  vrrp_version 3
  script_user root
}}
vrrp_instance lab {{
  state BACKUP
  interface eth0
  virtual_router_id 7
  priority {}
  advert_int 0.1
  virtual_ipaddress {{
    {} dev eth0
  }}
}}
)",
                                       priority, shared));
    return Process(
        where, {"keepalived", "--dont-fork", "--vrrp", "--log-console", "--use-file", dir / name,
                "--pid", dir / (name + ".pid"), "--vrrp_pid", dir / (name + ".vrrp")});
  };
  const auto has_it = [&](const Namespace& where) {
    const std::string address = shared.substr(0, shared.find('/'));
    return must_run(where, {"ip", "address", "show", "dev", "eth0"}).find(address + "/") !=
           std::string::npos;
  };
  fw.apply();
  const Process peer = keepalived(net.outside, "peer", 200);
  EXPECT_TRUE(eventually([&] { return has_it(net.outside); })) << peer.err_so_far();
  const Process own = keepalived(net.host, "own", 100);
  EXPECT_TRUE(eventually([&] { return has_it(net.host); }, 30s))
      << "it does not hear the other: " << own.err_so_far();
  const std::string peers = v4 ? to_string(gateway_address(family())) : "fe80::2";
  fw.apply(fmt::format("[[open]]\nprotocols = [\"vrrp\"]\nfrom = [\"{}\"]\n", peers));
  EXPECT_TRUE(eventually([&] { return !has_it(net.host); }, 30s))
      << "it hears the other, who is master: " << own.out_so_far() << own.err_so_far();
  EXPECT_TRUE(has_it(net.outside));
}

/// Guests of libvirt, Incus and LXD: the host's own DHCP and DNS server is there for them.
class Guests : public OverFamily {};
BOTH_FAMILIES(Guests);

TEST_P(Guests, AskTheHostForAddressesAndNamesAndReachTheOutside) {
  const bool v4 = family() == Family::ipv4;
  Namespace guest;
  guest.sysctl("ipv6/conf/default/accept_dad", "0");
  net.host.sysctl("ipv4/ip_forward", "1");
  net.host.sysctl("ipv6/conf/all/forwarding", "1");
  ip_commands(net.host, fmt::format("link add virbr0 type bridge\n"
                                    "address add 192.168.122.1/24 dev virbr0\n"
                                    "address add 2001:db8:122::1/64 dev virbr0 nodad\n"
                                    "link set virbr0 up\n"
                                    "link add vnet0 type veth peer name eth0 netns {}\n"
                                    "link set vnet0 master virbr0 up\n",
                                    guest.path()));
  ip_commands(guest, "link set eth0 up\n");
  ip_commands(net.outside,
              "route add 2001:db8:122::/64 via 2001:db8:ffff::1\n"
              "route add 192.168.122.0/24 via 203.0.113.1\n");
  const TempDir dir;
  const Process dnsmasq(
      net.host,
      {"dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--interface=virbr0",
       "--bind-interfaces", "--except-interface=lo", "--user=root", "--no-resolv", "--no-hosts",
       "--pid-file=" + (dir / "pid"), "--dhcp-leasefile=" + (dir / "server"),
       "--address=/lab.example/192.0.2.7", "--dhcp-range=192.168.122.10,192.168.122.99,1h",
       "--dhcp-range=2001:db8:122::10,2001:db8:122::99,64,1h"});
  fw.apply("[guests]\nbridges = [\"virbr0\", \"incusbr*\"]\n");
  Process dhclient(guest, {"dhclient", v4 ? "-4" : "-6", "-d", "-1", "-sf", "/bin/true", "-lf",
                           dir / "lease", "-pf", dir / "client", "eth0"});
  EXPECT_TRUE(eventually(
      [&] {
        std::string lease;
        if (::access((dir / "lease").c_str(), R_OK) == 0) lease = read_file(dir / "lease");
        return lease.find(v4 ? "fixed-address 192.168.122." : "iaaddr 2001:db8:122::") !=
               std::string::npos;
      },
      60s))
      << dhclient.err_so_far() << dnsmasq.err_so_far();
  ip_commands(guest, v4 ? "address add 192.168.122.9/24 dev eth0\n"
                          "route add default via 192.168.122.1\n"
                        : "address add 2001:db8:122::9/64 dev eth0 nodad\n"
                          "route add default via 2001:db8:122::1\n");
  const Client inside(guest, *fw::parse_ip(v4 ? "192.168.122.9" : "2001:db8:122::9"));
  const Ip bridge = *fw::parse_ip(v4 ? "192.168.122.1" : "2001:db8:122::1");
  const Server out(net.outside, {8080});
  const Server host_server(net.host, {8081});
  EXPECT_EQ(inside.tcp(gateway_address(family()), 8080), Outcome::served);
  EXPECT_EQ(inside.tcp(bridge, 8081, kShort), Outcome::timed_out) << "no other port of the host";
  EXPECT_NO_THROW((void)inside.session(bridge, 53)) << "its DNS server";
  EXPECT_EQ(from(1).tcp(host(), 53, kShort), Outcome::timed_out) << "for guests only";
}

}  // namespace
}  // namespace lab
