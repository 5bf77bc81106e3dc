// Other programs' rules on the same packets: marks, labels, flows that are kept out of connection
// tracking.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/lab/daemon.hpp"
#include "tests/lab/family.hpp"

namespace lab {
namespace {

class Beside : public OverFamily {
 protected:
  Server server{net.host, {22, 80, 7070}, {5353}};
};
BOTH_FAMILIES(Beside);

TEST_P(Beside, MarksOfOthersCostNobodyAConnection) {
  fw.apply();
  // Every packet's mark is written over, whatever it was, before our rules and behind them.
  nft(net.host,
      "table inet marks {\n"
      "  chain before { type filter hook prerouting priority mangle; ct mark set 1; }\n"
      "  chain behind { type filter hook input priority 100; ct mark set 0; }\n"
      "}\n");
  Session session = from(1).session(host(), 22);
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(session.echoes()) << i;
  EXPECT_EQ(counter(net.host, "ssh.accepted"), 1u);
  EXPECT_EQ(counter(net.host, "ssh.refused"), 0u);
}

TEST_P(Beside, WhoSetsOurBitsOfLabelsIsNamed) {
  fw.apply();
  for (const char* const command : {"status", "verify"}) {
    const Output quiet = fw.must({command});
    EXPECT_EQ((quiet.out + quiet.err).find("labels"), std::string::npos) << to_string(quiet);
  }
  nft(net.host,
      "table inet other { chain in { type filter hook input priority 0; ct label set 3; }; }");
  EXPECT_EQ(fw.run({"status"}).exit, 0) << "another bit";
  nft(net.host, "add chain inet other guilty\nadd rule inet other guilty ct label set 97");
  for (const char* const command : {"status", "verify"}) {
    const Output said = fw.run({command});
    EXPECT_NE((said.out + said.err).find("table inet other, chain guilty"), std::string::npos)
        << to_string(said);
  }
}

TEST_P(Beside, TheDaemonSaysOnceWhoSetsOurBitsAndOnceWhenThatEnds) {
  fw.apply();
  const Daemon daemon(fw);
  const auto said = [this](const char* text) {
    return eventually([&] { return fw.must({"activity"}).out.find(text) != std::string::npos; });
  };
  nft(net.host, "table inet other { chain guilty { ct label set 97; }; }");
  EXPECT_TRUE(said("table inet other, chain guilty sets the bits of connection labels"));
  nft(net.host, "table ip another { chain guilty { ct label set 98; }; }");
  EXPECT_TRUE(said("table inet other, chain guilty; table ip another, chain guilty"));
  nft(net.host, "delete table inet other\ndelete table ip another");
  EXPECT_TRUE(said("no rule of another program sets our bits of connection labels any more"));
  EXPECT_EQ(fw.json({"activity", "--what", "labels"}).as_array().size(), 3u);
  EXPECT_EQ(daemon.repairs(), 0);
}

TEST_P(Beside, WhoseLabelIsClearedIsCountedOnceMoreAndThatIsTold) {
  fw.apply();
  EXPECT_EQ(fw.json({"status"}).at("unlabelled"), 0);
  EXPECT_EQ(fw.must({"status"}).out.find("without our label"), std::string::npos);
  Session session = from(1).session(host(), 22);
  ASSERT_TRUE(session.echoes());
  must_run(net.host, {"conntrack", "-U", "-f", family() == Family::ipv4 ? "ipv4" : "ipv6", "-p",
                      "tcp", "--dport", "22", "--label-del"});
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(session.echoes()) << i;
  EXPECT_EQ(counter(net.host, "ssh.accepted"), 2u);
  EXPECT_EQ(fw.json({"status"}).at("unlabelled"), 1);
  EXPECT_NE(fw.must({"status"}).out.find("1 connection without our label"), std::string::npos);
}

/// A usual recipe: SYNs are not tracked, and the last step of a handshake is of no known
/// connection.
TEST_P(Beside, ASynproxyOfOthersNeedsOneRule) {
  fw.apply();
  net.host.sysctl("netfilter/nf_conntrack_tcp_loose", "0");
  nft(net.host,
      "table inet other {\n"
      "  chain pre { type filter hook prerouting priority raw; tcp dport 80 tcp flags syn notrack; "
      "}\n"
      "  chain in { type filter hook input priority filter;\n"
      "    tcp dport 80 ct state invalid,untracked synproxy mss 1460 wscale 7 timestamp sack-perm\n"
      "    ct state invalid drop\n"
      "  }\n"
      "}\n");
  EXPECT_NE(from(1).tcp(host(), 80, kShort), Outcome::served);
  nft(net.host, "add rule inet cloudron CLOUDRON_BEFORE ct state invalid tcp dport 80 accept");
  EXPECT_EQ(from(1).tcp(host(), 80), Outcome::served);
  EXPECT_EQ(fw.run({"verify"}).exit, 0);
}

TEST_P(Beside, OpenPortsAreOpenForUntrackedFlows) {
  fw.apply("[ports]\ntcp = [22, 80, 7070]\nudp = [5353]\n");
  nft(net.host,
      "table inet raw {\n"
      "  chain pre { type filter hook prerouting priority raw; notrack; }\n"
      "  chain out { type filter hook output priority raw; notrack; }\n"
      "}\n");
  EXPECT_EQ(from(1).udp(host(), 5353), Outcome::served);
  EXPECT_EQ(from(1).tcp(host(), 7070), Outcome::served) << "a port without a limit";
  EXPECT_EQ(from(1).tcp(host(), 80), Outcome::served) << "one with a bucket";
  EXPECT_EQ(from(1).tcp(host(), 8080, kShort), Outcome::timed_out) << "closed";
  EXPECT_EQ(served(from(2).tries(host(), {22}, {9, {}, 700ms})), 5u) << "an exact limit";
  fw.must({"block", to_string(client(family(), 1))});
  EXPECT_EQ(from(1).tcp(host(), 7070, kShort), Outcome::timed_out);
}

}  // namespace
}  // namespace lab
