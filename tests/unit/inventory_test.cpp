// What a container engine tells, and the policy that follows from it.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/inventory/inventory.hpp"

#include <algorithm>
#include <map>
#include <random>
#include <set>
#include <string>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "fw/base/limits.hpp"
#include "fw/base/name.hpp"
#include "fw/effective/policy.hpp"
#include "fw/inventory/docker.hpp"
#include "tests/unit/samples.hpp"

namespace fw {
namespace {

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
  leave_sample("docker", kContainers);
  leave_sample("docker", kNetworks);
  Inventory out = read_docker_containers(kContainers).value();
  const Inventory networks = read_docker_networks(kNetworks).value();
  out.networks = networks.networks;
  out.lan = networks.lan;
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
  leave_sample("docker", to_text(all));
  EXPECT_EQ(read_inventory(to_text(all)).value().inventory, all);
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
  EXPECT_NE(said.find("opens nothing: set labels_open"), std::string::npos) << said;
  EXPECT_NE(said.find("172.20.0.9 already belongs to another"), std::string::npos) << said;
  EXPECT_NE(said.find("192.0.2.1 is outside the app networks"), std::string::npos) << said;
  EXPECT_NE(said.find("exposes no port"), std::string::npos) << said;

  all.containers = {container("one", {{kOpenLabel, "8080, udp/53, 0, 70000, x, 8000-8100"}})};
  const Discovered open = discover(discovering("labels_open = true\n"), all);
  EXPECT_EQ(open.policy.apps[0].publishes.size(), 2u) << "8080 is in 8000-8100";
  EXPECT_EQ(open.problems.size(), 3u) << texts(open.problems);
}

constexpr std::int64_t kNow = 100'000;

TEST(Inventory, WhoWentIsKnownForAWhileWithoutAddresses) {
  Inventory all;
  all.containers = {container("late"), container("old"), container("web")};
  all.containers[0].gone = kNow - kGoneKeep.count();
  all.containers[1].gone = kNow - kGoneKeep.count() - 1;
  Inventory now;
  now.containers = {container("other")};
  const InventoryChange change = update(all, {.everything = true}, now, kNow);
  EXPECT_TRUE(change.forgotten);
  EXPECT_EQ(change.containers.size(), 2u);
  EXPECT_EQ(change.containers.at("other"), std::nullopt);
  EXPECT_EQ(change.containers.at("web"), container("web"));
  ASSERT_EQ(all.containers.size(), 3u);
  EXPECT_EQ(all.containers[0].name, "late");
  EXPECT_EQ(all.containers[2].name, "web");
  EXPECT_EQ(all.containers[2].gone, kNow) << "however long it was there";
  EXPECT_TRUE(all.containers[2].addresses.empty());
  EXPECT_TRUE(update(all, {.everything = true}, now, kNow).empty());
  Inventory set_back = all;
  EXPECT_TRUE(update(set_back, {.everything = true}, now, 5).empty());
  EXPECT_EQ(set_back.containers[2].gone, 5) << "kept, and nobody waits longer for it";
  update(all, {.everything = true}, now, kNow + 1);
  EXPECT_EQ(all.containers.size(), 2u);
}

TEST(Inventory, PartsAreTakenInAlone) {
  Inventory all;
  all.networks = {parse_ip_range("172.20.0.0/16").value()};
  all.containers = {container("a"), container("b"), container("c")};
  Inventory now;
  now.containers = {container("b", {}, "172.20.0.10"), container("d")};
  const InventoryChange change = update(all, {.containers = {"a", "b", "d", "e"}}, now, kNow);
  EXPECT_FALSE(change.others || change.forgotten);
  EXPECT_EQ(change.containers.size(), 3u);
  ASSERT_EQ(all.containers.size(), 4u);
  EXPECT_EQ(all.containers[0].gone, kNow);
  EXPECT_EQ(all.containers[1].addresses, std::vector<Ip>{ip("172.20.0.10")});
  EXPECT_EQ(all.containers[2], container("c"));
  EXPECT_EQ(all.containers[3], container("d"));
  EXPECT_EQ(all.networks.size(), 1u);
  EXPECT_TRUE(update(all, {.networks = true}, {}, kNow).others);
  EXPECT_TRUE(all.networks.empty());
  EXPECT_EQ(all.containers.size(), 4u);
}

TEST(Inventory, OfTooManyThoseThatWentAreForgottenFirst) {
  Inventory all;
  for (std::size_t i = 0; i < kContainersMax; ++i) {
    all.containers.push_back(container(fmt::format("{:05}", i)));
    all.containers.back().gone = i % 2 == 0 ? kNow : 0;
  }
  Inventory now;
  now.containers = {container("x"), container("y")};
  EXPECT_TRUE(update(all, {.containers = {"x", "y"}}, now, kNow).forgotten);
  ASSERT_EQ(all.containers.size(), kContainersMax);
  EXPECT_EQ(all.containers[0].id, "00001");
  EXPECT_EQ(all.containers.back().id, "y");
}

TEST(Inventory, ItsTextGrowsByWhatChanged) {
  Inventory all = inventory();
  std::string text = to_text(all);
  for (int i = 0; i < 3; ++i) {
    Inventory now;
    now.containers = {container("aa11", {{kAppLabel, "wiki"}}), container("dd")};
    now.containers[0].addresses.push_back(ip(fmt::format("172.20.1.{}", i).c_str()));
    InventoryChange change = update(all, {.containers = {"aa11", "bb22", "dd"}}, now, kNow + i);
    change.add(update(all, {.networks = i == 1}, {}, kNow));
    text += to_text(all, change);
  }
  const KeptText kept = read_inventory(text).value();
  EXPECT_EQ(kept.inventory, all);
  EXPECT_TRUE(kept.whole);
  EXPECT_EQ(kept.lines, 4u + 3u + 2u + 1u);
  for (const std::string& torn :
       {text + "{\"id\": \"zz", text + std::string(100, '\0'), text + "nothing\n" + to_text(all)}) {
    const KeptText read = read_inventory(torn).value();
    EXPECT_FALSE(read.whole);
    EXPECT_EQ(read.inventory, all);
  }
  EXPECT_FALSE(read_inventory("nothing\n"));
  EXPECT_FALSE(read_inventory("{\"id\": \"aa\"}")) << "the line was torn";
}

/// Containers as they come, go and move: often of one app, at times with labels that matter.
class Engine {
 public:
  explicit Engine(unsigned seed) : random_(seed) {}

  Inventory containers() const {
    Inventory out;
    for (const auto& [id, container] : all_) out.containers.push_back(container);
    return out;
  }
  InventoryPart step() {
    InventoryPart part;
    for (unsigned i = any(2); i < 3; ++i) {
      const std::string id = fmt::format("c{}", any(12));
      part.containers.insert(id);
      if (any(6) == 0) {
        all_.erase(id);
        continue;
      }
      auto [it, made] = all_.try_emplace(id);
      Container& now = it->second;
      if (made || any(12) == 0) now = named(id);
      now.addresses.clear();
      for (unsigned n = any(3); n < 2; ++n) {
        now.addresses.push_back(
            ip(fmt::format("172.{}.0.{}", any(20) == 0 ? 30 : 20, any(60)).c_str()));
      }
      std::ranges::sort(now.addresses);
      const auto same = std::ranges::unique(now.addresses);
      now.addresses.erase(same.begin(), same.end());
    }
    return part;
  }

 private:
  unsigned any(unsigned below) {
    return std::uniform_int_distribution<unsigned>(0, below - 1)(random_);
  }
  Container named(const std::string& id) {
    Container out;
    out.id = id;
    out.name = any(3) == 0 ? fmt::format("n{}", any(12)) : "n-" + id;
    if (any(4) == 0) out.labels[kAppLabel] = any(2) == 0 ? "wiki" : "blog";
    if (any(12) == 0) out.labels[kAddonLabel] = "mysql";
    if (any(8) == 0) out.labels[kAddonsLabel] = "mysql";
    if (any(12) == 0) out.labels[kOpenLabel] = "8080";
    if (any(2) == 0) out.exposes = {{Protocol::tcp, 80, 80}};
    return out;
  }

  std::mt19937 random_;
  std::map<std::string, Container> all_;
};

/// Without the places that a problem would name, and in an order that no container's name makes.
std::vector<App> as_such(std::vector<App> apps) {
  for (App& app : apps) app.where = {};
  std::ranges::sort(apps, {}, &App::name);
  return apps;
}

TEST(Inventory, AppsThatMoveAreToldWithoutAllContainers) {
  int moved_at_once = 0;
  for (unsigned seed = 0; seed < 300; ++seed) {
    Engine engine(seed);
    const Policy policy = discovering(
        std::string("labels_open = true\nnetwork = [\"172.20.0.0/16\"]\n") +
        (seed % 3 == 0 ? "[[app]]\nname = \"wiki\"\naddresses = [\"172.20.0.7\"]\n" : ""));
    Inventory all;
    all.networks = {parse_ip_range("172.20.0.0/16").value()};
    Discovered before = discover(policy, all);
    for (int i = 0; i < 40; ++i) {
      const InventoryPart part = engine.step();
      const InventoryChange change = update(
          all, part,
          [&] {
            Inventory now = engine.containers();
            std::erase_if(now.containers,
                          [&](const Container& c) { return !part.containers.contains(c.id); });
            return now;
          }(),
          kNow + 20 * i);
      std::set<Ip> owned;
      for (const App& app : before.policy.apps) {
        owned.insert(app.addresses.begin(), app.addresses.end());
      }
      const auto moved = before.contested
                             ? std::nullopt
                             : moved_apps(policy, before.policy, all, change,
                                          [&owned](Ip at) { return owned.contains(at); });
      Discovered after = discover(policy, all);
      if (moved) {
        ++moved_at_once;
        for (std::size_t k = 0; k < moved->before.size(); ++k) {
          const auto app = std::ranges::find(before.policy.apps, moved->before[k].name, &App::name);
          ASSERT_EQ(*app, moved->before[k]);
          *app = moved->after[k];
        }
        ASSERT_TRUE(as_such(before.policy.apps) == as_such(after.policy.apps)) << seed;
        ASSERT_EQ(before.policy.addons, after.policy.addons) << seed;
        ASSERT_EQ(before.policy.app_networks, after.policy.app_networks) << seed;
        ASSERT_FALSE(after.contested) << seed;
      }
      before = std::move(after);
    }
  }
  EXPECT_GT(moved_at_once, 1500) << "of 12,000 changes";
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

TEST(Inventory, OfANetworkOfTheLanIsSaidWhatAContainerInItGets) {
  constexpr const char* kLan = R"([
   {"Name": "wire", "Driver": "macvlan", "IPAM": {"Config": [{"Subnet": "203.0.113.0/24"},
                                                             {"Subnet": "2001:db8:7::/64"}]}},
   {"Name": "wire2", "Driver": "ipvlan", "IPAM": {"Config": [{"Subnet": "192.0.2.0/24"}]}},
   {"Name": "many", "Driver": "overlay", "IPAM": {"Config": [{"Subnet": "10.0.0.0/24"}]}}])";
  Inventory all = read_docker_networks(kLan).value();
  EXPECT_TRUE(all.networks.empty());
  EXPECT_EQ(all.lan.size(), 3u);
  all.containers = {container("four", {}, "203.0.113.9"), container("six", {}, "2001:db8:7::9"),
                    container("ip", {}, "192.0.2.9"), container("far", {}, "10.0.0.9")};
  std::ranges::sort(all.containers, {}, &Container::id);
  const Discovered found = discover(discovering(), all);
  const std::string said = texts(found.problems);
  for (const char* of : {"203.0.113.9 is in a macvlan network", "2001:db8:7::9 is in a macvlan",
                         "192.0.2.9 is in an ipvlan network"}) {
    EXPECT_NE(said.find(of), std::string::npos) << of << "\n" << said;
  }
  const std::string advice = "[apps] network";
  EXPECT_EQ(said.find(advice), said.rfind(advice)) << "of the one that is no LAN: " << said;
  EXPECT_NE(said.find("10.0.0.9 is outside the app networks"), std::string::npos) << said;
  EXPECT_EQ(read_inventory(to_text(all)).value().inventory, all) << "it is kept";
}

TEST(Inventory, IsKeptHoweverManyContainersHaveManyPorts) {
  Inventory all;
  for (int i = 0; i < 100; ++i) {
    Container one = container(fmt::format("c{:02}", i));
    for (std::uint16_t port = 1; port <= kEnginePortsMax; ++port)
      one.exposes.push_back({Protocol::tcp, port, port});
    one.publishes = one.exposes;
    all.containers.push_back(std::move(one));
  }
  EXPECT_EQ(read_inventory(to_text(all)).value().inventory, all);
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
