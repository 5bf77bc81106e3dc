// Sysctls that weaken the firewall are named by check, status and audit host.
// SPDX-License-Identifier: GPL-2.0-or-later

#include <boost/json.hpp>

#include "tests/lab/family.hpp"

namespace lab {
namespace {

namespace json = boost::json;

class Settings : public OverFamily {
 protected:
  Settings() { fw.apply(); }

  /// Is it named by all three, with its remedy; in text and in JSON?
  void is_named(const std::string& setting, int status_exit) const {
    const std::string remedy = "sysctl -w " + setting;
    const Output check = fw.must({"check"});
    EXPECT_NE(to_string(check).find(remedy), std::string::npos) << to_string(check);
    const Output status = fw.run({"status"});
    EXPECT_EQ(status.exit, status_exit);
    EXPECT_NE(status.out.find(remedy), std::string::npos) << status.out;
    const Output audit = fw.run({"audit", "host"});
    EXPECT_NE(audit.out.find(remedy), std::string::npos) << audit.out;

    const auto names = [&](const json::value& list, const char* key) {
      return std::ranges::any_of(list.as_array(), [&](const json::value& one) {
        return one.at(key).as_string().find(remedy) != json::string::npos;
      });
    };
    EXPECT_TRUE(names(fw.json({"check"}).at("problems"), "what"));
    EXPECT_TRUE(names(fw.json({"status"}).at("settings"), "remedy"));
    EXPECT_TRUE(names(fw.json({"audit", "host"}).at("findings"), "fix"));
  }
  Packet packet(std::uint16_t port, std::uint8_t flags, std::uint32_t acknowledged) const {
    return {stranger(family(), 1),        host(),      kTcp, port, 22, flags,
            flags == kSyn ? 999u : 1000u, acknowledged};
  }
  /// Ten packets in a silent client's name: do they count as its connections?
  std::uint64_t counted_of_forged() {
    RawLink link(net);
    for (std::uint16_t port = 5000; port < 5005; ++port) {
      link.send({packet(port, kSyn, 0)});
      link.send({packet(port, kAck, 12'345)});
    }
    return counter(net.host, "ssh.accepted");
  }

  Server server{net.host, {22}};
};
BOTH_FAMILIES(Settings);

TEST_P(Settings, TheKernelsDefaultsAreFine) {
  const json::value status = fw.json({"status"});
  EXPECT_EQ(status.at("settings"), json::array()) << "on a machine of more than 1 GB";
  EXPECT_EQ(counted_of_forged(), 0u);
}

TEST_P(Settings, LiberalTrackingLetsForgedPacketsSpendABudget) {
  net.host.sysctl("netfilter/nf_conntrack_tcp_be_liberal", "1");
  is_named("net.netfilter.nf_conntrack_tcp_be_liberal=0", 2);
  EXPECT_EQ(counted_of_forged(), 5u) << "so it is worth a warning";
}

TEST_P(Settings, WithoutSynCookiesAFloodLocksOut) {
  RawLink link(net);
  std::vector<Packet> flood;
  for (unsigned n = 0; n < 10'000; ++n) {
    flood.push_back({stranger(family(), n), host(), kTcp, 5000, 22, kSyn, 1000, 0});
  }
  link.send(flood);
  EXPECT_EQ(from(1).tcp(host(), 22, 20s), Outcome::served) << "cookies are for this";
  net.host.sysctl("ipv4/tcp_syncookies", "0");
  is_named("net.ipv4.tcp_syncookies=1", 0);
  link.send(flood);
  EXPECT_EQ(from(2).tcp(host(), 22, kShort), Outcome::timed_out) << "so it is worth a warning";
}

TEST_P(Settings, TrackingOfInvalidResetsLetsForgedOnesStallAConnection) {
  net.host.sysctl("netfilter/nf_conntrack_tcp_ignore_invalid_rst", "1");
  is_named("net.netfilter.nf_conntrack_tcp_ignore_invalid_rst=0", 2);
}

TEST_P(Settings, AShortMemoryOfIdleConnectionsIsNamed) {
  net.host.sysctl("netfilter/nf_conntrack_tcp_timeout_established", "600");
  is_named("net.netfilter.nf_conntrack_tcp_timeout_established=432000", 0);
}

}  // namespace
}  // namespace lab
