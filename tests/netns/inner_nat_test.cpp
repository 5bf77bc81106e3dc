// NAT between networks of this host is no publishing: services of Kubernetes, redirects of a VPN.
// SPDX-License-Identifier: GPL-2.0-or-later
#include <list>

#include <fmt/format.h>

#include "tests/lab/family.hpp"

namespace lab {
namespace {

class InnerNat : public OverFamily {
 protected:
  InnerNat() {
    net.host.sysctl("ipv4/ip_forward", "1");
    net.host.sysctl("ipv6/conf/all/forwarding", "1");
    ip_commands(net.host,
                "link add cni0 type bridge\n"
                "address add 10.42.0.1/24 dev cni0\n"
                "address add fd00:42::1/64 dev cni0 nodad\n"
                "link set cni0 up\n");
    for (const unsigned n : {2u, 3u}) {
      const Namespace& pod = pods.emplace_back();
      pod.sysctl("ipv6/conf/default/accept_dad", "0");
      ip_commands(net.host, fmt::format("link add pod{0} type veth peer name eth0 netns {1}\n"
                                        "link set pod{0} master cni0 up\n",
                                        n, pod.path()));
      ip_commands(pod, fmt::format("address add 10.42.0.{0}/24 dev eth0\n"
                                   "address add fd00:42::{0}/64 dev eth0 nodad\n"
                                   "link set eth0 up\n"
                                   "route add default via 10.42.0.1\n"
                                   "route add default via fd00:42::1\n",
                                   n));
    }
    nft(net.host, R"(
table inet kube_like {
  chain prerouting {
    type nat hook prerouting priority dstnat;
    ip daddr 10.43.0.10 tcp dport 53 dnat ip to 10.42.0.3:5353
    ip6 daddr fd00:43::10 tcp dport 53 dnat ip6 to [fd00:42::3]:5353
  }
  chain postrouting {
    type nat hook postrouting priority srcnat;
    ct status dnat masquerade
  }
}
)");
    ip_commands(net.outside,
                "route add 10.43.0.0/16 via 203.0.113.1\n"
                "route add fd00:43::/64 via 2001:db8:ffff::1\n");
  }
  Ip service() const {
    return *fw::parse_ip(family() == Family::ipv4 ? "10.43.0.10" : "fd00:43::10");
  }
  Client pod() const {
    return {pods.front(), *fw::parse_ip(family() == Family::ipv4 ? "10.42.0.2" : "fd00:42::2")};
  }

  std::list<Namespace> pods;
};
BOTH_FAMILIES(InnerNat);

TEST_P(InnerNat, APodReachesAServiceAndTheOutsideDoesNot) {
  const Server server(pods.back(), {5353});
  EXPECT_EQ(pod().tcp(service(), 53), Outcome::served) << "before there is a firewall";
  EXPECT_EQ(from(1).tcp(service(), 53), Outcome::served);
  fw.apply("");
  EXPECT_EQ(pod().tcp(service(), 53), Outcome::served);
  EXPECT_EQ(from(1).tcp(service(), 53, kShort), Outcome::timed_out) << "that is publishing";
}

TEST_P(InnerNat, ARedirectForAVpnIsOpenedForIt) {
  const Server server(pods.back(), {5353});
  fw.apply("[[open]]\nports = [53]\ninterfaces = [\"eth0\"]\n");
  EXPECT_EQ(from(1).tcp(service(), 53), Outcome::served);
  fw.apply("[[open]]\nports = [53]\ninterfaces = [\"wg0\"]\n");
  EXPECT_EQ(from(1).tcp(service(), 53, kShort), Outcome::timed_out);
}

}  // namespace
}  // namespace lab
