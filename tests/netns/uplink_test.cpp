// Containers that are neighbours in the LAN: macvlan and ipvlan networks.
// SPDX-License-Identifier: GPL-2.0-or-later
#include <fmt/format.h>

#include "tests/lab/family.hpp"

namespace lab {
namespace {

class UplinkNetwork : public OverFamily {
 protected:
  UplinkNetwork() {
    must_run(net.host,
             {"ip", "route", "add", "default", "via", to_string(gateway_address(family()))});
  }
  std::string lan() const {
    return family() == Family::ipv4 ? "203.0.113.0/24" : "2001:db8:ffff::/64";
  }
};
BOTH_FAMILIES(UplinkNetwork);

TEST_P(UplinkNetwork, IsNoNetworkOfApps) {
  fw.apply();
  const std::string before = rules_only(net.host);
  fw.policy("[apps]\nnetwork = [\"" + lan() + "\"]\n");
  for (const char* command : {"check", "apply"}) {
    const Output output = fw.run({command});
    EXPECT_EQ(output.exit, 1) << to_string(output);
    EXPECT_NE((output.out + output.err).find(lan() + " is not a network of apps"),
              std::string::npos)
        << to_string(output);
  }
  EXPECT_EQ(rules_only(net.host), before);
  fw.must({"apply", "--boot"});
  fw.policy(std::string("[apps]\nnetwork = [") + kAppNetworks + "]\n");
  fw.apply();
}

/// A container with a macvlan device over the host's card.
class LanContainer : public OverFamily {
 protected:
  LanContainer() {
    container.sysctl("ipv6/conf/default/accept_dad", "0");
    ip_commands(net.host, fmt::format("link add link eth0 name inner0 type macvlan mode bridge\n"
                                      "link set inner0 netns {} name eth0\n",
                                      container.path()));
    ip_commands(container,
                "address add 203.0.113.9/24 dev eth0\n"
                "address add 2001:db8:ffff::9/64 dev eth0 nodad\n"
                "link set eth0 up\n"
                "route add default via 203.0.113.2\n"
                "route add default via 2001:db8:ffff::2\n");
  }
  Ip address() const {
    return *fw::parse_ip(family() == Family::ipv4 ? "203.0.113.9" : "2001:db8:ffff::9");
  }

  Namespace container;
  Server server{container, {80, 9100}};
};
BOTH_FAMILIES(LanContainer);

TEST_P(LanContainer, GetsAnEarlyBlockAndNoMore) {
  fw.apply();
  EXPECT_EQ(from(1).tcp(address(), 9100), Outcome::served) << "what is closed is for the host";
  Session open = from(1).session(address(), 80);
  const auto before = counter(net.host, "blocked");
  fw.must({"block", to_string(client(family(), 1))});
  EXPECT_EQ(from(1).tcp(address(), 80, kShort), Outcome::timed_out);
  EXPECT_GT(counter(net.host, "blocked"), before) << "at the host's card";
  EXPECT_EQ(from(2).tcp(address(), 80), Outcome::served);
  EXPECT_TRUE(open.echoes()) << "no more: what was open goes on";
  fw.must({"unblock", to_string(client(family(), 1))});
  EXPECT_EQ(from(1).tcp(address(), 80), Outcome::served);
  const bool v4 = family() == Family::ipv4;
  fw.must({"block", v4 ? "198.18.0.0/24" : "2001:db8:18::/56"});
  EXPECT_EQ(from(1).tcp(address(), 80), Outcome::served) << "networks are not looked for early";
}

}  // namespace
}  // namespace lab
