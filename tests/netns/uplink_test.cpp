// An app network that reaches to the host's router: a macvlan network of containers is the LAN.
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
    EXPECT_NE((output.out + output.err).find(lan() + " is no network of apps"), std::string::npos)
        << to_string(output);
  }
  EXPECT_EQ(rules_only(net.host), before);
  fw.must({"apply", "--boot"});
  fw.policy(std::string("[apps]\nnetwork = [") + kAppNetworks + "]\n");
  fw.apply();
}

}  // namespace
}  // namespace lab
