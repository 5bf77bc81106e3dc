// What a container engine tells, and the policy that follows from it.
#include "fw/inventory/inventory.hpp"

#include <random>
#include <string>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "fw/base/limits.hpp"
#include "fw/base/name.hpp"
#include "fw/inventory/docker.hpp"

namespace fw {
namespace {

using Labels = std::map<std::string, std::string>;

// As Docker 20.10 answers, with the members that nobody reads left out.
constexpr const char* kContainers = R"([
 {"Id": "aa11", "Names": ["/blog_web_1"], "Image": "wordpress", "ImageID": "sha256:01",
  "Labels": {"com.docker.compose.project": "blog", "com.docker.compose.service": "web",
             "cloudron-fw.addons": "mysql", "maintainer": "somebody"},
  "Ports": [{"IP": "0.0.0.0", "PrivatePort": 80, "PublicPort": 8080, "Type": "tcp"},
            {"IP": "::", "PrivatePort": 80, "PublicPort": 8080, "Type": "tcp"},
            {"PrivatePort": 443, "Type": "tcp"}, {"PrivatePort": 9, "Type": "sctp"}],
  "State": "running",
  "NetworkSettings": {"Networks": {"blog": {"IPAddress": "172.20.0.3",
                                            "GlobalIPv6Address": "2001:db8:20::3"}}}},
 {"Id": "bb22", "Names": ["/mysql"], "ImageID": "sha256:02",
  "Labels": {"cloudron-fw.addon": "mysql"}, "Ports": [{"PrivatePort": 3306, "Type": "tcp"}],
  "NetworkSettings": {"Networks": {"blog": {"IPAddress": "172.20.0.2", "GlobalIPv6Address": ""}}}},
 {"Id": "cc33", "Names": ["/stopped"], "Labels": null, "Ports": null,
  "NetworkSettings": {"Networks": {"bridge": {"IPAddress": "", "GlobalIPv6Address": ""}}}}
])";
constexpr const char* kNetworks = R"([
 {"Name": "blog", "Driver": "bridge", "IPAM": {"Config": [{"Subnet": "172.20.0.0/16"},
                                                          {"Subnet": "2001:db8:20::/64"}]}},
 {"Name": "bridge", "Driver": "bridge", "IPAM": {"Config": [{"Subnet": "172.17.0.0/16"}]}},
 {"Name": "wire", "Driver": "macvlan", "IPAM": {"Config": [{"Subnet": "203.0.113.0/24"}]}},
 {"Name": "host", "Driver": "host", "IPAM": {"Config": []}}])";

Ip ip(const char* text) { return parse_ip(text).value(); }

Inventory inventory() {
  Inventory out = read_docker_containers(kContainers).value();
  out.networks = read_docker_networks(kNetworks).value();
  return out;
}

Policy discovering(const std::string& more = {}) {
  const Parsed parsed = parse_policy("[apps]\ndiscover = \"docker\"\n" + more, "p");
  EXPECT_TRUE(parsed.ok()) << (parsed.problems.empty() ? "" : to_string(parsed.problems[0]));
  return parsed.policy;
}

std::string texts(const std::vector<Problem>& problems) {
  std::string out;
  for (const Problem& problem : problems) out += to_string(problem) + "\n";
  return out;
}

Container container(const std::string& name, Labels labels = {},
                    const char* address = "172.20.0.9") {
  Container out;
  out.id = name;
  out.name = name;
  out.labels = std::move(labels);
  out.addresses = {ip(address)};
  return out;
}

TEST(Inventory, IsWhatTheEngineTells) {
  const Inventory all = inventory();
  ASSERT_EQ(all.containers.size(), 3u);
  const Container& web = all.containers[0];
  EXPECT_EQ(web.name, "blog_web_1");
  EXPECT_EQ(web.addresses, (std::vector<Ip>{ip("172.20.0.3"), ip("2001:db8:20::3")}));
  EXPECT_EQ(web.exposes,
            (std::vector<PortRange>{{Protocol::tcp, 80, 80}, {Protocol::tcp, 443, 443}}));
  EXPECT_EQ(web.publishes, (std::vector<PortRange>{{Protocol::tcp, 8080, 8080}}));
  EXPECT_FALSE(web.labels.contains("maintainer"));
  EXPECT_TRUE(all.containers[2].addresses.empty());
  EXPECT_EQ(all.networks.size(), 3u) << "of bridges";
  EXPECT_EQ(all.left_out, std::vector<std::string>{});
  EXPECT_EQ(read_inventory(to_text(all)).value(), all);
}

TEST(Inventory, BecomesAppsAndAddons) {
  const Discovered found = discover(discovering(), inventory());
  EXPECT_EQ(texts(found.problems), "");
  ASSERT_EQ(found.policy.apps.size(), 2u);
  const App& web = found.policy.apps[0];
  EXPECT_EQ(web.name, "blog-web");
  EXPECT_EQ(web.addons, std::vector<std::string>{"mysql"});
  EXPECT_TRUE(web.publishes.empty()) << "what Docker publishes is open only if the policy says so";
  ASSERT_EQ(found.policy.addons.size(), 1u);
  EXPECT_EQ(found.policy.addons[0].addresses, std::vector<Ip>{ip("172.20.0.2")});
  EXPECT_EQ(found.policy.addons[0].ports, (std::vector<PortRange>{{Protocol::tcp, 3306, 3306}}));
  EXPECT_EQ(found.policy.app_networks.size(), 3u) << "not the built-in default beside";
  EXPECT_EQ(texts(check(found.policy)), "");
}

TEST(Inventory, ChangesNothingUnlessAskedFor) {
  const Policy policy = default_policy();
  EXPECT_EQ(discover(policy, inventory()).policy, policy);
}

TEST(Inventory, GoesBehindWhatThePolicySays) {
  const Discovered found = discover(discovering(R"(
network = ["172.20.0.0/16", "10.9.0.0/16"]
[[app]]
name = "blog-web"
publishes = [8080]
[[addon]]
name = "mysql"
addresses = ["10.9.0.1"]
ports = [3307]
)"),
                                    inventory());
  const App& web = found.policy.apps[0];
  EXPECT_EQ(web.publishes, (std::vector<PortRange>{{Protocol::tcp, 8080, 8080}}));
  EXPECT_EQ(web.addresses.size(), 2u) << "those of its container";
  EXPECT_FALSE(web.addons.has_value()) << "all, as for each [[app]] that names none";
  const Addon& mysql = found.policy.addons[0];
  EXPECT_EQ(mysql.addresses, std::vector<Ip>{ip("10.9.0.1")}) << "written ones are all there are";
  EXPECT_EQ(mysql.ports, (std::vector<PortRange>{{Protocol::tcp, 3307, 3307}}));
}

TEST(Inventory, NamesAreValidAndTellApart) {
  EXPECT_EQ(identity(container("wiki")), "wiki");
  EXPECT_EQ(identity(container("x", {{kAppLabel, "wiki"}})), "wiki");
  EXPECT_EQ(identity(container("x", {{kServiceLabel, "web"}, {kProjectLabel, "blog"}})),
            "blog-web");
  const std::string one = identity(container("nextcloud-aio-database-one"));
  const std::string other = identity(container("nextcloud-aio-database-two"));
  EXPECT_NE(one, other);
  EXPECT_NE(identity(container("Wiki")), identity(container("wiki")));
  std::mt19937 random(1);
  for (int i = 0; i < 10'000; ++i) {
    std::string name;
    for (std::size_t n = random() % 40; n > 0; --n) name += static_cast<char>(random());
    EXPECT_TRUE(valid_name(identity(container(name)))) << i;
  }
}

TEST(Inventory, LabelsThatMeanNothingAreSaid) {
  Inventory all;
  all.networks = {parse_ip_range("172.20.0.0/16").value()};
  all.containers = {container("one", {{kAddonsLabel, "nobody, "}, {kOpenLabel, "22"}}),
                    container("two", {}, "172.20.0.9"), container("far", {}, "192.0.2.1"),
                    container("bare", {{kAddonLabel, "bare"}}, "172.20.0.8")};
  const std::string said = texts(discover(discovering(), all).problems);
  EXPECT_NE(said.find("there is no addon \"nobody\""), std::string::npos) << said;
  EXPECT_NE(said.find("opens nothing: say labels_open"), std::string::npos) << said;
  EXPECT_NE(said.find("172.20.0.9 belongs to another"), std::string::npos) << said;
  EXPECT_NE(said.find("192.0.2.1 is outside the app networks"), std::string::npos) << said;
  EXPECT_NE(said.find("exposes no port"), std::string::npos) << said;

  all.containers = {container("one", {{kOpenLabel, "8080, udp/53, 0, 70000, x, 8000-8100"}})};
  const Discovered open = discover(discovering("labels_open = true\n"), all);
  EXPECT_EQ(open.policy.apps[0].publishes.size(), 2u) << "8080 is in 8000-8100";
  EXPECT_EQ(open.problems.size(), 3u) << texts(open.problems);
}

TEST(Inventory, WhoWentIsKnownForAWhileWithoutAddresses) {
  constexpr std::int64_t kNow = 100'000;
  Inventory before;
  before.containers = {container("web"), container("old"), container("late")};
  before.containers[1].gone = kNow - kGoneKeep.count() - 1;
  before.containers[2].gone = kNow - kGoneKeep.count();
  Inventory now;
  now.containers = {container("other")};
  const Inventory kept = carry_over(now, before, kNow);
  ASSERT_EQ(kept.containers.size(), 3u);
  EXPECT_EQ(kept.containers[1].name, "web");
  EXPECT_EQ(kept.containers[1].gone, kNow) << "however long it was there";
  EXPECT_TRUE(kept.containers[1].addresses.empty());
  EXPECT_EQ(kept.containers[2].name, "late");
  EXPECT_EQ(carry_over(now, kept, kNow + 1).containers.size(), 2u);
  EXPECT_EQ(carry_over(now, kept, 5).containers[1].gone, 5) << "a clock that was set back";
}

TEST(Inventory, ImageLabelsCountForNothing) {
  const auto image = read_docker_image(
      R"({"Config": {"Labels": {"cloudron-fw.app": "wiki", "cloudron-fw.open": "22"}}})");
  Container stranger = container("x", {{kAppLabel, "wiki"}, {kOpenLabel, "8080"}});
  drop_image_labels(stranger, image.value());
  EXPECT_EQ(stranger.labels, (Labels{{kOpenLabel, "8080"}})) << "what the admin said otherwise";
}

TEST(Inventory, IsBounded) {
  std::string many = "[";
  for (std::size_t i = 0; i < kContainersMax + 5; ++i) {
    many += fmt::format(R"({}{{"Id": "{}", "Names": ["/c{}"]}})", i == 0 ? "" : ",", i, i);
  }
  const auto all = read_docker_containers(many + "]");
  EXPECT_EQ(all->containers.size(), kContainersMax);
  EXPECT_EQ(all->left_out.size(), 1u);
  const auto bad = read_docker_containers(fmt::format(R"([{{"Id": "a", "Names": ["/x\u001b[31m"]}},
                      {{"Id": "b", "Names": ["/y"], "Labels": {{"cloudron-fw.app": "{}"}}}}])",
                                                      std::string(1000, 'a')));
  ASSERT_EQ(bad->containers.size(), 1u);
  EXPECT_TRUE(bad->containers[0].labels.empty());
  EXPECT_EQ(bad->left_out.size(), 2u);
}

TEST(Inventory, GarbageIsAnErrorOrLeftOut) {
  std::mt19937 random(2);
  for (const std::string good : {kContainers, kNetworks}) {
    for (int i = 0; i < 2000; ++i) {
      std::string bad = good;
      for (int flips = 0; flips < 3; ++flips)
        bad[random() % bad.size()] = static_cast<char>(random());
      bad.resize(random() % 4 == 0 ? random() % bad.size() : bad.size());
      (void)read_docker_containers(bad);
      (void)read_docker_networks(bad);
      (void)read_docker_image(bad);
      (void)read_inventory(bad);
      (void)touched_by(bad);
    }
  }
  EXPECT_FALSE(read_docker_containers("{}"));
  EXPECT_FALSE(read_docker_networks("nothing"));
}

TEST(Inventory, EventsTellWhatTheyTouched) {
  const Touched started =
      touched_by(R"({"Type": "container", "Action": "start", "Actor": {"ID": "abc"}})");
  EXPECT_TRUE(started.inventory);
  EXPECT_FALSE(started.networks);
  EXPECT_EQ(started.container, "abc");
  EXPECT_TRUE(touched_by(R"({"Type": "container", "Action": "rename"})").inventory);
  const Touched joined = touched_by(
      R"({"Type": "network", "Action": "connect", "Actor": {"ID": "n", "Attributes": {"container": "abc"}}})");
  EXPECT_TRUE(joined.inventory);
  EXPECT_FALSE(joined.networks);
  EXPECT_EQ(joined.container, "abc");
  const Touched made =
      touched_by(R"({"Type": "network", "Action": "create", "Actor": {"ID": "n"}})");
  EXPECT_TRUE(made.inventory && made.networks);
  EXPECT_EQ(made.container, "");
  EXPECT_FALSE(touched_by(R"({"Type": "container", "Action": "exec_start: sh"})").inventory);
  EXPECT_FALSE(touched_by(R"({"Type": "image", "Action": "pull"})").inventory);
  EXPECT_TRUE(touched_by("{").inventory) << "better once too often";
}

}  // namespace
}  // namespace fw
