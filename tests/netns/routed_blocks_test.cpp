// Blocks of single addresses, and flows that the host sends on: the early drop lets later packets
// of TCP pass, for they may be answers to the host.
// SPDX-License-Identifier: GPL-2.0-or-later
#include <optional>
#include <set>

#include <fmt/format.h>

#include "tests/lab/family.hpp"

namespace lab {
namespace {

constexpr Mac kInnerMac{2, 0, 0, 0, 3, 2};
constexpr Mac kLanMac{2, 0, 0, 0, 3, 1};
constexpr std::uint16_t kPublished = 9000;
constexpr std::uint16_t kInnerPort = 7000;

/// A server behind the host: routed to, and by a port of the host that is translated to it. It sits
/// on a bridge, for with a second device of the outside's first packets are asked for addresses.
class RoutedBlocks : public OverFamily {
 protected:
  RoutedBlocks() {
    net.host.sysctl("ipv4/ip_forward", "1");
    net.host.sysctl("ipv6/conf/all/forwarding", "1");
    inner.sysctl("ipv6/conf/default/accept_dad", "0");
    ip_commands(net.host, fmt::format(R"(
link add lan address {1} type bridge
link add lan0 type veth peer name eth0 address {0} netns {2}
link set lan0 master lan up
address add 203.0.113.129/28 dev lan
address add 2001:db8:a::1/64 dev lan nodad
link set lan up
neighbour replace 203.0.113.130 lladdr {0} dev lan nud permanent
neighbour replace 2001:db8:a::2 lladdr {0} dev lan nud permanent
)",
                                      text(kInnerMac), text(kLanMac), inner.path()));
    ip_commands(inner, fmt::format(R"(
address add 203.0.113.130/28 dev eth0
address add 2001:db8:a::2/64 dev eth0 nodad
link set eth0 up
route add default via 203.0.113.129
route add default via 2001:db8:a::1
neighbour replace 203.0.113.129 lladdr {0} dev eth0 nud permanent
neighbour replace 2001:db8:a::1 lladdr {0} dev eth0 nud permanent
)",
                                   text(kLanMac)));
    nft(net.host, R"(
table inet translate {
  chain prerouting {
    type nat hook prerouting priority dstnat;
    fib daddr type local tcp dport 9000 dnat ip to 203.0.113.130:7000
    fib daddr type local tcp dport 9000 dnat ip6 to [2001:db8:a::2]:7000
  }
}
)");
    server.emplace(inner, PortList{kInnerPort});
    fw.apply("[ports]\ntcp = [22, 9000]\n[apps]\nrouted = [\"lan\"]\n");
  }

  static std::string text(const Mac& mac) { return fmt::format("{:02x}", fmt::join(mac, ":")); }
  Ip routed() const {
    return *fw::parse_ip(family() == Family::ipv4 ? "203.0.113.130" : "2001:db8:a::2");
  }
  Packet packet(unsigned who, Ip to, std::uint8_t flags, std::uint32_t sequence,
                std::uint32_t acknowledged, const std::string& data = {},
                std::uint16_t port = 5000) const {
    Packet p{stranger(family(), who), to, kTcp, port, port_of(to), flags, sequence, acknowledged};
    p.data = data;
    return p;
  }
  std::uint16_t port_of(Ip to) const { return to == host() ? kPublished : kInnerPort; }

  /// Until the server has sent back a word; gives which of its bytes comes next, 0 when there is no
  /// connection.
  std::uint32_t connect(unsigned who, Ip to) {
    link.receive(0ms);
    link.send({packet(who, to, kSyn, 1000, 0)});
    std::uint32_t theirs = 0;
    const bool open = eventually([&] {
      for (const Packet& p : link.receive(100ms)) {
        if (p.to != stranger(family(), who)) continue;
        if (p.flags == (kSyn | kAck)) {
          theirs = p.sequence + 1;
          link.send({packet(who, to, kAck, 1001, theirs),
                     packet(who, to, kAck | kPsh, 1001, theirs, "knock")});
        }
        if (p.data == "knock") return true;
      }
      return false;
    });
    return open ? theirs + 5 : 0;
  }
  /// Whose packets come to the server, until the SYN of another who is asked last does.
  std::set<Ip> who_comes_through(const std::vector<Packet>& packets, Ip to) {
    RawLink at(inner, kInnerMac, kLanMac);
    link.send(packets);
    link.send({packet(9, to, kSyn, 1, 0)});
    std::set<Ip> out;
    EXPECT_TRUE(eventually([&] {
      for (const Packet& p : at.receive(100ms)) {
        if (p.protocol == kTcp && p.port_to == kInnerPort) out.insert(p.from);
      }
      return out.contains(stranger(family(), 9));
    }));
    out.erase(stranger(family(), 9));
    return out;
  }

  Namespace inner;
  std::optional<Server> server;
  RawLink link{net};
};
BOTH_FAMILIES(RoutedBlocks);

TEST_P(RoutedBlocks, NothingOfABlockedAddressPassesAnyMore) {
  for (const Ip to : {host(), routed()}) {
    SCOPED_TRACE(to_string(to));
    const unsigned who = to == host() ? 1 : 2;
    const std::uint32_t theirs = connect(who, to);
    ASSERT_NE(theirs, 0u);
    std::vector<Packet> next{
        packet(who, to, kAck, 1006, theirs), packet(who, to, kAck | kPsh, 1006, theirs, "again"),
        packet(who, to, kFin | kAck, 1011, theirs), packet(who, to, kRst | kAck, 1011, theirs)};
    EXPECT_EQ(who_comes_through({next[0], next[1]}, to), std::set{stranger(family(), who)});
    fw.must({"block", to_string(stranger(family(), who))});
    // The next of that flow; a new flow; and one that begins in its middle.
    next.push_back(packet(who, to, kSyn, 1, 0, {}, 5001));
    next.push_back(packet(who, to, kAck | kPsh, 1, 1, "new", 5002));
    EXPECT_EQ(who_comes_through(next, to), std::set<Ip>{});
    EXPECT_EQ(who_comes_through(next, to), std::set<Ip>{}) << "nor when it tries again";
  }
}

}  // namespace
}  // namespace lab
