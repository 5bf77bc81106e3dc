// Apps in a real Docker engine: found, kept apart, and published only as the policy says.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/e2e/docker.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <fcntl.h>
#include <sys/file.h>

#include "tests/lab/daemon.hpp"
#include "tests/lab/family.hpp"
#include "tests/lab/nft.hpp"

namespace lab {
namespace {

const std::vector<std::string> kBothFamilies = {"--ipv6", "--fixed-cidr-v6 2001:db8:d0c::/64",
                                                "--experimental", "--ip6tables"};

class Docker : public testing::Test {
 protected:
  std::string discovering(const std::string& more = {}, const std::string& keys = {}) const {
    return "[apps]\ndiscover = \"docker\"\ndocker = \"" + engine.socket() + "\"\n" + keys + more;
  }
  std::string table() const {
    return must_run(net.host, {"nft", "list", "table", "inet", "cloudron"});
  }
  bool knows(const std::string& address) const {
    const std::string text = " " + table();
    for (const char* end : {" ", ",", "\n"}) {
      if (text.find(" " + address + end) != std::string::npos) return true;
    }
    return false;
  }
  Client from(Family family, unsigned n) const { return {net.outside, client(family, n)}; }

  Network net;
  Firewall fw{net.host};
  Dockerd engine{net.host, kBothFamilies};
};

constexpr Family kBoth[] = {Family::ipv4, Family::ipv6};

TEST_F(Docker, PublishedPortsAreClosedUnlessThePolicyOpensThem) {
  engine.serve("web", {80}, {"-p", "8080:80"});
  const auto outcome = [this](Family family) {
    return from(family, 1).tcp(host_address(family), 8080, 1s);
  };
  for (const Family family : kBoth) {
    EXPECT_TRUE(eventually([&] { return outcome(family) == Outcome::served; }))
        << "open without us, whatever the input chain says";
  }
  fw.apply(discovering());
  for (const Family family : kBoth) EXPECT_EQ(outcome(family), Outcome::timed_out);
  fw.apply(discovering("[[app]]\nname = \"web\"\npublishes = [8080]\n"));
  for (const Family family : kBoth) EXPECT_EQ(outcome(family), Outcome::served);

  fw.apply(discovering());
  must_run(net.host, {"sh", "-c", "iptables -F && iptables -t nat -F && ip6tables -F"});
  for (const Family family : kBoth) {
    EXPECT_NE(outcome(family), Outcome::served) << "only the engine's own proxy is left";
  }
  engine.end();
  engine.begin();
  engine.docker({"start", "web"});
  for (const Family family : kBoth) EXPECT_EQ(outcome(family), Outcome::timed_out);
}

TEST_F(Docker, LabelsOpenPortsOnlyWhereThePolicyLetsThem) {
  engine.serve("web", {80}, {"-p", "8080:80", "--label", "cloudron-fw.open=8080"});
  fw.policy(discovering());
  EXPECT_NE(fw.run({"apply"}).err.find("opens nothing"), std::string::npos);
  EXPECT_EQ(from(Family::ipv4, 1).tcp(host_address(Family::ipv4), 8080, 1s), Outcome::timed_out);
  fw.apply(discovering("", "labels_open = true\n"));
  for (const Family family : kBoth) {
    EXPECT_EQ(from(family, 1).tcp(host_address(family), 8080), Outcome::served);
  }
}

TEST_F(Docker, LabelsOfAnImageCountForNothing) {
  engine.serve("seed", {});
  engine.docker(
      {"commit", "--change", "LABEL cloudron-fw.app=wiki cloudron-fw.open=8080", "seed", "trojan"});
  engine.docker({"run", "-d", "--name", "stranger", "-p", "8080:80", "trojan", "sh", "-c",
                 "nc -ll -p 80 -e cat"});
  fw.policy(discovering("", "labels_open = true\n"));
  fw.must({"apply"});
  EXPECT_EQ(from(Family::ipv4, 1).tcp(host_address(Family::ipv4), 8080, 1s), Outcome::timed_out);
  EXPECT_EQ(table().find(".app.wiki."), std::string::npos);
  EXPECT_NE(table().find(".app.stranger."), std::string::npos);
}

TEST_F(Docker, AppsReachTheirAddonsAndNoOtherApp) {
  engine.docker({"network", "create", "--ipv6", "--subnet", "172.30.0.0/24", "--subnet",
                 "2001:db8:d1c::/64", "other"});
  engine.serve("one", {80, 3306}, {"--label", "cloudron-fw.addons=mysql"});
  engine.serve("two", {80});
  engine.serve("far", {80}, {"--network", "other"});
  engine.serve("db", {3306, 22}, {"--label", "cloudron-fw.addon=mysql", "--expose", "3306"});
  fw.apply(discovering());
  for (const Family family : kBoth) {
    const std::string one = engine.address("one", family);
    const std::string two = engine.address("two", family);
    const std::string db = engine.address("db", family);
    ASSERT_FALSE(one.empty() || two.empty() || db.empty());
    EXPECT_TRUE(eventually([&] { return engine.reaches("one", db, 3306); })) << db;
    EXPECT_FALSE(engine.reaches("one", db, 22)) << "not the addon's port";
    EXPECT_FALSE(engine.reaches("two", db, 3306)) << "not bound to it";
    EXPECT_FALSE(engine.reaches("one", two, 80));
    EXPECT_FALSE(engine.reaches("two", one, 80));
    EXPECT_FALSE(engine.reaches("one", engine.address("far", family), 80));
    EXPECT_FALSE(engine.reaches("far", one, 80));
    const Server outside(net.outside, {7000});
    EXPECT_TRUE(engine.reaches("one", to_string(gateway_address(family)), 7000)) << "the outside";
  }
}

class DockerLive : public Docker {
 protected:
  DockerLive() {
    fw.apply(discovering());
    daemon = std::make_unique<Daemon>(fw);
  }

  /// Soon: the device of a container is the outside's until Docker puts it into its bridge.
  void expect_verified() {
    EXPECT_TRUE(eventually([&] { return fw.run({"verify"}).exit == 0; }))
        << fw.run({"verify"}).out << daemon->process().err_so_far();
  }

  std::unique_ptr<Daemon> daemon;
};

TEST_F(DockerLive, ContainersAreInForceWithoutACommand) {
  engine.serve("first", {80});
  EXPECT_TRUE(eventually([&] { return knows(engine.address("first")); }));
  EXPECT_TRUE(knows(engine.address("first", Family::ipv6)));
  const std::string address = engine.address("first");
  engine.docker({"rename", "first", "renamed"});
  EXPECT_TRUE(eventually([&] { return table().find(".app.renamed.") != std::string::npos; }))
      << daemon->process().err_so_far();
  EXPECT_TRUE(knows(address));
  engine.docker({"kill", "renamed"});
  EXPECT_TRUE(eventually([&] { return !knows(address); }));
  expect_verified();
  EXPECT_EQ(daemon->repairs(), 0);
  EXPECT_NE(fw.must({"activity", "--what", "apps"}).out.find("containers changed"),
            std::string::npos);
}

TEST_F(DockerLive, AStrangersChangeBetweenTwoContainersIsNotTakenForOurs) {
  engine.serve("first", {80});
  ASSERT_TRUE(eventually([&] { return knows(engine.address("first")); }));
  // Whatever changes other tables is no reason to read ours; but the change of ours is undone.
  nft(net.host, "add table inet strangers");
  nft(net.host, "flush chain inet cloudron from_app");
  engine.serve("second", {80});
  EXPECT_TRUE(eventually(
      [&] { return knows(engine.address("second")) && knows(engine.address("first")); }));
  expect_verified();
}

TEST_F(DockerLive, AnAppKeepsItsBudgetAtANewAddress) {
  fw.apply(
      discovering("[[limit]]\nname = \"few\"\nports = [7777]\nfrom = \"apps\"\nper = \"app\"\n"
                  "rate = \"3/1h\"\n[[addon]]\nname = \"db\"\nports = [7777]\n"
                  "[[app]]\nname = \"web\"\naddons = [\"db\"]\n"));
  engine.serve("db", {7777});
  engine.serve("web", {});
  const std::string before = engine.address("web");
  ASSERT_TRUE(eventually([&] { return knows(before) && knows(engine.address("db")); }));
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(engine.reaches("web", engine.address("db"), 7777)) << i;
  EXPECT_FALSE(engine.reaches("web", engine.address("db"), 7777));
  engine.docker({"rm", "-f", "web"});
  engine.serve("squatter", {});  // takes the address
  engine.serve("web", {});
  const std::string after = engine.address("web");
  ASSERT_NE(after, before);
  ASSERT_TRUE(eventually([&] { return knows(after); }));
  EXPECT_FALSE(engine.reaches("web", engine.address("db"), 7777)) << "its hour is not over";
}

TEST_F(DockerLive, WhatComesWhileTheStateIsLockedIsTakenInBehindIt) {
  {
    const Fd lock(::open((fw.state_dir() + "/lock").c_str(), O_RDWR | O_CLOEXEC));
    ASSERT_EQ(::flock(lock.get(), LOCK_EX), 0);
    nft(net.host, "flush chain inet cloudron from_app");
    engine.serve("first", {80});
    EXPECT_TRUE(eventually(
        [&] {
          const std::string said = daemon->process().err_so_far();
          return said.find("cannot update the apps") != std::string::npos &&
                 said.find("cannot check the firewall") != std::string::npos;
        },
        30s))
        << daemon->process().err_so_far();
    EXPECT_FALSE(knows(engine.address("first")));
  }
  EXPECT_TRUE(eventually([&] { return knows(engine.address("first")); }));
  expect_verified();
}

TEST_F(DockerLive, WithoutTheEngineTheLastAppsStayInForce) {
  engine.serve("web", {80});
  const std::string address = engine.address("web");
  ASSERT_TRUE(eventually([&] { return knows(address); }));
  engine.kill();
  EXPECT_TRUE(eventually([&] {
    return fw.run({"status"}).err.find("stay in force") != std::string::npos;
  })) << to_string(fw.run({"status"}));
  const Output applied = fw.run({"apply"});
  EXPECT_NE(applied.err.find("stay in force"), std::string::npos) << to_string(applied);
  EXPECT_TRUE(knows(address));
  engine.begin();
  engine.docker({"start", "web"});
  EXPECT_TRUE(eventually(
      [&] { return fw.run({"status"}).err.find("stay in force") == std::string::npos; }));
  EXPECT_TRUE(eventually([&] { return knows(engine.address("web")); }));
}

}  // namespace
}  // namespace lab
