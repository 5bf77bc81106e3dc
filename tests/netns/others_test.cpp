// What belongs to others: the admin's rules in our table (B2), and everybody else's tables.
// SPDX-License-Identifier: GPL-2.0-or-later
#include <sstream>

#include "tests/lab/apps.hpp"
#include "tests/lab/family.hpp"

namespace lab {
namespace {

class Admin : public OverFamily {
 protected:
  std::string chains() const {
    std::string out;
    for (const char* name : {"CLOUDRON_BEFORE", "CLOUDRON_AFTER", "CLOUDRON_FORWARD_BEFORE",
                             "CLOUDRON_FORWARD_AFTER", "admin_chain"}) {
      out += listing(net.host, std::string("chain inet cloudron ") + name);
    }
    return out + listing(net.host, "set inet cloudron admin_friends") +
           listing(net.host, "counter inet cloudron admin_seen");
  }
  void add_rules() const {
    const std::string saddr = family() == Family::ipv4 ? "ip saddr" : "ip6 saddr";
    const std::string type = family() == Family::ipv4 ? "ipv4_addr" : "ipv6_addr";
    const std::string friends = to_string(client(family(), 1));
    nft(net.host,
        "add set inet cloudron admin_friends { type " + type + "; elements = { " + friends +
            " }; }\n" + "add counter inet cloudron admin_seen\n" +
            "add chain inet cloudron admin_chain\n" +
            "add rule inet cloudron admin_chain tcp dport 9102 accept\n" +
            "add rule inet cloudron CLOUDRON_BEFORE " + saddr +
            " @admin_friends tcp dport 9100 accept\n" + "add rule inet cloudron CLOUDRON_BEFORE " +
            saddr + " @admin_friends jump admin_chain\n" +
            "add rule inet cloudron CLOUDRON_BEFORE tcp dport 9101 counter name admin_seen drop\n" +
            "add rule inet cloudron CLOUDRON_AFTER tcp dport 9103 accept\n" +
            "add rule inet cloudron CLOUDRON_FORWARD_BEFORE tcp dport 9104 drop\n" +
            "add rule inet cloudron CLOUDRON_FORWARD_AFTER tcp dport 9105 accept\n");
  }

  Server server{net.host, {80, 9100, 9101, 9102, 9103}};
};
BOTH_FAMILIES(Admin);

TEST_P(Admin, RulesBeforeAndAfterWork) {
  fw.apply("[ports]\ntcp = [22, 80, 9101]\n");
  EXPECT_EQ(from(1).tcp(host(), 9100, kShort), Outcome::timed_out);
  add_rules();
  EXPECT_EQ(from(1).tcp(host(), 9100), Outcome::served);
  EXPECT_EQ(from(2).tcp(host(), 9100, kShort), Outcome::timed_out);
  EXPECT_EQ(from(1).tcp(host(), 9102), Outcome::served);
  EXPECT_EQ(from(2).tcp(host(), 9103), Outcome::served);
  EXPECT_EQ(from(2).tcp(host(), 9101, kShort), Outcome::timed_out) << "before an open port";
}

TEST_P(Admin, ChainsAndSetsOutliveAppliesOfChangedPolicies) {
  fw.apply();
  add_rules();
  EXPECT_NE(fw.must({"plan"}).out.find("nothing to do"), std::string::npos);
  const std::string before = chains();
  for (const char* policy : {"[mail]\nenabled = true\n",
                             "[ports]\ntcp = [22, \"9000-9005\"]\n[advanced]\nnflog_group = 3\n",
                             "[apps]\nnetwork = []\n"}) {
    fw.apply(policy);
    EXPECT_EQ(chains(), before) << policy;
    EXPECT_EQ(fw.run({"plan"}).exit, 0);
  }
  fw.must({"block", to_string(client(family(), 9))});
  EXPECT_EQ(chains(), before);
  EXPECT_EQ(from(1).tcp(host(), 9100), Outcome::served);
  EXPECT_EQ(from(2).tcp(host(), 9103), Outcome::served);
}

TEST_P(Admin, RulesForAppsWork) {
  AppBridge bridge(net);
  App& wiki = bridge.add(2);
  const Server app_server(wiki.inside, {9104, 9105});
  bridge.publish(9104, wiki, 9104);
  bridge.publish(9105, wiki, 9105);
  fw.apply(apps_toml() + app_toml("wiki", wiki, "publishes = [9104]"));
  EXPECT_EQ(from(1).tcp(host(), 9104), Outcome::served);
  EXPECT_EQ(from(1).tcp(host(), 9105, kShort), Outcome::timed_out);
  add_rules();
  EXPECT_EQ(from(1).tcp(host(), 9104, kShort), Outcome::timed_out);
  EXPECT_EQ(from(1).tcp(host(), 9105), Outcome::served);
}

/// What Docker and an admin have in the kernel.
class Foreign : public testing::Test {
 protected:
  Foreign() {
    for (const char* restore : {"iptables-nft-restore", "ip6tables-nft-restore"}) {
      must_run(net.host, {restore}, kDockers);
    }
    nft(net.host, kAdmins);
  }

  /// Everything but our table, with handles, in order.
  std::string others() const {
    std::istringstream lines(listing(net.host));
    std::string out;
    bool ours = false;
    for (std::string line; std::getline(lines, line);) {
      if (line.starts_with("table ")) ours = line.starts_with("table inet cloudron ");
      if (!ours) out += line + "\n";
    }
    return out;
  }

  static constexpr const char* kDockers = R"(*nat
:PREROUTING ACCEPT [0:0]
:INPUT ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
:DOCKER - [0:0]
-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
-A POSTROUTING -p tcp -m tcp --dport 8080 -j MASQUERADE
-A DOCKER -i docker0 -j RETURN
-A DOCKER ! -i docker0 -p tcp -m tcp --dport 29418 -j REDIRECT --to-ports 8080
COMMIT
*filter
:INPUT ACCEPT [0:0]
:FORWARD DROP [0:0]
:OUTPUT ACCEPT [0:0]
:DOCKER - [0:0]
:DOCKER-ISOLATION-STAGE-1 - [0:0]
:DOCKER-USER - [0:0]
-A FORWARD -j DOCKER-USER
-A FORWARD -j DOCKER-ISOLATION-STAGE-1
-A FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A FORWARD -o docker0 -j DOCKER
-A FORWARD -i docker0 ! -o docker0 -j ACCEPT
-A DOCKER ! -i docker0 -o docker0 -p tcp -m tcp --dport 8080 -j ACCEPT
-A DOCKER-ISOLATION-STAGE-1 -j RETURN
-A DOCKER-USER -j RETURN
COMMIT
)";
  static constexpr const char* kAdmins = R"(
table inet filter {
  set friends {
    type ipv4_addr
    flags interval, timeout
    elements = { 192.0.2.0/24 timeout 1d, 198.51.100.7 }
  }
  counter seen { packets 7 bytes 700 }
  chain input {
    type filter hook input priority filter; policy accept;
    ip saddr @friends counter name seen accept comment "mine"
    ct state established,related accept
  }
}
table ip cloudron {
  chain input { type filter hook input priority 5; policy accept; tcp dport 1 drop; }
}
table netdev mine {
  chain ingress { type filter hook ingress device "eth0" priority 0; policy accept; }
}
)";

  Network net;
  Firewall fw{net.host};
};

TEST_F(Foreign, TablesAreByteForByteTheSameAfterEveryCommand) {
  // Timers run; all else stands still.
  const auto still = [this] {
    std::string text = others();
    for (auto at = text.find(" expires "); at != std::string::npos; at = text.find(" expires ")) {
      text.erase(at, text.find_first_of(",}", at) - at);
    }
    return text;
  };
  const std::string before = still();
  ASSERT_NE(before.find("DOCKER-ISOLATION-STAGE-1"), std::string::npos);
  const auto expect_same = [&](const char* after) { EXPECT_EQ(still(), before) << after; };
  fw.apply();
  expect_same("apply");
  fw.apply(
      "[mail]\nenabled = true\n[apps]\nnetwork = [\"172.17.0.0/16\"]\n[[app]]\nname = \"a\"\n"
      "addresses = [\"172.17.0.2\"]\npublishes = [29418]\n");
  expect_same("a changed policy");
  fw.must({"block", "192.0.2.1", "2001:db8::/48", "--for", "1h"});
  expect_same("block");
  fw.must({"unblock", "192.0.2.1"});
  expect_same("unblock");
  fw.must({"status"});
  fw.must({"plan"});
  expect_same("status and plan");
  fw.must({"apply", "--boot"});
  fw.must({"reset", "--yes"});
  expect_same("reset");
  EXPECT_EQ(listing(net.host).find("table inet cloudron "), std::string::npos);
}

TEST_F(Foreign, OtherTablesAreNoPartOfThePlan) {
  fw.apply();
  nft(net.host, "add rule inet filter input tcp dport 2 drop\n");
  EXPECT_EQ(fw.run({"plan"}).exit, 0);
}

}  // namespace
}  // namespace lab
