// Which bridges are of apps and of containers, and what the compiler makes of them.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "chains/bridges.hpp"

#include <algorithm>

#include <gtest/gtest.h>

#include "chains/compile.hpp"
#include "chains/text.hpp"
#include "fw/effective/policy.hpp"

namespace chains {
namespace {

using Others = Bridge::Others;

fw::Policy parsed_policy(std::string_view text) {
  fw::Parsed parsed = fw::parse_policy(text, "policy.toml");
  EXPECT_TRUE(parsed.ok()) << (parsed.problems.empty() ? "" : to_string(parsed.problems.front()));
  return std::move(parsed.policy);
}

Bridge bridge(const std::string& name, const char* address, Others others = Others::none) {
  Bridge out{name, 9, others, {}, {}};
  if (*address != '\0') out.addresses.push_back(*fw::parse_ip(address));
  if (others != Others::uplink) out.ports.push_back({10, {2, 0, 0, 0, 0, 1}, {}});
  return out;
}

TEST(Bridges, OfAppsAreThoseWithAnAddressOfTheirNetworks) {
  const fw::Policy policy =
      parsed_policy("[apps]\nnetwork = [\"172.18.0.0/16\", \"fd00:18::/64\"]\n");
  EXPECT_TRUE(is_of_apps(bridge("br0", "172.18.0.1"), policy));
  EXPECT_TRUE(is_of_apps(bridge("br0", "fd00:18::1"), policy));
  EXPECT_TRUE(is_of_apps(bridge("br0", "172.18.0.1", Others::guests), policy));
  EXPECT_FALSE(is_of_apps(bridge("br0", "172.18.0.1", Others::uplink), policy));
  EXPECT_FALSE(is_of_apps(bridge("docker0", "172.17.0.1"), policy));
  EXPECT_FALSE(is_of_apps(bridge("br-0123456789ab", ""), policy));
}

TEST(Bridges, OfDockerAreOfAppsWhereThoseAreDiscovered) {
  const fw::Policy policy = parsed_policy("[apps]\ndiscover = \"docker\"\n");
  EXPECT_TRUE(is_of_apps(bridge("docker0", "172.17.0.1"), policy));
  EXPECT_TRUE(is_of_apps(bridge("br-0123456789ab", ""), policy)) << "an isolated network";
  EXPECT_FALSE(is_of_apps(bridge("br-0123456789ab", "", Others::uplink), policy));
  EXPECT_FALSE(is_of_apps(bridge("br-lan", ""), policy));
  EXPECT_FALSE(is_of_apps(bridge("podman0", "10.88.0.1"), policy));
}

TEST(Bridges, OfContainersAreThoseOfEnginesAndOfNamespaces) {
  const fw::Policy policy = parsed_policy("[apps]\nrouted = [\"br-l*\", \"cni0\"]\n");
  for (const char* name :
       {"docker0", "br-0123456789ab", "podman0", "cni-podman1", "nerdctl0", "docker_gwbridge"}) {
    EXPECT_TRUE(is_of_containers(bridge(name, "10.1.0.1"), policy)) << name;
    EXPECT_TRUE(is_of_containers(bridge(name, "10.1.0.1", Others::guests), policy)) << name;
    EXPECT_FALSE(is_of_containers(bridge(name, "10.1.0.1", Others::uplink), policy)) << name;
  }
  EXPECT_TRUE(is_of_containers(bridge("br-custom", "10.1.0.1"), policy));
  EXPECT_FALSE(is_of_containers(bridge("br-custom", "10.1.0.1", Others::guests), policy));
  for (const char* name : {"virbr0", "incusbr0", "lxdbr0", "lxcbr0", "br-lab", "cni0"}) {
    EXPECT_FALSE(is_of_containers(bridge(name, "10.1.0.1"), policy)) << name;
  }
  Bridge empty = bridge("br-new", "10.1.0.1");
  empty.ports.clear();
  EXPECT_FALSE(is_of_containers(empty, policy));
}

TEST(Bridges, RoutedNamesDevices) {
  for (const char* wrong : {"\"\"", "\"sixteen-letters-\"", "\"a*b\"", "\"a b\"", "7"}) {
    const fw::Parsed parsed =
        fw::parse_policy(std::string("[apps]\nrouted = [") + wrong + "]\n", "policy.toml");
    EXPECT_FALSE(parsed.ok()) << wrong;
  }
}

Ruleset with_ports(std::vector<BridgePort> ports) {
  HostFacts facts;
  facts.bridges = {bridge("br0", "172.18.0.1")};
  facts.bridges.front().ports = std::move(ports);
  return compile(parsed_policy("[[app]]\nname = \"wiki\"\naddresses = [\"172.18.16.2\"]\n"), facts);
}

std::vector<std::string> elements_of(const Ruleset& ruleset, const char* name) {
  std::vector<std::string> out;
  const Set* set = find(ruleset.sets, name);
  if (set == nullptr) return {"there is no such set"};
  for (const Element& element : set->elements) out.push_back(to_text(*set, element));
  return out;
}

using Texts = std::vector<std::string>;

TEST(BridgeTable, HoldsAPortToWhatItsContainerHas) {
  const fw::Ip own = *fw::parse_ip("172.18.16.3");
  const Ruleset made = with_ports({{7, {2, 0, 0, 0, 0, 7}, {own}}, {8, {}, {}}});
  EXPECT_TRUE(made.bridge);
  EXPECT_EQ(elements_of(made, "app_ports"), (Texts{"7", "8"}));
  EXPECT_EQ(elements_of(made, "known_ports"), Texts{"7"});
  EXPECT_EQ(elements_of(made, "port_macs"), Texts{"7 . 02:00:00:00:00:07"});
  EXPECT_EQ(elements_of(made, "ties4"), Texts{"7 . 02:00:00:00:00:07 . 172.18.16.3"});
  EXPECT_EQ(elements_of(made, "owned4"), (Texts{"172.18.16.2", "172.18.16.3"}));
  EXPECT_EQ(elements_of(made, "hosts4"), Texts{"172.18.0.1"});
}

TEST(BridgeTable, AnAddressOfTwoIsThatOfTheFirst) {
  const fw::Ip same = *fw::parse_ip("172.18.16.3");
  const Ruleset made =
      with_ports({{7, {2, 0, 0, 0, 0, 7}, {same}}, {9, {2, 0, 0, 0, 0, 9}, {same}}});
  EXPECT_EQ(elements_of(made, "ties4"), Texts{"7 . 02:00:00:00:00:07 . 172.18.16.3"});
  EXPECT_EQ(elements_of(made, "known_ports"), (Texts{"7", "9"}));
}

TEST(BridgeTable, IsThereOnlyWhileAppsAreKeptApart) {
  HostFacts facts;
  facts.bridges = {bridge("br0", "172.18.0.1")};
  EXPECT_FALSE(compile(parsed_policy(""), facts).bridge);
  facts.bridges = {bridge("vmbr0", "10.0.0.1")};
  EXPECT_FALSE(
      compile(parsed_policy("[[app]]\nname = \"wiki\"\naddresses = [\"172.18.16.2\"]\n"), facts)
          .bridge);
}

TEST(BridgeTable, ItsRulesDoNotGrowWithTheApps) {
  std::vector<BridgePort> many;
  for (std::uint32_t i = 0; i < 200; ++i) {
    many.push_back({i + 10,
                    {2, 0, 0, 0, 1, static_cast<std::uint8_t>(i)},
                    {fw::Ip{fw::Family::ipv4, 0xac121100u + i}}});
  }
  const auto rules = [](const Ruleset& ruleset) {
    std::size_t count = 0;
    for (const Chain& chain : ruleset.chains) count += chain.rules.size();
    return count;
  };
  EXPECT_EQ(rules(with_ports(many)), rules(with_ports({many.front()})));
}

}  // namespace
}  // namespace chains
