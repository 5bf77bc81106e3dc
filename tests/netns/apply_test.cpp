// Applying for the first time and again: what is open goes on, what was counted stays counted.
// SPDX-License-Identifier: GPL-2.0-or-later
#include <atomic>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

#include "tests/lab/apps.hpp"
#include "tests/lab/family.hpp"

namespace lab {
namespace {

enum class Conntrack { idle, active };

/// Connections from before the firewall, with and without connection tracking by somebody else.
class Existing : public testing::TestWithParam<std::tuple<Family, Conntrack>> {
 protected:
  Existing() {
    if (tracked()) track_connections(net.host);
  }
  Family family() const { return std::get<0>(GetParam()); }
  bool tracked() const { return std::get<1>(GetParam()) == Conntrack::active; }
  Ip host() const { return host_address(family()); }
  Client from(unsigned n) const { return {net.outside, client(family(), n)}; }

  Network net;
  Firewall fw{net.host};
};
std::string existing_name(const testing::TestParamInfo<std::tuple<Family, Conntrack>>& info) {
  const auto [family, conntrack] = info.param;
  return std::string(family == Family::ipv4 ? "IPv4" : "IPv6") +
         (conntrack == Conntrack::idle ? "" : "_tracked");
}
INSTANTIATE_TEST_SUITE_P(, Existing,
                         testing::Combine(testing::Values(Family::ipv4, Family::ipv6),
                                          testing::Values(Conntrack::idle, Conntrack::active)),
                         existing_name);

TEST_P(Existing, ConnectionsGoOnUncounted) {
  const Server server(net.host, {22, 443, 8080});
  const Server peer(net.outside, {8080});
  std::vector<Session> sessions;
  for (int i = 0; i < 4; ++i) sessions.push_back(from(1).session(host(), 22));
  sessions.push_back(from(1).session(host(), 443));
  sessions.push_back(from(1).session(host(), 8080));  // to be closed
  sessions.push_back(Client(net.host, host()).session(gateway_address(family()), 8080));
  for (Session& session : sessions) ASSERT_TRUE(session.echoes());
  fw.apply();
  for (int round = 0; round < 2; ++round) {
    for (std::size_t i = 0; i < sessions.size(); ++i) {
      EXPECT_TRUE(sessions[i].echoes(3s, 50'000)) << "connection " << i << ", round " << round;
    }
  }
  EXPECT_EQ(counter(net.host, "ssh.accepted"), 0u);
  EXPECT_EQ(counter(net.host, "web.accepted"), 0u);
  EXPECT_EQ(served(from(1).tries(host(), {22}, {8, {}, 700ms})), 5u) << "all slots were free";
  EXPECT_EQ(from(1).tcp(host(), 8080, kShort), Outcome::timed_out) << "new ones are not let in";
}

TEST_P(Existing, TransfersUnderWayAreNotDisturbed) {
  const Server server(net.host, {8080});
  Session session = from(1).session(host(), 8080);
  ASSERT_TRUE(session.echoes());
  std::atomic<bool> stop{false};
  std::size_t rounds = 0;
  bool broken = false;
  std::thread transfer([&] {
    while (!stop && !broken) {
      broken = !session.echoes(3s, 100'000);
      ++rounds;
    }
  });
  std::this_thread::sleep_for(50ms);
  fw.apply();
  std::this_thread::sleep_for(100ms);
  fw.apply("[ports]\ntcp = [22, 9999]\n");
  std::this_thread::sleep_for(100ms);
  stop = true;
  transfer.join();
  EXPECT_FALSE(broken) << "after " << rounds << " rounds";
}

TEST_P(Existing, ConnectionsOutliveAResetAndTheNextApply) {
  const Server server(net.host, {22, 8080});
  fw.apply("[ports]\ntcp = [22, 8080]\n");
  Session ssh = from(1).session(host(), 22);
  Session other = from(1).session(host(), 8080);
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(ssh.echoes(3s, 50'000));
    ASSERT_TRUE(other.echoes(3s, 50'000));
    fw.must({"reset", "--yes"});
    // Without tracking, much passes that the tracker does not see.
    for (int k = 0; k < 10; ++k) ASSERT_TRUE(other.echoes(3s, 500'000));
    fw.apply("");
  }
  EXPECT_TRUE(ssh.echoes(3s, 50'000));
  EXPECT_TRUE(other.echoes(3s, 50'000));
}

/// What only connection tracking knows of.
class Forwarded : public OverFamily {};
BOTH_FAMILIES(Forwarded);

TEST_P(Forwarded, UdpFlowsWithAnAnswerGoOn) {
  track_connections(net.host);
  const Server server(net.host, {}, {5000});
  RawLink link(net);
  const Packet packet{stranger(family(), 1), host(), kUdp, 5555, 5000};
  link.send({packet});
  ASSERT_TRUE(eventually([&] { return server.received(5000) == 1; }));
  fw.apply();
  link.send({packet, packet});
  EXPECT_TRUE(eventually([&] { return server.received(5000) == 3; }));
  EXPECT_EQ(from(1).udp(host(), 5000, kShort), Outcome::timed_out);
}

TEST_P(Forwarded, ConnectionsToAppsAndOfAppsGoOn) {
  AppBridge bridge(net);
  App& wiki = bridge.add(2);
  const Server app_server(wiki.inside, {8080});
  const Server outside_server(net.outside, {8080});
  ip_commands(net.outside, "route add 2001:db8:172::/64 via 2001:db8:ffff::1\n");
  bridge.publish(29'418, wiki, 8080);
  Session in = from(1).session(host(), 29'418);
  Session out =
      Client(wiki.inside, wiki.address(family())).session(gateway_address(family()), 8080);
  ASSERT_TRUE(in.echoes());
  ASSERT_TRUE(out.echoes());
  fw.apply(apps_toml() + app_toml("wiki", wiki));
  EXPECT_TRUE(in.echoes()) << "though the port is closed now";
  EXPECT_TRUE(out.echoes());
  EXPECT_EQ(from(1).tcp(host(), 29'418, kShort), Outcome::timed_out);
}

TEST_P(Forwarded, ConnectionsOfAppsToAddonsGoOn) {
  AppBridge bridge(net);
  App& wiki = bridge.add(2);
  App& mysql = bridge.add(10);
  const Server addon_server(mysql.inside, {3306});
  const Client app(wiki.inside, wiki.address(family()));
  Session untracked = app.session(mysql.address(family()), 3306);
  ASSERT_TRUE(untracked.echoes());
  net.host.in([] {  // as on a host where Docker or Kubernetes asked for it
    for (const char* name : {"bridge-nf-call-iptables", "bridge-nf-call-ip6tables"}) {
      write_file(std::string("/proc/sys/net/bridge/") + name, "1");
    }
  });
  Session tracked = app.session(mysql.address(family()), 3306);
  ASSERT_TRUE(tracked.echoes());
  fw.apply(apps_toml() + app_toml("wiki", wiki) + addon_toml("mysql", mysql, {3306}));
  EXPECT_TRUE(tracked.echoes());
  EXPECT_TRUE(untracked.echoes()) << "made before bridged packets were tracked";
}

class Again : public OverFamily {
 protected:
  std::size_t admitted(std::uint16_t port, std::size_t count = 9) const {
    return served(from(1).tries(host(), {port}, {count, {}, 700ms}));
  }
  Server server{net.host, {22, 80, 2000, 2001}};
};
BOTH_FAMILIES(Again);

TEST_P(Again, AnAttackerGainsNothingFromReapplies) {
  fw.apply();
  const auto begin = Clock::now();
  EXPECT_EQ(admitted(22), 5u);
  std::size_t more = 0;
  for (int i = 0; i < 5; ++i) {
    fw.apply(i % 2 == 0 ? "[ports]\ntcp = [22, 80, 2000]\n[mail]\nenabled = true\n"
                        : "[ports]\ntcp = [22, 80]\n[advanced]\nnflog_group = 5\n");
    more += served(from(1).tries(host(), {22}, {3, {}, 200ms}));
  }
  EXPECT_TRUE(more == 0 || passed(begin, 10s)) << more;
  EXPECT_GE(counter(net.host, "ssh.accepted"), 5u) << "counters are kept";
  EXPECT_TRUE(eventually([&] { return from(1).tcp(host(), 22, 200ms) == Outcome::served; }));
  EXPECT_GE(Clock::now() - begin, 10s);
}

TEST_P(Again, ConnectionsThatAreOpenGoOn) {
  fw.apply();
  Session session = from(1).session(host(), 22);
  ASSERT_TRUE(session.echoes());
  for (const char* policy : {"[mail]\nenabled = true\n", "[ports]\ntcp = [22, 8080]\n",
                             "[advanced]\nct_label_bit = 27\n", ""}) {
    fw.apply(policy);
    EXPECT_TRUE(session.echoes()) << policy;
  }
  EXPECT_EQ(admitted(22), 4u) << "it was counted once";
}

TEST_P(Again, AChangedLimitStartsAfreshAlone) {
  const std::string ports = "[ports]\ntcp = [22, 2000, 2001]\n";
  const auto limits = [&](const char* first, const char* second) {
    return ports + limit_toml("first", "2000", "outside", "ip", first) +
           limit_toml("second", "2001", "outside", "ip", second);
  };
  for (const auto& [window, longer, size] :
       {std::tuple{"2/1h", "3/1h", 3u}, std::tuple{"20/1h", "21/1h", 21u}}) {
    fw.must({"reset", "--yes"});
    fw.apply(limits(window, window));
    EXPECT_EQ(admitted(2000, 30), size - 1);
    EXPECT_EQ(admitted(2001, 30), size - 1);
    fw.apply(limits(window, longer));
    EXPECT_EQ(admitted(2000, 30), 0u) << "unchanged";
    EXPECT_EQ(admitted(2001, 30), size) << "changed";
    fw.apply(ports + limit_toml("first", "2000", "outside", "ip", window));
    EXPECT_EQ(admitted(2000, 30), 0u) << "unchanged, the other is gone";
    EXPECT_EQ(admitted(2001, 30), 30u);
  }
}

TEST_P(Again, TheBudgetOfAnAppStaysSpent) {
  AppBridge bridge(net);
  App& wiki = bridge.add(2);
  App& chat = bridge.add(3);
  const Client app(wiki.inside, wiki.address(family()));
  const auto policy = [&](const char* rate, const std::string& more = {}) {
    return "[ports]\ntcp = [22, 2000]\n" + apps_toml() + app_toml("wiki", wiki) + more +
           limit_toml("calls", "2000", "apps", "app", rate);
  };
  const auto admitted_of_app = [&] {
    return served(app.tries(bridge_address(family()), {2000}, {30, {}, 700ms}));
  };
  for (const auto& [rate, changed, size] :
       {std::tuple{"4/1h", "5/1h", 5u}, std::tuple{"20/1h", "21/1h", 21u}}) {
    fw.must({"reset", "--yes"});
    fw.apply(policy(rate));
    EXPECT_EQ(admitted_of_app(), size - 1);
    fw.apply(policy(rate, app_toml("chat", chat)));
    EXPECT_EQ(admitted_of_app(), 0u) << "another app was added";
    fw.apply(policy(rate));
    EXPECT_EQ(admitted_of_app(), 0u) << "and removed";
    fw.apply(policy(changed));
    EXPECT_EQ(admitted_of_app(), size) << "its own limit was changed";
  }
}

TEST_P(Again, WithNothingToDoNothingIsTouched) {
  EXPECT_NE(fw.apply("[mail]\nenabled = true\n").out.find("in force"), std::string::npos);
  const std::string before = listing(net.host);
  EXPECT_NE(fw.apply().out.find("nothing to do"), std::string::npos);
  EXPECT_EQ(listing(net.host), before);
}

TEST_P(Again, WhatTheKernelHoldsIsKnownAfterEachApply) {
  const auto note = [this] { return read_file(fw.state_dir() + "/observed"); };
  for (const char* const policy : {"", "[mail]\nenabled = true\n"}) {
    fw.apply(policy);
    const std::string known = note();
    EXPECT_NE(fw.apply().out.find("nothing to do"), std::string::npos);
    EXPECT_EQ(note(), known) << "the kernel was read, and was at another generation";
  }
  nft(net.host, "add table inet other");
  const std::string before = note();
  EXPECT_NE(fw.apply().out.find("nothing to do"), std::string::npos);
  EXPECT_NE(note(), before) << "a change by others was not noticed";
}

TEST_P(Again, ADryRunChangesNothing) {
  EXPECT_NE(fw.must({"apply", "--dry-run"}).out.find("dry run"), std::string::npos);
  EXPECT_EQ(listing(net.host), "");
  fw.apply();
  const std::string before = listing(net.host);
  fw.policy("[ports]\ntcp = [22, 8080]\n");
  const Output output = fw.must({"apply", "--dry-run"});
  EXPECT_NE(output.out.find("8080"), std::string::npos) << output.out;
  EXPECT_EQ(listing(net.host), before);
}

TEST_P(Again, AResetRemovesExactlyOurTable) {
  track_connections(net.host);
  const std::string before = listing(net.host);
  fw.apply();
  EXPECT_NE(listing(net.host), before);
  EXPECT_EQ(fw.run({"reset"}).exit, 1) << "it asks first";
  EXPECT_NE(listing(net.host), before);
  fw.must({"reset", "--yes"});
  EXPECT_EQ(listing(net.host), before);
  EXPECT_NE(fw.must({"reset", "--yes"}).out.find("nothing to do"), std::string::npos);
}

}  // namespace
}  // namespace lab
