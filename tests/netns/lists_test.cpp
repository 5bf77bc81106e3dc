// Address lists of the policy: blocked, allowed, changed, and with bad lines.
// SPDX-License-Identifier: GPL-2.0-or-later
#include <cstdio>
#include <map>
#include <random>
#include <set>

#include <fmt/format.h>

#include "tests/lab/apps.hpp"
#include "tests/lab/family.hpp"

namespace lab {
namespace {

class Listed : public OverFamily {
 protected:
  bool v4() const { return family() == Family::ipv4; }
  std::string address(unsigned n) const { return to_string(client(family(), n)); }
  /// Clients 0x100 to 0x1ff.
  std::string network() const { return v4() ? "198.18.1.0/24" : "2001:db8:18:100::/56"; }
  void list(const std::string& text) { fw.file("bad.txt", text); }
  void allow(const std::string& text) { fw.file("good.txt", text); }
  bool blocked(unsigned n) const { return from(n).tcp(host(), 80, kShort) == Outcome::timed_out; }

  static constexpr const char* kBad =
      "[[list]]\nname = \"known-bad\"\nfile = \"bad.txt\"\naction = \"block\"\n";
  static constexpr const char* kGood =
      "[[list]]\nname = \"office\"\nfile = \"good.txt\"\naction = \"allow\"\n";
  Server server{net.host, {22, 80}};
};
BOTH_FAMILIES(Listed);

TEST_P(Listed, WhoIsOnTheListIsBlocked) {
  list(fmt::format("# a comment\n\n{}   # one\n{}\r\n{}-{}\n{}\n", address(1), network(),
                   address(0x300), address(0x302), address(1)));
  fw.apply(kBad);
  for (const unsigned n : {1u, 0x100u, 0x1ffu, 0x300u, 0x302u}) EXPECT_TRUE(blocked(n)) << n;
  for (const unsigned n : {2u, 0xffu, 0x200u, 0x2ffu, 0x303u}) EXPECT_FALSE(blocked(n)) << n;
  EXPECT_EQ(fw.run({"plan"}).exit, 0);
}

TEST_P(Listed, AllowedAddressesAreNeitherBlockedNorLimited) {
  list(network() + "\n" + address(1) + "\n");
  allow(address(0x101) + "\n" + address(1) + "\n");
  fw.apply(std::string(kBad) + kGood);
  EXPECT_FALSE(blocked(1));
  EXPECT_FALSE(blocked(0x101));
  EXPECT_TRUE(blocked(0x102));
  EXPECT_EQ(served(from(0x101).tries(host(), {22}, {12})), 12u);
  EXPECT_EQ(served(from(5).tries(host(), {22}, {8, {}, 700ms})), 5u);
}

TEST_P(Listed, TrustedNetworksAreNotBlockedByAList) {
  list(v4() ? "198.18.0.0/16\n" : "2001:db8:18::/48\n");
  fw.apply(std::string(kBad) + "[trusted]\nnetworks = [\"" + network() + "\"]\n");
  EXPECT_TRUE(blocked(1));
  EXPECT_FALSE(blocked(0x101));
}

TEST_P(Listed, AChangedLineCutsAndFrees) {
  list(address(1) + "\n");
  fw.apply(kBad);
  Session one = from(2).session(host(), 80);
  Session many = from(0x101).session(host(), 80);
  Session other = from(3).session(host(), 80);
  for (Session* s : {&one, &many, &other}) ASSERT_TRUE(s->echoes());
  list(address(2) + "\n" + network() + "\n");
  EXPECT_EQ(fw.run({"plan"}).exit, 2);
  fw.apply();
  EXPECT_FALSE(one.echoes(kShort)) << "open connections are cut";
  EXPECT_FALSE(many.echoes(kShort)) << "open connections are cut";
  EXPECT_TRUE(other.echoes());
  EXPECT_FALSE(blocked(1));
  EXPECT_TRUE(blocked(2));
  EXPECT_TRUE(blocked(0x1ff));
  EXPECT_EQ(fw.run({"plan"}).exit, 0);
  list("");
  EXPECT_EQ(fw.run({"apply"}).exit, 3);
  EXPECT_TRUE(blocked(2)) << "a failed download looks like that";
  const Output check = fw.run({"check"});
  EXPECT_NE(check.err.find("--accept-lists"), std::string::npos) << to_string(check);
  fw.must({"apply", "--accept-lists"});
  EXPECT_FALSE(blocked(2));
  EXPECT_FALSE(blocked(0x1ff));
}

TEST_P(Listed, WithBadLinesTheLastGoodContentStays) {
  list(address(1) + "\n");
  fw.apply(kBad);
  list(address(2) + "\n198.18.0.300\nfoo\n");
  fw.policy(std::string(kBad) + "[ports]\ntcp = [22, 80, 8080]\n");
  const Output output = fw.run({"apply"});
  EXPECT_EQ(output.exit, 3) << to_string(output);
  EXPECT_NE(output.err.find("bad.txt:2:"), std::string::npos) << output.err;
  EXPECT_NE(output.err.find("bad.txt:3:"), std::string::npos) << output.err;
  EXPECT_TRUE(blocked(1));
  EXPECT_FALSE(blocked(2));
  EXPECT_EQ(fw.json({"status"}).at("lists").at(0).at("last_good"), true);
  EXPECT_NE(fw.run({"show", "--format", "nft"}).out.find("8080"), std::string::npos);
  EXPECT_EQ(fw.run({"plan"}).exit, 0) << "the rest of the policy was applied";
  list(address(2) + "\n");
  fw.apply();
  EXPECT_FALSE(blocked(1));
  EXPECT_TRUE(blocked(2));
}

TEST_P(Listed, TheLastGoodContentOutlivesAReset) {
  list(address(1) + "\n" + network() + "\n");
  fw.apply(kBad);
  list("broken\n");
  fw.must({"reset", "--yes"});
  EXPECT_EQ(fw.run({"apply"}).exit, 3);
  EXPECT_TRUE(blocked(1));
  EXPECT_TRUE(blocked(0x101));
}

TEST_P(Listed, AMissingFileIsSaidAndTheLastGoodContentStays) {
  fw.policy(kBad);
  EXPECT_EQ(fw.run({"apply"}).exit, 3);
  EXPECT_FALSE(blocked(1));
  list(address(1) + "\n");
  fw.apply();
  EXPECT_TRUE(blocked(1));
  std::remove((fw.dir() / "bad.txt").c_str());
  EXPECT_EQ(fw.run({"apply"}).exit, 3);
  EXPECT_TRUE(blocked(1));
}

/// A list of bogons: of what nobody on the internet has, and what this host lives by.
TEST_P(Listed, BogonsCutOffNeitherNeighboursNorApps) {
  list(
      "0.0.0.0/8\n10.0.0.0/8\n127.0.0.0/8\n169.254.0.0/16\n172.16.0.0/12\n192.168.0.0/16\n"
      "224.0.0.0/3\n::/8\nfc00::/7\nfe80::/10\nff00::/8\n" +
      address(1) + "\n");
  fw.policy(kBad);
  const Output applied = fw.must({"apply"});
  EXPECT_NE(applied.err.find("list 'known-bad': 11 entries"), std::string::npos) << applied.err;
  EXPECT_NE(applied.err.find("line 2 (10.0.0.0/8: a private network)"), std::string::npos)
      << applied.err;
  const Output check = fw.run({"check"});
  EXPECT_NE((check.out + check.err).find("bad.txt:10"), std::string::npos) << to_string(check);
  EXPECT_TRUE(blocked(1));
  EXPECT_FALSE(blocked(2));
  must_run(net.host, {"ip", "neigh", "flush", "all"});
  must_run(net.outside, {"ip", "neigh", "flush", "all"});
  EXPECT_EQ(from(3).tcp(host(), 80), Outcome::served) << "who has to be found first";
  for (const char* needed : {"10.0.0.0/8", "172.16.0.0/12", "fe80::/10", "ff00::/8"}) {
    EXPECT_EQ(listing(net.host, "set inet cloudron listed_net4").find(needed), std::string::npos);
    EXPECT_EQ(listing(net.host, "set inet cloudron listed_net6").find(needed), std::string::npos);
  }
}

TEST_P(Listed, TheWholeInternetIsABadLine) {
  list(address(1) + "\n");
  fw.apply(kBad);
  list(address(2) + "\n" + (v4() ? "0.0.0.0/0\n" : "::/0\n"));
  const Output output = fw.run({"apply"});
  EXPECT_EQ(output.exit, 3) << to_string(output);
  EXPECT_NE(output.err.find("is the whole internet: remove the line"), std::string::npos)
      << output.err;
  EXPECT_TRUE(blocked(1));
  EXPECT_FALSE(blocked(3));
}

TEST_P(Listed, ABlockInsideAListOutlivesTheList) {
  list(network() + "\n");
  fw.apply(kBad);
  fw.must({"block", address(0x101)});
  const Output unblocked = fw.run({"unblock", address(0x102)});
  EXPECT_EQ(unblocked.exit, 3);
  EXPECT_NE(unblocked.err.find("known-bad"), std::string::npos) << unblocked.err;
  list("");
  fw.must({"apply", "--accept-lists"});
  EXPECT_TRUE(blocked(0x101));
  EXPECT_FALSE(blocked(0x102));
}

/// A messy list of thousands of lines against the plainest reading of it.
class Messy : public Listed {
 protected:
  static constexpr unsigned kStrangers = 4096;

  void add_line(std::mt19937& generator, std::string& text) {
    const auto random = [&generator](unsigned below) {
      return static_cast<unsigned>(generator() % below);
    };
    const unsigned first = random(kStrangers);
    switch (random(8)) {
      case 0: {  // a network of 2 to 32 clients
        const unsigned bits = 1 + random(5);
        const unsigned size = 1u << bits;
        const unsigned begin = first / size * size;
        const unsigned length = (v4() ? 32 : 64) - bits;
        text += fmt::format("{}/{}\n", base(begin), length);
        for (unsigned i = begin; i < begin + size; ++i) listed_.insert(i);
        break;
      }
      case 1: {  // a range
        const unsigned last = std::min(first + random(9), kStrangers - 1);
        text += fmt::format("{}-{}\n", to_string(stranger(family(), first)),
                            to_string(stranger(family(), last)));
        for (unsigned i = first; i <= last; ++i) listed_.insert(i);
        break;
      }
      default:
        text += to_string(stranger(family(), first)) + "\n";
        listed_.insert(first);
    }
  }
  /// The strangers that get an answer.
  std::set<unsigned> answered() {
    RawLink link(net);
    const std::uint16_t port = ++scans_;
    std::vector<Packet> syns;
    for (unsigned n = 0; n < kStrangers; ++n) {
      syns.push_back({stranger(family(), n), host(), kTcp, port, 80, kSyn, 1, 0});
    }
    std::map<Ip, unsigned> numbers;
    for (unsigned n = 0; n < kStrangers; ++n) numbers[stranger(family(), n)] = n;
    std::set<unsigned> out;
    link.send(syns);
    for (auto more = link.receive(300ms); !more.empty(); more = link.receive(300ms)) {
      for (const Packet& p : more) {
        if (p.protocol == kTcp && p.port_to == port) out.insert(numbers[p.to]);
      }
    }
    return out;
  }
  std::string base(unsigned n) const {
    Ip ip = stranger(family(), n);
    if (!v4()) ip.bits -= 1;  // the network address of the client's /64
    return to_string(ip);
  }
  std::set<unsigned> expected() const {
    std::set<unsigned> out;
    for (unsigned n = 0; n < kStrangers; ++n) {
      if (!listed_.contains(n)) out.insert(n);
    }
    return out;
  }

  std::set<unsigned> listed_;
  std::uint16_t scans_ = 7000;
};
BOTH_FAMILIES(Messy);

TEST_P(Messy, ThousandsOfLinesMeanWhatTheySay) {
  std::mt19937 random(7);
  std::string text;
  for (int i = 0; i < 1500; ++i) add_line(random, text);
  list(text);
  fw.apply(kBad);
  EXPECT_EQ(answered(), expected());
  for (int round = 0; round < 3; ++round) {  // and so do changes of it
    listed_.clear();
    text.clear();
    for (int i = 0; i < 300 + 400 * round; ++i) add_line(random, text);
    list(text);
    fw.must({"apply", "--accept-lists"});
    EXPECT_EQ(answered(), expected()) << "after change " << round;
  }
}

}  // namespace
}  // namespace lab
