// Budgets of apps: one for all addresses of a named app, one for each address otherwise.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/lab/apps.hpp"

#include <algorithm>
#include <thread>

#include "tests/lab/family.hpp"

namespace lab {
namespace {

class Apps : public testing::Test {
 protected:
  Apps() {
    for (const App* app : {&wiki, &chat, &unnamed}) keep_quiet(app->inside);
  }

  /// All that names the two apps and the addon, with a limit for what apps may do there.
  std::string policy(const std::string& rate) const {
    return "[ports]\ntcp = [22, 2000]\n" + apps_toml() + app_toml("wiki", wiki) +
           app_toml("chat", chat) + addon_toml("db", addon, {3000}) +
           limit_toml("calls", "3000, 2000", "apps", "app", rate);
  }
  static Handshakes start(RawLink& link, const App& from, Ip to, std::uint16_t port,
                          std::size_t count) {
    return Handshakes(link, from.address(to.family), to, {port}, count);
  }

  Network net;
  Firewall fw{net.host};
  AppBridge bridge{net};
  App& wiki = bridge.add(2);
  App& chat = bridge.add(3);
  App& unnamed = bridge.add(4);
  App& addon = bridge.add(10);
  Server server{addon.inside, {3000}};
  Server host_server{net.host, {2000}};
};

TEST_F(Apps, BothAddressesOfAnAppShareOneBudget) {
  fw.apply(policy("50/1d"));
  RawLink link(wiki.inside, wiki.mac, addon.mac);
  Handshakes v4 = start(link, wiki, addon.address(Family::ipv4), 3000, 40);
  Handshakes v6 = start(link, wiki, addon.address(Family::ipv6), 3000, 40);
  EXPECT_EQ(finish({&v4, &v6}, net.host, "calls").admitted, 50u);
}

TEST_F(Apps, TwoAppsDoNotShareABudget) {
  fw.apply(policy("50/1d"));
  for (const App* app : {&wiki, &chat}) {
    RawLink link(app->inside, app->mac, addon.mac);
    Handshakes calls = start(link, *app, addon.address(Family::ipv4), 3000, 60);
    EXPECT_EQ(finish({&calls}, net.host, "calls").admitted, 50u) << app->number;
  }
}

TEST_F(Apps, OnePortsBudgetIsTheOthersToo) {
  fw.apply(policy("50/1d"));
  RawLink to_addon(wiki.inside, wiki.mac, addon.mac);
  RawLink to_host(wiki.inside, wiki.mac, kBridgeMac);
  Handshakes one = start(to_addon, wiki, addon.address(Family::ipv4), 3000, 40);
  EXPECT_EQ(finish({&one}, net.host, "calls").admitted, 40u);
  Handshakes two = start(to_host, wiki, bridge_address(Family::ipv6), 2000, 40);
  EXPECT_EQ(finish({&two}, net.host, "calls").admitted, 10u);
}

TEST_F(Apps, AnUnnamedAddressHasABudgetOfItsOwn) {
  fw.apply(policy("50/1d"));
  RawLink named(wiki.inside, wiki.mac, kBridgeMac);
  Handshakes wikis = start(named, wiki, bridge_address(Family::ipv4), 2000, 60);
  EXPECT_EQ(finish({&wikis}, net.host, "calls").admitted, 50u);
  RawLink link(unnamed.inside, unnamed.mac, kBridgeMac);
  for (const Family family : {Family::ipv4, Family::ipv6}) {
    Handshakes calls = start(link, unnamed, bridge_address(family), 2000, 60);
    EXPECT_EQ(finish({&calls}, net.host, "calls").admitted, 50u);
  }
}

TEST_F(Apps, WithoutAnyAppNamedEveryAddressHasItsBudget) {
  fw.apply("[ports]\ntcp = [22, 2000]\n" + apps_toml() +
           limit_toml("calls", "3000, 2000", "apps", "app", "50/1d"));
  for (const App* app : {&wiki, &chat}) {
    RawLink link(app->inside, app->mac, kBridgeMac);
    Handshakes calls = start(link, *app, bridge_address(Family::ipv6), 2000, 60);
    EXPECT_EQ(finish({&calls}, net.host, "calls").admitted, 50u) << app->number;
  }
}

TEST_F(Apps, OthersAreNotCountedByTheLimitsOfApps) {
  fw.apply(policy("50/1d"));
  const Client outside(net.outside, client(Family::ipv4, 1));
  EXPECT_EQ(served(outside.tries(host_address(Family::ipv4), {2000}, {70})), 70u);
  EXPECT_EQ(counter(net.host, "calls.accepted"), 0u);
}

TEST_F(Apps, ASmallCountIsAnExactWindowForTheAppAsAWhole) {
  fw.apply(policy("5/10s"));
  std::vector<Try> tries;
  std::thread second([&] {
    tries = Client(wiki.inside, wiki.address(Family::ipv6))
                .tries(addon.address(Family::ipv6), {3000}, {345, 66ms, 300ms});
  });
  const auto v4 = Client(wiki.inside, wiki.address(Family::ipv4))
                      .tries(addon.address(Family::ipv4), {3000}, {345, 66ms, 300ms});
  second.join();
  tries.insert(tries.end(), v4.begin(), v4.end());
  EXPECT_EQ(most_in(10s, tries), 5u);
  EXPECT_GE(served(tries), 15u) << "5 at 0 s, 5 at 10 s, 5 at 20 s";
  EXPECT_EQ(Client(chat.inside, chat.address(Family::ipv4)).tcp(addon.address(Family::ipv4), 3000),
            Outcome::served)
      << "another app is not meant";
}

TEST_F(Apps, AWindowOfAnUnnamedAddressIsExactToo) {
  fw.apply(policy("5/10s"));
  for (const Family family : {Family::ipv4, Family::ipv6}) {
    const Client app(unnamed.inside, unnamed.address(family));
    EXPECT_EQ(served(app.tries(bridge_address(family), {2000}, {12, {}, 700ms})), 5u);
  }
}

TEST_F(Apps, AnAppThatKeepsItsWindowIsNeverRefused) {
  fw.apply(policy("3/2s"));
  const Client app(wiki.inside, wiki.address(Family::ipv4));
  for (int i = 0; i < 15; ++i) {
    EXPECT_EQ(app.tcp(addon.address(Family::ipv4), 3000), Outcome::served) << i;
    std::this_thread::sleep_for(
        680ms);  // from the end of one: four never fit into 2 s, however slow
  }
}

}  // namespace
}  // namespace lab
