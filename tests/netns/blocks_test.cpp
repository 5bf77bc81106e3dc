// Blocks by the admin (B1): at once, for open connections too, until their latest end, kept.
// SPDX-License-Identifier: GPL-2.0-or-later
#include <thread>

#include <boost/json.hpp>

#include "tests/lab/apps.hpp"
#include "tests/lab/family.hpp"

namespace lab {
namespace {

namespace json = boost::json;

class Blocks : public OverFamily {
 protected:
  Blocks() { fw.apply("[ports]\ntcp = [22, 80]\nudp = [5000]\n"); }

  bool v4() const { return family() == Family::ipv4; }
  std::string address(unsigned n) const { return to_string(client(family(), n)); }
  /// Clients 0x100 to 0x1ff.
  std::string network() const { return v4() ? "198.18.1.0/24" : "2001:db8:18:100::/56"; }
  bool blocked(unsigned n) const { return from(n).tcp(host(), 80, kShort) == Outcome::timed_out; }
  void expect_exit(int code, const std::vector<std::string>& words,
                   const std::string& says = {}) const {
    const Output output = fw.run(words);
    EXPECT_EQ(output.exit, code) << to_string(output);
    EXPECT_NE((output.out + output.err).find(says), std::string::npos) << to_string(output);
  }

  /// What connection tracking still knows of a client's flows.
  std::string tracked(unsigned n) const {
    return must_run(net.host, {"conntrack", "-L", "-f", v4() ? "ipv4" : "ipv6", "-s", address(n)});
  }

  Server server{net.host, {22, 80}, {5000}};
};
BOTH_FAMILIES(Blocks);

TEST_P(Blocks, AnAddressIsCutOffAtOnceAndComesBack) {
  Session theirs = from(1).session(host(), 80);
  Session others = from(2).session(host(), 80);
  ASSERT_TRUE(theirs.echoes());
  ASSERT_TRUE(others.echoes());
  fw.must({"block", address(1), "--reason", "guessing passwords"});
  EXPECT_FALSE(theirs.echoes(kShort)) << "open connections are cut";
  EXPECT_EQ(tracked(1), "") << "and nothing is left of them";
  EXPECT_NE(tracked(2), "");
  EXPECT_TRUE(blocked(1));
  EXPECT_EQ(from(1).udp(host(), 5000, kShort), Outcome::timed_out);
  EXPECT_TRUE(others.echoes());
  EXPECT_FALSE(blocked(2));
  fw.must({"unblock", address(1)});
  EXPECT_FALSE(blocked(1));
  EXPECT_EQ(from(1).udp(host(), 5000), Outcome::served);
}

TEST_P(Blocks, ANetworkIsCutOffAtOnceAndComesBack) {
  Session theirs = from(0x142).session(host(), 80);
  Session others = from(0x242).session(host(), 80);
  ASSERT_TRUE(theirs.echoes());
  ASSERT_TRUE(others.echoes());
  fw.must({"block", network()});
  EXPECT_FALSE(theirs.echoes(kShort)) << "open connections are cut";
  EXPECT_TRUE(blocked(0x100));
  EXPECT_TRUE(blocked(0x1ff));
  EXPECT_FALSE(blocked(0xff));
  EXPECT_FALSE(blocked(0x200));
  EXPECT_TRUE(others.echoes());
  fw.must({"unblock", network()});
  EXPECT_FALSE(blocked(0x100));
}

TEST_P(Blocks, ARangeIsBlockedFromItsFirstToItsLast) {
  fw.must({"block", address(10) + "-" + address(13)});
  EXPECT_FALSE(blocked(9));
  EXPECT_TRUE(blocked(10));
  EXPECT_TRUE(blocked(13));
  EXPECT_FALSE(blocked(14));
}

TEST_P(Blocks, AnOpenUdpFlowIsCutToo) {
  RawLink link(net);
  const Packet packet{stranger(family(), 1), host(), kUdp, 5555, 5000};
  link.send({packet, packet, packet});
  ASSERT_TRUE(eventually([&] { return server.received(5000) == 3; }));
  fw.must({"block", to_string(stranger(family(), 1))});
  link.send({packet, packet, packet});
  EXPECT_FALSE(eventually([&] { return server.received(5000) > 3; }, 200ms));
}

TEST_P(Blocks, ABlockEndsWhenItsTimeIsOver) {
  const auto begin = Clock::now();
  fw.must({"block", address(1), network(), "--for", "2s"});
  EXPECT_TRUE(blocked(1) || passed(begin, 2s));
  EXPECT_TRUE(blocked(0x101) || passed(begin, 2s));
  EXPECT_TRUE(eventually([&] { return !blocked(1) && !blocked(0x101); }));
  EXPECT_TRUE(passed(begin, 2s));
  EXPECT_TRUE(fw.json({"blocks"}).at("blocks").as_array().empty());
}

TEST_P(Blocks, AnAddressInABlockedNetworkIsBlockedUntilTheLatestEnd) {
  fw.must({"block", network()});
  fw.must({"block", address(0x101), "--for", "1s"});
  fw.must({"block", address(0x301)});
  const auto begin = Clock::now();
  fw.must({"block", v4() ? "198.18.3.0/24" : "2001:db8:18:300::/56", "--for", "1s"});
  EXPECT_TRUE(blocked(0x302) || passed(begin, 1s));
  EXPECT_TRUE(eventually([&] { return !blocked(0x302); })) << "of the network that ended";
  EXPECT_TRUE(blocked(0x101)) << "the network goes on";
  EXPECT_TRUE(blocked(0x301)) << "the address goes on";
}

TEST_P(Blocks, NetworksInNetworksAreBlockedUntilTheLatestEnd) {
  fw.must({"block", v4() ? "198.18.1.0/25" : "2001:db8:18:100::/57"});
  const auto begin = Clock::now();
  fw.must({"block", network(), "--for", "1s"});
  EXPECT_TRUE(blocked(0x1f0) || passed(begin, 1s));
  EXPECT_TRUE(eventually([&] { return !blocked(0x1f0); }));
  EXPECT_TRUE(blocked(0x110)) << "the smaller network goes on";
}

TEST_P(Blocks, ALongerBlockExtendsAShorterOne) {
  fw.must({"block", address(1), network(), "--for", "1s"});
  fw.must({"block", address(1), network(), "--for", "1h"});
  std::this_thread::sleep_for(1200ms);
  EXPECT_TRUE(blocked(1));
  EXPECT_TRUE(blocked(0x101));
}

TEST_P(Blocks, AShorterBlockDoesNotEndALongerOne) {
  fw.must({"block", address(1), network(), "--for", "1h"});
  expect_exit(0, {"block", address(1), network(), "--for", "1s"}, "stays blocked, which is longer");
  std::this_thread::sleep_for(1200ms);
  EXPECT_TRUE(blocked(1));
  EXPECT_TRUE(blocked(0x101));
}

TEST_P(Blocks, UnblockingPartOfANetworkSaysThatItStaysBlocked) {
  fw.must({"block", network(), "--reason", "scanners"});
  fw.must({"block", address(0x101)});
  expect_exit(3, {"unblock", address(0x101)}, network());
  EXPECT_TRUE(blocked(0x101));
  expect_exit(3, {"unblock", address(0x102)}, "scanners");
  fw.must({"unblock", network()});
  EXPECT_FALSE(blocked(0x101));
  expect_exit(3, {"unblock", network()}, "was not blocked");
}

TEST_P(Blocks, UnblockingANetworkLiftsWhatIsInside) {
  fw.must({"block", address(0x101), address(0x102), address(0x201)});
  expect_exit(0, {"unblock", network()});
  EXPECT_FALSE(blocked(0x101));
  EXPECT_FALSE(blocked(0x102));
  EXPECT_TRUE(blocked(0x201));
}

TEST_P(Blocks, AddressesComeFromAFileOrFromStandardInput) {
  const std::string text = "# attackers\n\n  " + address(1) + "  # one\r\n" + network() + "\n" +
                           address(0x301) + "-" + address(0x304) + "\n";
  fw.must({"block", "--from", fw.file("attackers", text)});
  for (const unsigned n : {1u, 0x101u, 0x302u}) EXPECT_TRUE(blocked(n)) << n;
  fw.must({"unblock", "--from", "-"}, text);
  for (const unsigned n : {1u, 0x101u, 0x302u}) EXPECT_FALSE(blocked(n)) << n;
  fw.must({"block", "--from", "-", "--for", "1h"}, text);
  EXPECT_TRUE(blocked(1));
}

/// As in list files; what is wrong is named and left out.
TEST_P(Blocks, AFileMayBeAsListFilesAre) {
  const std::string path = fw.file(
      "attackers", "\xef\xbb\xbf" + address(1) + "  # one\r\n; none\n198.18.0.256\r\n" +
                       (v4() ? "198.18.1.77/24" : "2001:db8:18:142::7/56") + " ; bits below\n" +
                       std::string(5000, 'x') + "\n" + to_string(host()) + "\n" + address(2));
  const Output output = fw.run({"block", "--from", path});
  EXPECT_EQ(output.exit, 3) << to_string(output);
  for (const std::string& says : {path + ":3: ", path + ":5: ", path + ":6: " + to_string(host()),
                                  std::string("an address of this host"), std::string("--force")}) {
    EXPECT_NE(output.err.find(says), std::string::npos) << says << ": " << to_string(output);
  }
  for (const unsigned n : {1u, 0x101u, 2u}) EXPECT_TRUE(blocked(n)) << n;
  EXPECT_EQ(fw.json({"blocks"}).at("blocks").as_array().size(), 3u);
  expect_exit(3, {"unblock", "--from", path}, path + ":3: ");
  for (const unsigned n : {1u, 0x101u, 2u}) EXPECT_FALSE(blocked(n)) << n;
  expect_exit(1, {"block", "--from", fw.file("page", "<html>\n<body>\n")}, "has no usable line");
}

TEST_P(Blocks, AWrongArgumentBlocksNothingAndIsNamed) {
  expect_exit(1, {"block", address(1), "nonsense"}, "nonsense");
  EXPECT_FALSE(blocked(1));
  expect_exit(64, {"block", address(1), "--for", "1x"}, "unknown unit");
  expect_exit(1, {"block", "--from", "/nonexistent"}, "/nonexistent");
  expect_exit(1, {"block", "--from", "/tmp"}, "/tmp: Is a directory");
  EXPECT_NE(fw.run({"block"}).exit, 0);
  EXPECT_FALSE(blocked(1));
}

TEST_P(Blocks, ATrustedNetworkNeedsForce) {
  fw.apply("[ports]\ntcp = [22, 80]\n[trusted]\nnetworks = [\"" + network() + "\"]\n");
  Session theirs = from(0x101).session(host(), 80);
  ASSERT_TRUE(theirs.echoes());
  expect_exit(1, {"block", address(0x101)}, "--force");
  expect_exit(1, {"block", address(2), v4() ? "198.18.0.0/16" : "2001:db8:18::/48"}, "--force");
  EXPECT_FALSE(blocked(0x101));
  EXPECT_FALSE(blocked(2)) << "nothing of it was done";
  expect_exit(0, {"block", address(0x101), "--force"});
  EXPECT_TRUE(blocked(0x101));
  EXPECT_FALSE(theirs.echoes(kShort));
}

TEST_P(Blocks, TheyComeBackWithTheTimeLeft) {
  const auto begin = Clock::now();
  fw.must({"block", address(1), network(), "--for", "5s"});
  fw.must({"block", address(2)});
  fw.must({"reset", "--yes"});
  EXPECT_FALSE(blocked(1));
  fw.apply();
  EXPECT_TRUE(blocked(1) || passed(begin, 5s));
  EXPECT_TRUE(blocked(0x101) || passed(begin, 5s));
  EXPECT_TRUE(blocked(2));
  EXPECT_TRUE(eventually([&] { return !blocked(1) && !blocked(0x101); }));
  EXPECT_TRUE(passed(begin, 5s));
  EXPECT_TRUE(blocked(2));
}

TEST_P(Blocks, AnApplyLeavesTheirTimersAlone) {
  const auto begin = Clock::now();
  fw.must({"block", address(1), network(), "--for", "4s"});
  for (int i = 0; i < 5; ++i) fw.apply(i % 2 == 0 ? "" : "[ports]\ntcp = [22, 80]\n");
  EXPECT_TRUE(blocked(1) || passed(begin, 4s));
  EXPECT_TRUE(eventually([&] { return !blocked(1) && !blocked(0x101); }));
  EXPECT_TRUE(passed(begin, 4s));
}

TEST_P(Blocks, BeforeTheFirstApplyTheyAreKeptForIt) {
  fw.must({"reset", "--yes"});
  expect_exit(3, {"block", address(1)}, "is not in force");
  EXPECT_FALSE(blocked(1));
  fw.apply();
  EXPECT_TRUE(blocked(1));
}

TEST_P(Blocks, ManyAreBlockedInOneGo) {
  std::string text;
  for (unsigned n = 0x400; n < 0x1000; ++n) text += address(n) + "\n";
  fw.must({"block", "--from", "-"}, text);
  for (const unsigned n : {0x400u, 0x8a5u, 0xfffu}) EXPECT_TRUE(blocked(n)) << n;
  EXPECT_FALSE(blocked(0x1000));
  EXPECT_EQ(elements(net.host, v4() ? "block4" : "block6").size(), 0xc00u);
}

TEST_P(Blocks, ConnectionsOfAppsToTheBlockedAreCutToo) {
  AppBridge bridge(net);
  App& wiki = bridge.add(2);
  const Server outside_server(net.outside, {7000}, {7001});
  ip_commands(net.outside, "route add 2001:db8:172::/64 via 2001:db8:ffff::1\n");
  fw.apply(apps_toml() + app_toml("wiki", wiki, ""));
  Session session =
      Client(wiki.inside, wiki.address(family())).session(gateway_address(family()), 7000);
  EXPECT_TRUE(session.echoes());
  fw.must({"block", "--force", to_string(gateway_address(family()))});
  for (int i = 0; i < 3; ++i) EXPECT_FALSE(session.echoes(300ms)) << i;
  EXPECT_EQ(must_run(net.host, {"conntrack", "-L", "-p", "tcp", "-f", v4() ? "ipv4" : "ipv6", "-d",
                                to_string(gateway_address(family()))}),
            "");
  const Client app(wiki.inside, wiki.address(family()));
  for (int i = 0; i < 3; ++i)
    EXPECT_NE(app.udp(gateway_address(family()), 7001, 200ms), Outcome::served) << i;
}

TEST_P(Blocks, StayCutThroughAnApplyWithAnotherMark) {
  Session session = from(1).session(host(), 80);
  EXPECT_TRUE(session.echoes());
  fw.must({"block", address(1)});
  EXPECT_FALSE(session.echoes(300ms));
  fw.apply("[advanced]\nct_label_bit = 20\n");
  EXPECT_FALSE(session.echoes(300ms));
  Session other = from(0x101).session(host(), 80);
  fw.policy("");  // the kernel still works with the other mark
  fw.must({"block", address(0x101)});
  EXPECT_FALSE(other.echoes(300ms));
}

/// Not even between the commit of an apply and its cut: the kernel tells of every entry that is
/// made.
TEST_P(Blocks, AnApplyWithAnotherMarkEntersNoneOfTheirConnections) {
  Session session = from(1).session(host(), 80);
  EXPECT_TRUE(session.echoes());
  fw.must({"block", address(1)});
  const Process events(net.host, {"conntrack", "-E", "-e", "NEW", "-f", v4() ? "ipv4" : "ipv6"});
  const auto told_of = [&](unsigned who) {
    return events.out_so_far().find("src=" + address(who) + " ") != std::string::npos;
  };
  ASSERT_TRUE(eventually([&] {  // until conntrack listens
    return from(0x101).tcp(host(), 80) == Outcome::served && told_of(0x101);
  }));
  fw.apply("[advanced]\nct_label_bit = 20\n");
  EXPECT_EQ(from(0x102).tcp(host(), 80), Outcome::served);
  ASSERT_TRUE(eventually([&] { return told_of(0x102); }));
  EXPECT_FALSE(told_of(1)) << events.out_so_far();
}

/// Each origin's block lives by itself: the address is free when the last of them has ended.
TEST_P(Blocks, AreOfWhoMadeThem) {
  const auto origins = [&] {
    std::string out;
    const json::value told = fw.json({"blocks"});
    for (const json::value& block : told.at("blocks").as_array()) {
      out += std::string(block.at("origin").as_string()) + " ";
    }
    return out;
  };
  for (const std::string& what : {address(1), network()}) {
    const unsigned who = what == address(1) ? 1 : 0x101;
    fw.must({"block", what, "--for", "4h", "--origin", "A"});
    expect_exit(0, {"block", what, "--for", "6s", "--origin", "B"}, "is also blocked by A, ");
    fw.must({"block", what, "--for", "1h"});
    EXPECT_EQ(origins(), "A B admin ");
    expect_exit(3, {"unblock", what, "--origin", "A"}, "still blocked: " + what + " (B)");
    expect_exit(3, {"unblock", what, "--origin", "admin"}, "still blocked: " + what + " (B)");
    EXPECT_TRUE(blocked(who));
    EXPECT_TRUE(eventually([&] { return !blocked(who); })) << "the kernel's timer is B's now";
    EXPECT_EQ(origins(), "");
    fw.must({"block", what, "--origin", "A"});
    fw.must({"block", what});
    expect_exit(0, {"unblock", what});
    EXPECT_FALSE(blocked(who)) << "an admin lifts all of them";
  }
}

TEST_P(Blocks, OfTheHostsOwnNetworkCutNobodyElse) {
  Session session = from(1).session(host(), 22);
  EXPECT_TRUE(session.echoes());
  fw.must({"block", "--force", v4() ? "203.0.113.0/24" : "2001:db8:ffff::/64"});
  EXPECT_TRUE(session.echoes());
  EXPECT_EQ(counter(net.host, "ssh.accepted"), 1u);
}

TEST_P(Blocks, ConnectionsToAppsAreCutToo) {
  AppBridge bridge(net);
  App& wiki = bridge.add(2);
  const Server app_server(wiki.inside, {8080});
  bridge.publish(29'418, wiki, 8080);
  fw.apply(apps_toml() + app_toml("wiki", wiki, "publishes = [\"tcp/29418\"]"));
  Session one = from(1).session(host(), 29'418);
  Session many = from(0x101).session(host(), 29'418);
  ASSERT_TRUE(one.echoes());
  ASSERT_TRUE(many.echoes());
  fw.must({"block", address(1), network()});
  EXPECT_FALSE(one.echoes(kShort));
  EXPECT_FALSE(many.echoes(kShort));
  EXPECT_EQ(from(1).tcp(host(), 29'418, kShort), Outcome::timed_out);
  EXPECT_EQ(from(3).tcp(host(), 29'418), Outcome::served);
}

/// What programs read.
TEST_P(Blocks, EveryCommandPrintsJson) {
  const json::value made = fw.json({"block", address(1), "--for", "1h", "--reason", "a \"test\""});
  EXPECT_EQ(made.at("in_force"), true);
  const json::value all = fw.json({"blocks"});
  const json::value& block = all.at("blocks").at(0);
  EXPECT_EQ(block.at("address").as_string(), address(1));
  EXPECT_EQ(block.at("reason").as_string(), "a \"test\"");
  EXPECT_GT(block.at("seconds_left").to_number<int>(), 3500);
  EXPECT_LE(block.at("seconds_left").to_number<int>(), 3600);
  EXPECT_EQ(fw.json({"status"}).at("blocks").as_array().size(), 1u);
  EXPECT_EQ(fw.json({"unblock", address(1)}).at("unblocked").as_array().size(), 1u);
  EXPECT_EQ(fw.json({"unblock", address(1)}).at("not_found").as_array().size(), 1u);
  EXPECT_EQ(fw.json({"plan"}).at("changed"), false);
  EXPECT_EQ(fw.json({"check"}).at("ok"), true);
  EXPECT_EQ(fw.json({"apply"}).at("changed"), false);
  EXPECT_EQ(fw.json({"show"}).at("table").as_string(), "cloudron");
  EXPECT_EQ(fw.json({"reset", "--yes"}).at("removed"), true);
}

/// IPv4 in the clothes of IPv6 is IPv4.
TEST(MappedBlocks, MeanTheIPv4Address) {
  const Network net;
  const Server server(net.host, {80});
  Firewall fw(net.host);
  fw.apply();
  const auto blocked = [&](unsigned n) {
    const Client from(net.outside, client(Family::ipv4, n));
    return from.tcp(host_address(Family::ipv4), 80, kShort) == Outcome::timed_out;
  };
  fw.must({"block", "::ffff:198.18.0.1", "::ffff:198.18.1.0/120"});
  EXPECT_TRUE(blocked(1));
  EXPECT_TRUE(blocked(0x1ff));
  EXPECT_FALSE(blocked(2));
  EXPECT_FALSE(blocked(0x200));
  EXPECT_EQ(fw.run({"unblock", "198.18.0.1", "198.18.1.0/24"}).exit, 0);
  EXPECT_FALSE(blocked(1));
}

}  // namespace
}  // namespace lab
