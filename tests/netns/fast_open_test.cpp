// TCP Fast Open: the data of a SYN does not get past a limit.
// SPDX-License-Identifier: GPL-2.0-or-later
#include <algorithm>

#include "tests/lab/apps.hpp"
#include "tests/lab/family.hpp"

namespace lab {
namespace {

constexpr int kServes = 0x2 | 0x400;  // of tcp_fastopen: servers, whether they ask for it or not
constexpr int kNoCookie = 0x200;      // ... and without a cookie

const std::string kNop(1, '\x01');
const std::string kNops = kNop + kNop;

/// A cookie in RFC 7413's option, and in that of the experiment before it; whole words.
std::string option(const std::string& cookie) {
  return kNops + '\x22' + static_cast<char>(2 + cookie.size()) + cookie;
}
std::string older(const std::string& cookie) {
  return '\xfe' + std::string(1, static_cast<char>(4 + cookie.size())) + "\xf9\x89" + cookie;
}

/// What a server answers to who asks for a cookie: "" when it gives none.
std::string cookie_in(const std::string& options) {
  const std::size_t at = options.find("\x22\x0a");
  return at == std::string::npos ? "" : options.substr(at + 2, 8);
}

std::optional<Packet> answer_to(RawLink& link, const Packet& syn) {
  link.send({syn});
  for (const auto end = Clock::now() + 3s; Clock::now() < end;) {
    for (const Packet& p : link.receive(100ms)) {
      if (p.port_to == syn.port_from && p.flags == (kSyn | kAck)) return p;
    }
  }
  return {};
}

/// Every way to put data into a SYN that Linux servers take.
std::vector<std::pair<std::string, std::string>> ways(const std::string& cookie) {
  return {{option(cookie), "GET /"},
          {older(cookie), "GET /"},
          {option(cookie) + option(cookie), "GET /"},
          {option("") + option(cookie), "GET /"},
          {older("") + older(cookie), "GET /"},
          {older(cookie) + option(cookie), "GET /"},
          {option(cookie) + option(cookie), ""},
          {older(cookie) + older(cookie), ""},
          {option(cookie), ""},
          {"", "GET /"}};
}

class FastOpen : public OverFamily {
 protected:
  void serves(const Namespace& where, int mode) const {
    where.sysctl("ipv4/tcp_fastopen", std::to_string(mode));
  }
  Packet syn(std::uint16_t from, std::uint16_t to) const {
    return {stranger(family(), 1), host(), kTcp, from, to, kSyn, 1000, 0};
  }
  /// Asked of the server while there is no firewall; the kernel's depends on both addresses.
  std::string cookie_of(Packet asking) {
    asking.options = option("");
    const auto answer = answer_to(link, asking);
    EXPECT_TRUE(answer.has_value());
    return answer ? cookie_in(answer->options) : "";
  }
  /// Sends SYNs of every kind until 40 are sent, to `to` of the firewall's host.
  void attack(RawLink& by, Packet one, const std::string& cookie) {
    const auto all = ways(cookie);
    std::vector<Packet> syns;
    for (std::uint16_t i = 0; i < 40; ++i) {
      one.port_from = static_cast<std::uint16_t>(20'000 + i);
      one.sequence += 100'000;
      std::tie(one.options, one.data) = all[i % all.size()];
      syns.push_back(one);
    }
    by.send(syns);
  }

  static bool come(const Server& server, std::uint16_t port, std::size_t connections) {
    return eventually([&] { return server.accepted(port) == connections; });
  }

  RawLink link{net};
};
BOTH_FAMILIES(FastOpen);

TEST_P(FastOpen, WithoutFirewallEachWayReachesTheProgram) {
  serves(net.host, kServes | kNoCookie);
  Server server(net.host, {22});
  attack(link, syn(0, 22), "any.....");
  EXPECT_TRUE(come(server, 22, 40)) << server.accepted(22);
}

TEST_P(FastOpen, ACookieDoesNotGetDataPastALimit) {
  serves(net.host, kServes);
  Server server(net.host, {22, 8080});
  const std::string cookie = cookie_of(syn(10'000, 22));
  ASSERT_EQ(cookie.size(), 8u);
  Packet one = syn(10'001, 22);
  one.options = option(cookie);
  one.data = "GET /";
  ASSERT_TRUE(answer_to(link, one));
  ASSERT_TRUE(come(server, 22, 1)) << "the attack works without a firewall";

  fw.apply("[ports]\ntcp = [22, 8080]\n");
  attack(link, syn(0, 22), cookie);
  EXPECT_EQ(counter(net.host, "ssh.accepted"), 0u);
  EXPECT_EQ(from(9).tcp(host(), 22), Outcome::served);
  EXPECT_EQ(server.accepted(22), 2u) << "the first, and the one that shook hands";
  EXPECT_GE(counter(net.host, "syn_data"), 36u) << "all but those with one option and no data";
  one.port_from = 10'002;
  one.port_to = 8080;
  ASSERT_TRUE(answer_to(link, one));
  EXPECT_TRUE(come(server, 8080, 1)) << "a port without a limit keeps Fast Open";
}

TEST_P(FastOpen, NorDoesAServerThatAsksForNone) {
  serves(net.host, kServes | kNoCookie);
  Server server(net.host, {22});
  fw.apply();
  attack(link, syn(0, 22), "any.....");
  EXPECT_EQ(from(9).tcp(host(), 22), Outcome::served);
  EXPECT_EQ(server.accepted(22), 1u) << "the one that shook hands";
  // An admin's own rule opens the port, and the limit of the port is still asked.
  nft(net.host, "add rule inet cloudron CLOUDRON_BEFORE tcp dport 22 accept");
  attack(link, syn(0, 22), "any.....");
  EXPECT_EQ(from(9).tcp(host(), 22), Outcome::served);
  EXPECT_EQ(server.accepted(22), 2u);
}

TEST_P(FastOpen, AServerIsAskedForNoCookieAndClientsFallBack) {
  serves(net.host, kServes);
  Server server(net.host, {22});
  net.outside.sysctl("ipv4/tcp_fastopen", "1");
  const Client known = from(1).with_fast_open();
  EXPECT_EQ(known.tcp(host(), 22), Outcome::served);  // gets a cookie
  EXPECT_EQ(known.tcp(host(), 22), Outcome::served);  // and uses it
  fw.apply();
  Packet asking = syn(10'000, 22);
  asking.options = option("");
  const auto answer = answer_to(link, asking);
  ASSERT_TRUE(answer);
  EXPECT_EQ(cookie_in(answer->options), "");
  // Its SYN goes again after a second, without data.
  EXPECT_EQ(known.tcp(host(), 22, 20s), Outcome::served);
  EXPECT_EQ(served(known.tries(host(), {22}, {39, {}, 5s})), 4u) << "the limit holds";
  EXPECT_EQ(from(2).with_fast_open().tcp(host(), 22, 20s), Outcome::served);
}

TEST_P(FastOpen, APublishedPortIsLimitedAlike) {
  AppBridge bridge(net);
  App& wiki = bridge.add(2);
  bridge.publish(29'418, wiki, 8080);
  bridge.publish(29'419, wiki, 8081);
  serves(wiki.inside, kServes | kNoCookie);
  Server server(wiki.inside, {8080, 8081});
  fw.apply(apps_toml() + app_toml("wiki", wiki, "publishes = [\"tcp/29418\", \"tcp/29419\"]") +
           limit_toml("git", "29418", "outside", "ip", "3/10s"));
  attack(link, syn(0, 29'418), "any.....");
  EXPECT_EQ(served(from(1).tries(host(), {29'418}, {8, {}, 700ms})), 3u);
  EXPECT_EQ(server.accepted(8080), 3u);
  Packet one = syn(10'000, 29'419);
  one.data = "GET /";
  ASSERT_TRUE(answer_to(link, one));
  EXPECT_TRUE(come(server, 8081, 1)) << "a port without a limit keeps Fast Open";
}

TEST_P(FastOpen, AppsAreLimitedAlike) {
  AppBridge bridge(net);
  App& wiki = bridge.add(2);
  serves(net.host, kServes | kNoCookie);
  Server server(net.host, {8443, 8444});
  fw.apply("[ports]\ntcp = [22, 8443, 8444]\n" + apps_toml() +
           limit_toml("inner", "8443", "apps", "ip", "3/10s"));
  RawLink by(wiki.inside, wiki.mac, kBridgeMac);
  Packet one{wiki.address(family()), host(), kTcp, 0, 8443, kSyn, 1000, 0};
  keep_quiet(wiki.inside);
  attack(by, one, "any.....");
  EXPECT_EQ(from(9).tcp(host(), 8443), Outcome::served);
  EXPECT_EQ(server.accepted(8443), 1u) << "the one that shook hands";
  one.port_to = 8444;
  attack(by, one, "any.....");
  EXPECT_TRUE(come(server, 8444, 40)) << "a port without a limit keeps Fast Open";
}

}  // namespace
}  // namespace lab
