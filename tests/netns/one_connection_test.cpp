// One counted connection is one connection (L1 to L8), whatever is sent to make the kernel's table
// of connections believe in another life than the one that the host's socket lives.
// SPDX-License-Identifier: GPL-2.0-or-later
#include <functional>
#include <optional>

#include "tests/lab/apps.hpp"
#include "tests/lab/family.hpp"

namespace lab {
namespace {

/// A client by hand, at an address that nobody owns, so nothing else answers for it.
class HandMade {
 public:
  HandMade(RawLink& link, Ip from, Ip to, std::uint16_t port)
      : link_(link), from_(from), to_(to), port_(port) {}

  /// A connection on the ports of the one before, until the server has sent back what it got. False
  /// when it is not let in.
  bool connect() {
    isn_ += 500'000;
    link_.receive(0ms);
    send(kSyn, isn_, 0, {}, std::string("\x02\x04\x05\xb4\x04\x02\x01\x01", 8));
    const auto answer = wait(
        [this](const Packet& p) { return p.flags == (kSyn | kAck) && p.acknowledged == isn_ + 1; });
    if (!answer) return false;
    first_ = theirs_ = answer->sequence + 1;
    send(kAck, isn_ + 1, theirs_);
    send(kAck | kPsh, isn_ + 1, theirs_, "knock");
    const auto echo = wait([](const Packet& p) { return p.data == "knock"; });
    if (!echo) return false;
    theirs_ += 5;
    send(kAck, isn_ + 6, theirs_);
    return true;
  }

  /// Ends the server's socket: out of order data, then a reset at its right edge, which RFC 5961
  /// takes and the kernel's table of connections does not; an acknowledgement that is old, for
  /// whose answer the table does not care either.
  void end_the_socket_alone() {
    send(kAck | kPsh, isn_ + 16, theirs_, "0123456789");
    wait([this](const Packet& p) { return p.acknowledged == isn_ + 6; });
    send(kAck, isn_ + 6, theirs_);
    send(kRst, isn_ + 26, 0);
    send(kAck, isn_ + 6, theirs_ - 5);
    link_.receive(20ms);
  }
  /// Ends it so that both know.
  void reset() { send(kRst | kAck, isn_ + 6, theirs_); }
  void syn(std::uint32_t sequence) { send(kSyn, sequence, 0); }
  std::optional<Packet> wait(const std::function<bool(const Packet&)>& wanted) {
    const auto end = Clock::now() + 700ms;
    while (Clock::now() < end) {
      for (const Packet& p : link_.receive(50ms)) {
        if (p.to == from_ && p.port_to == kPort && wanted(p)) return p;
      }
    }
    return {};
  }
  void send(std::uint8_t flags, std::uint32_t sequence, std::uint32_t acknowledged,
            const std::string& data = {}, const std::string& options = {}) {
    link_.send({{from_, to_, kTcp, kPort, port_, flags, sequence, acknowledged, options, data}});
  }
  std::uint32_t next() const { return isn_ + 6; }
  std::uint32_t theirs() const { return theirs_; }
  std::uint32_t first() const { return first_; }  ///< the server's, at the last step

 private:
  static constexpr std::uint16_t kPort = 5000;
  RawLink& link_;
  Ip from_;
  Ip to_;
  std::uint16_t port_;
  std::uint32_t isn_ = 1000;
  std::uint32_t theirs_ = 0;
  std::uint32_t first_ = 0;
};

class OneConnection : public OverFamily {
 protected:
  OneConnection() : server(net.host, {22, 443}), link(net) {}
  HandMade peer(std::uint16_t port = 22) { return {link, stranger(family(), 1), host(), port}; }

  Server server;
  RawLink link;
};
BOTH_FAMILIES(OneConnection);

TEST_P(OneConnection, ASocketThatEndedUnseenOpensNoOtherDoor) {
  fw.apply();
  HandMade attacker = peer();
  ASSERT_TRUE(attacker.connect());
  for (int i = 0; i < 12; ++i) {
    attacker.end_the_socket_alone();
    if (!attacker.connect()) break;
  }
  EXPECT_LE(server.accepted(22), 5u);
  EXPECT_GE(counter(net.host, "ssh.accepted"), server.accepted(22)) << "each is counted";
}

TEST_P(OneConnection, NoneOpensWhenThePortHasBeenClosed) {
  fw.apply("[ports]\ntcp = [443, 202]\n");
  HandMade attacker = peer(443);
  ASSERT_TRUE(attacker.connect());
  fw.apply("[ports]\ntcp = [202]\n");
  attacker.end_the_socket_alone();
  EXPECT_FALSE(attacker.connect());
  EXPECT_EQ(server.accepted(443), 1u);
}

TEST_P(OneConnection, NoneOpensInAPanicOrWhenItsSourceIsBlocked) {
  fw.apply();
  HandMade attacker = peer(443);
  ASSERT_TRUE(attacker.connect());
  fw.must({"panic", "on", "--force"});
  attacker.end_the_socket_alone();
  EXPECT_FALSE(attacker.connect());
  fw.must({"panic", "off"});
  fw.must({"block", to_string(stranger(family(), 1))});
  EXPECT_FALSE(attacker.connect());
  EXPECT_EQ(server.accepted(443), 1u);
}

TEST_P(OneConnection, TheNextOnTheSamePortsIsServedAndCounted) {
  fw.apply();
  HandMade client = peer();
  for (unsigned i = 1; i <= 5; ++i) {
    EXPECT_TRUE(client.connect()) << i;
    EXPECT_EQ(counter(net.host, "ssh.accepted"), i);
    client.reset();
  }
  EXPECT_FALSE(client.connect()) << "the sixth in ten seconds";
}

TEST_P(OneConnection, AFullQueueOfTheServerCountsNobodyTwice) {
  // A server that accepts nobody sends its SYN-ACK again to clients that were counted already.
  fw.apply("[ports]\ntcp = [22, 2222]\n" + limit_toml("slow", "2222", "outside", "ip", "4/1h"));
  const Process slow(net.host, {"python3", "-ISc",
                                "import socket, time\n"
                                "s = socket.create_server(('::', 2222), family=socket.AF_INET6,\n"
                                "                         backlog=2, dualstack_ipv6=True)\n"
                                "print('ready', flush=True)\n"
                                "time.sleep(60)\n"});
  ASSERT_TRUE(eventually([&] { return !slow.out_so_far().empty(); }));
  Handshakes first(link, stranger(family(), 2), host(), {2222}, 2);
  first.finish();
  ASSERT_TRUE(eventually([&] { return counter(net.host, "slow.accepted") == 2; }));
  Handshakes clients(link, stranger(family(), 2), host(), {2222}, 2, 11'000);
  clients.finish();
  const auto sent_again = [&] {
    for (const Packet& p : link.receive(100ms)) {
      if (p.port_from == 2222 && p.flags == (kSyn | kAck)) return true;
    }
    return false;
  };
  ASSERT_TRUE(eventually(sent_again)) << "the queue was never full";
  clients.finish();
  clients.finish();
  EXPECT_EQ(counter(net.host, "slow.accepted"), 4u);
  EXPECT_EQ(counter(net.host, "slow.refused"), 0u);
}

/// Sends back what it gets, and when the client has closed its side, goes on to send.
constexpr const char* kHalfOpen = R"(
import socket, time
s = socket.create_server(('::', 202), family=socket.AF_INET6, dualstack_ipv6=True)
print('ready', flush=True)
c, _ = s.accept()
while data := c.recv(4096):
    c.sendall(data)
while True:
    c.sendall(b'x')
    time.sleep(0.05)
)";

TEST_P(OneConnection, ASynInTheNameOfAHalfClosedOneCutsNothing) {
  fw.apply();
  const Process half_open(net.host, {"python3", "-ISc", kHalfOpen});
  ASSERT_TRUE(eventually([&] { return !half_open.out_so_far().empty(); }));
  HandMade victim = peer(202);
  ASSERT_TRUE(victim.connect());
  Handshakes others(link, stranger(family(), 1), host(), {22}, 4);
  others.finish();
  ASSERT_TRUE(eventually([&] { return counter(net.host, "ssh.accepted") == 5; }));
  victim.send(kFin | kAck, victim.next(), victim.theirs());
  std::uint32_t received = victim.theirs();
  const auto goes_on = [&] {
    const auto data = victim.wait([&](const Packet& p) {
      const auto end = p.sequence + static_cast<std::uint32_t>(p.data.size());
      return !p.data.empty() && static_cast<std::int32_t>(end - received) > 0;
    });
    if (!data) return false;
    received = data->sequence + static_cast<std::uint32_t>(data->data.size());
    victim.send(kAck, victim.next() + 1, received);
    return true;
  };
  ASSERT_TRUE(goes_on());
  for (std::uint32_t i = 0; i < 50; ++i) victim.syn(i * 90'000'000);
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(goes_on()) << i;
  EXPECT_EQ(counter(net.host, "ssh.accepted"), 5u);
}

/// With SYN cookies a server takes the last step of an earlier handshake for a new one.
class OneConnectionByCookie : public OneConnection {
 protected:
  OneConnectionByCookie() {
    net.host.sysctl("ipv4/tcp_syncookies", "2");
    fw.apply();
  }
  /// Sends the last step again, and then data; how often that was answered.
  std::size_t replay(HandMade& attacker, const std::function<void()>& end, int times) {
    std::size_t answered = 0;
    for (int i = 0; i < times; ++i) {
      end();
      link.receive(20ms);
      attacker.send(kAck, attacker.next() - 5, attacker.first());
      attacker.send(kAck | kPsh, attacker.next() - 5, attacker.first(), "knock");
      answered += attacker.wait([](const Packet& p) { return p.data == "knock"; }).has_value();
    }
    return answered;
  }
};
BOTH_FAMILIES(OneConnectionByCookie);

TEST_P(OneConnectionByCookie, TheLastStepAgainIsCountedAfterAReset) {
  HandMade attacker = peer();
  ASSERT_TRUE(attacker.connect());
  const auto reset = [&] { attacker.send(kRst | kAck, attacker.next(), attacker.theirs()); };
  EXPECT_LE(1 + replay(attacker, reset, 8), 5u);
  EXPECT_EQ(counter(net.host, "ssh.accepted"), server.accepted(22));
}

TEST_P(OneConnectionByCookie, NoDataPassesUncountedAfterBothHaveClosed) {
  HandMade attacker = peer();
  ASSERT_TRUE(attacker.connect());
  const auto close = [&] {
    attacker.send(kFin | kAck, attacker.next(), attacker.theirs());
    const auto fin = attacker.wait([](const Packet& p) { return (p.flags & kFin) != 0; });
    if (fin) attacker.send(kAck, attacker.next() + 1, fin->sequence + 1);
  };
  EXPECT_LE(1 + replay(attacker, close, 8), 5u);
}

TEST_P(OneConnection, ARefusedOneIsRefusedOnce) {
  fw.apply();
  Handshakes all(link, stranger(family(), 1), host(), {22}, 7);
  all.finish();
  ASSERT_TRUE(eventually([&] { return counter(net.host, "ssh.refused") >= 2; }));
  // What a client of a slow way has sent meanwhile.
  for (int i = 0; i < 10; ++i) all.finish();
  ASSERT_TRUE(eventually([&] { return all.resets() >= 22; }));
  EXPECT_EQ(counter(net.host, "ssh.refused"), 2u);
  EXPECT_EQ(counter(net.host, "ssh.accepted"), 5u);
}

/// A live connection of a victim's, whose budget is spent. An attacker who knows its ports forges.
class OneConnectionSpent : public OneConnection {
 protected:
  void SetUp() override {
    fw.apply();
    ASSERT_TRUE(victim.connect());
    Handshakes others(link, stranger(family(), 1), host(), {22}, 4);
    others.finish();
    ASSERT_TRUE(eventually([&] { return counter(net.host, "ssh.accepted") == 5; }));
  }
  /// What the victim gets for a word: its echo, a reset, or nothing.
  std::optional<Packet> speak() {
    victim.send(kAck | kPsh, victim.next(), victim.theirs(), "again");
    return victim.wait([](const Packet& p) { return (p.flags & kRst) != 0 || p.data == "again"; });
  }
  void forge_syn() { victim.syn(victim.next() + 12'345'678); }
  /// Within the window.
  void forge_reset() { victim.send(kRst, victim.next() + 100, 0); }

  HandMade victim = peer();
};
BOTH_FAMILIES(OneConnectionSpent);

TEST_P(OneConnectionSpent, AnInexactResetNeitherCutsNorAccuses) {
  forge_reset();
  EXPECT_FALSE(speak()) << "its budget is spent";
  EXPECT_GE(counter(net.host, "ssh.refused"), 1u);
  std::optional<Packet> answer;
  EXPECT_TRUE(eventually([&] { return (answer = speak()).has_value(); }));
  EXPECT_EQ(answer->data, "again") << "it was cut";
}

TEST_P(OneConnectionSpent, ASynCutsNothing) {
  forge_syn();
  ASSERT_TRUE(eventually([&] { return counter(net.host, "ssh.refused") == 1; }));
  const auto answer = speak();
  ASSERT_TRUE(answer.has_value());
  EXPECT_EQ(answer->data, "again") << "it was cut";
}

/// Nor does a SYN make a forged reset look like the end of a connection before another.
TEST_P(OneConnectionSpent, ASynAndResetsNeitherCutNorAccuse) {
  forge_syn();
  for (int i = 0; i < 4; ++i) forge_reset();
  const auto answer = speak();
  EXPECT_TRUE(!answer || answer->data == "again") << "it was cut";
}

/// The same through destination NAT, on the way to an app.
class OneConnectionPublished : public OneConnection {
 protected:
  OneConnectionPublished() {
    bridge.publish(29'418, wiki, 8080);
    fw.apply(apps_toml() + app_toml("wiki", wiki, "publishes = [\"tcp/29418\"]") +
             limit_toml("wiki", "29418", "outside", "ip", "5/10s"));
  }
  AppBridge bridge{net};
  App& wiki = bridge.add(2);
  Server inside{wiki.inside, {8080}};
};
BOTH_FAMILIES(OneConnectionPublished);

TEST_P(OneConnectionPublished, ASocketThatEndedUnseenOpensNoOtherDoor) {
  HandMade attacker = peer(29'418);
  ASSERT_TRUE(attacker.connect());
  for (int i = 0; i < 12; ++i) {
    attacker.end_the_socket_alone();
    if (!attacker.connect()) break;
  }
  EXPECT_LE(inside.accepted(8080), 5u);
  EXPECT_GE(counter(net.host, "wiki.accepted"), inside.accepted(8080));
}

TEST_P(OneConnectionPublished, TheNextOnTheSamePortsIsServedAndCounted) {
  HandMade client = peer(29'418);
  for (unsigned i = 1; i <= 5; ++i) {
    EXPECT_TRUE(client.connect()) << i;
    EXPECT_EQ(counter(net.host, "wiki.accepted"), i);
    client.reset();
  }
  EXPECT_FALSE(client.connect()) << "the sixth in ten seconds";
}

}  // namespace
}  // namespace lab
