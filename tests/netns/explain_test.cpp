// The evaluator against the kernel: random policies, random packets, and for each packet every rule
// that matched, in order, as the kernel's own trace tells.
// SPDX-License-Identifier: GPL-2.0-or-later
#include <algorithm>
#include <cstdlib>
#include <map>
#include <optional>
#include <random>
#include <thread>

#include <arpa/inet.h>
#include <boost/json.hpp>
#include <fmt/format.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <net/if.h>
#include <poll.h>

#include "chains/build.hpp"
#include "chains/evaluate.hpp"
#include "chains/netlink/kernel.hpp"
#include "tests/lab/apps.hpp"
#include "tests/lab/family.hpp"

namespace lab {
namespace {

namespace build = chains::build;
using chains::Arrival;
using chains::Connection;
using chains::Hook;
using chains::Time;

const char* verdict_name(std::int32_t code) {
  switch (code) {
    case 0:
      return "drop";
    case 1:
      return "accept";
    case NFT_JUMP:
      return "jump";
    case NFT_GOTO:
      return "goto";
    case NFT_RETURN:
      return "return";
    default:
      return "continue";
  }
}

/// What the kernel says of each traced packet: "input 3 goto", one line a rule that matched.
/// Not of neighbour discovery, which the stacks do by themselves.
class Trace {
 public:
  explicit Trace(const Namespace& host) {
    nft(host, R"(
table netdev lab_trace {
  chain eth0 {
    type filter hook ingress device eth0 priority -600;
    icmpv6 type { 130-137, 143 } accept
    meta nftrace set 1
  }
}
table inet lab_trace {
  chain prerouting {
    type filter hook prerouting priority -400;
    iifname br0 meta l4proto { tcp, udp } meta nftrace set 1
  }
})");
    host.in([this] {
      socket_ = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC);
      int group = NFNLGRP_NFTRACE;
      const int bytes = 16 << 20;
      if (socket_ == nullptr || mnl_socket_bind(socket_, 0, MNL_SOCKET_AUTOPID) < 0 ||
          mnl_socket_setsockopt(socket_, NETLINK_ADD_MEMBERSHIP, &group, sizeof group) < 0) {
        fail("cannot hear the kernel's traces");
      }
      ::setsockopt(mnl_socket_get_fd(socket_), SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes);
    });
    const auto all = boost::json::parse(must_run(host, {"nft", "-tj", "list table inet cloudron"}));
    std::map<std::string, std::size_t> rules;
    for (const auto& item : all.at("nftables").as_array()) {
      const auto* rule = item.as_object().if_contains("rule");
      if (rule == nullptr) continue;
      const std::string chain(rule->at("chain").as_string());
      index_[rule->at("handle").to_number<std::uint64_t>()] = rules[chain]++;
    }
  }
  ~Trace() { mnl_socket_close(socket_); }
  Trace(const Trace&) = delete;
  Trace& operator=(const Trace&) = delete;

  /// The lines of the packet that was just sent, until it has been decided on.
  std::string next() {
    lines_.clear();
    decided_ = false;
    pollfd polled{mnl_socket_get_fd(socket_), POLLIN, 0};
    char buffer[65536];
    while (!decided_) {
      if (::poll(&polled, 1, 3000) != 1) return lines_ + "(nothing more)\n";
      const ssize_t got = mnl_socket_recvfrom(socket_, buffer, sizeof buffer);
      if (got < 0) fail("traces were lost");
      mnl_cb_run(buffer, static_cast<std::size_t>(got), 0, 0, &Trace::message, this);
    }
    return lines_;
  }

 private:
  static int attribute(const nlattr* a, void* data) {
    static_cast<std::map<int, const nlattr*>*>(data)->emplace(mnl_attr_get_type(a), a);
    return MNL_CB_OK;
  }
  static int message(const nlmsghdr* m, void* data) {
    std::map<int, const nlattr*> all;
    mnl_attr_parse(m, sizeof(nfgenmsg), attribute, &all);
    if (std::string_view(mnl_attr_get_str(all.at(NFTA_TRACE_TABLE))) != "cloudron" ||
        static_cast<const nfgenmsg*>(mnl_nlmsg_get_payload(m))->nfgen_family != NFPROTO_INET) {
      return MNL_CB_OK;
    }
    static_cast<Trace*>(data)->take(all);
    return MNL_CB_OK;
  }

  void take(const std::map<int, const nlattr*>& all) {
    const std::string chain = mnl_attr_get_str(all.at(NFTA_TRACE_CHAIN));
    const std::uint32_t type = ntohl(mnl_attr_get_u32(all.at(NFTA_TRACE_TYPE)));
    std::int32_t code = NFT_CONTINUE;
    std::string place = "policy";
    if (type == NFT_TRACETYPE_POLICY) {
      code = static_cast<std::int32_t>(ntohl(mnl_attr_get_u32(all.at(NFTA_TRACE_POLICY))));
    } else {
      const auto handle = all.find(NFTA_TRACE_RULE_HANDLE);
      if (handle == all.end()) return;  // the end of a chain
      std::map<int, const nlattr*> verdict;
      mnl_attr_parse_nested(all.at(NFTA_TRACE_VERDICT), attribute, &verdict);
      code = static_cast<std::int32_t>(ntohl(mnl_attr_get_u32(verdict.at(NFTA_VERDICT_CODE))));
      place = std::to_string(index_.at(be64toh(mnl_attr_get_u64(handle->second))));
    }
    lines_ += fmt::format("{} {} {}\n", chain, place, verdict_name(code));
    decided_ = code == 0 || (code == 1 && chain != "ingress");
  }

  mnl_socket* socket_ = nullptr;
  std::map<std::uint64_t, std::size_t> index_;
  std::string lines_;
  bool decided_ = false;
};

/// The same lines of an evaluation.
std::string lines(const chains::Evaluation& evaluation) {
  std::string out;
  for (const chains::Step& step : evaluation.steps) {
    if (!step.matched()) continue;
    out += fmt::format(
        "{} {} {}\n", step.chain, step.rule ? std::to_string(*step.rule) : "policy",
        step.verdict ? verdict_name(static_cast<std::int32_t>(step.verdict->kind)) : "continue");
  }
  return out + (evaluation.unknown.empty() ? "" : "unknown: " + evaluation.unknown + "\n");
}

/// Sources by what the policy says of them: 256 strangers a class, of which a few are used.
enum Class : unsigned {
  ordinary,
  blocked,
  in_blocked_net,
  listed,
  in_listed_net,
  allowed,
  trusted,
  kClasses
};
constexpr unsigned kUsed = 5;

/// No two are neighbours: a list would make one network of them.
Ip source(Family family, unsigned kind, unsigned n) {
  return stranger(family, kind * 256 + 2 * n + 1);
}
unsigned class_of(Ip ip) {
  const auto bits = ip.family == Family::ipv4 ? ip.bits : ip.bits >> 64;
  return static_cast<unsigned>(bits >> 8 & 0xff);
}
std::string network(Family family, unsigned kind) {
  return family == Family::ipv4 ? fmt::format("198.19.{}.0/24", kind)
                                : fmt::format("2001:db8:1900:{:x}::/56", kind << 8);
}

/// No packet but those that the test makes: the stack of a namespace hears nothing.
void silence(const Namespace& where) {
  nft(where, R"(table inet lab_silent {
    chain prerouting { type filter hook prerouting priority raw; policy drop; }
  })");
}

struct Round {
  std::mt19937_64& random;
  Network net;
  Firewall fw{net.host};
  // Nobody closes a connection to 8000, whose limit counts the open ones.
  Server server{net.host, {22, 80, 443, 8000, 8005, 8050}};
  RawLink link{net};
  std::optional<AppBridge> bridge;
  std::vector<App*> apps;  ///< wiki, blog, mysql
  chains::Ruleset ruleset;
  std::optional<Trace> trace;
  chains::State state;
  std::map<std::string, chains::Device> devices;
  std::uint16_t port = 10'000;
  std::size_t judged = 0;
  std::map<std::string, std::size_t> met;  ///< how often which rule matched
  std::string policy;

  Round(std::mt19937_64& r, bool with_apps) : random(r) {
    silence(net.outside);
    if (with_apps) make_apps();
    make_policy();
    fw.apply(policy);
    for (const Family f : {Family::ipv4, Family::ipv6}) {
      for (unsigned n = 0; n < kUsed; ++n) fw.must({"block", to_string(source(f, blocked, n))});
      fw.must({"block", network(f, in_blocked_net)});
    }
    net.host.in([this] {
      auto kernel = chains::Kernel::open();
      ruleset = *kernel->read()->ruleset;
      devices["eth0"] = {"eth0", ::if_nametoindex("eth0"), "veth"};
      devices["br0"] = {"br0", ::if_nametoindex("br0"), "bridge"};
    });
    trace.emplace(net.host);
  }

  unsigned pick(unsigned below) { return static_cast<unsigned>(random() % below); }
  template <class T>
  T one_of(const std::vector<T>& values) {
    return values[pick(static_cast<unsigned>(values.size()))];
  }

  void make_apps() {
    bridge.emplace(net);
    for (const unsigned number : {2u, 3u, 10u}) {
      apps.push_back(&bridge->add(number));
      silence(apps.back()->inside);
    }
    bridge->publish(2900, *apps[0], 80);
    bridge->publish(2901, *apps[0], 81);
  }

  void make_policy() {
    std::string list;
    std::string allow;
    for (const Family f : {Family::ipv4, Family::ipv6}) {
      for (unsigned n = 0; n < kUsed; ++n) list += to_string(source(f, listed, n)) + "\n";
      for (const unsigned kind : {in_listed_net, allowed, trusted}) list += network(f, kind) + "\n";
      allow += network(f, allowed) + "\n";
    }
    policy = fmt::format(R"([ports]
tcp = [22, 80, {}, "8000-8100"]
udp = [53, "6000-6010"]
[trusted]
networks = ["{}", "{}"]
[[list]]
name = "bad"
file = "{}"
[[list]]
name = "good"
file = "{}"
action = "allow"
)",
                         pick(2) == 0 ? 443 : 8443, network(Family::ipv4, trusted),
                         network(Family::ipv6, trusted), fw.file("bad.txt", list),
                         fw.file("good.txt", allow));
    const std::string sizes = fmt::format("prefix4 = {}\nprefix6 = {}\n", one_of<int>({32, 24, 30}),
                                          one_of<int>({64, 56, 128}));
    policy +=
        limit_toml("ssh", "22, 202", "outside", "ip", fmt::format("{}/h", 1 + pick(6)), sizes);
    policy +=
        limit_toml("web", "80, 443", "outside", "ip", fmt::format("{}/d", 17 + pick(20)), sizes);
    policy += limit_toml("some", "\"8040-8060\", \"udp/6000-6005\", 2900", "outside", "ip",
                         fmt::format("{}/2h", 2 + pick(30)), pick(2) == 0 ? "" : "prefix4 = 24\n");
    policy += limit_toml("many", "8000", "outside", "ip", "1000/d",
                         fmt::format("concurrent = {}\n", 1 + pick(2)));
    if (apps.empty()) return;
    policy += apps_toml();
    policy += app_toml("wiki", *apps[0], "publishes = [2900, \"udp/2900\"]\naddons = [\"mysql\"]");
    policy += app_toml("blog", *apps[1], "addons = []");
    policy += addon_toml("mysql", *apps[2], {3306, 5432});
    policy +=
        limit_toml("database", "3306, 5432", "apps", "app", fmt::format("{}/d", 2 + pick(25)));
  }

  std::optional<bool> managed(const chains::Set& set, const chains::Bytes& key) const {
    const Family family = key.size() == 4 ? Family::ipv4 : Family::ipv6;
    const Ip ip = fw::ip_from_bytes(family, key.data());
    const auto low =
        static_cast<unsigned>((family == Family::ipv4 ? ip.bits : ip.bits >> 64) & 0xff);
    const bool ours = ip == stranger(family, class_of(ip) * 256 + low);
    if (!ours) return false;
    const std::map<std::string, unsigned> kinds{{"block4", blocked},
                                                {"block6", blocked},
                                                {"block_net4", in_blocked_net},
                                                {"block_net6", in_blocked_net},
                                                {"listed4", listed},
                                                {"listed6", listed},
                                                {"listed_net4", in_listed_net},
                                                {"listed_net6", in_listed_net},
                                                {"allowed_net4", allowed},
                                                {"allowed_net6", allowed}};
    const auto it = kinds.find(set.name);
    return it != kinds.end() && it->second == class_of(ip);
  }

  chains::Evaluation evaluate(Hook hook, const Arrival& arrival, chains::State& s, Time now) const {
    const auto contents = [this](const chains::Set& set, const chains::Bytes& key) {
      return managed(set, key);
    };
    Arrival early = arrival;
    early.connection.reset();
    auto first = chains::evaluate(ruleset, Hook::ingress, early, contents, s, now);
    if (first.outcome != chains::Outcome::accepted) return first;
    auto rest = chains::evaluate(ruleset, hook, arrival, contents, s, now);
    rest.steps.insert(rest.steps.begin(), first.steps.begin(), first.steps.end());
    return rest;
  }

  static Time clock() { return Clock::now().time_since_epoch(); }

  /// Waits while the answer is about to change: an element that ends, a token that comes back.
  chains::Evaluation settled(Hook hook, const Arrival& arrival) {
    constexpr Time kMargin = 15ms;
    for (;;) {
      const Time now = clock();
      chains::State before = state;
      chains::State after = state;
      chains::State at = state;
      const std::string a = lines(evaluate(hook, arrival, before, now - kMargin));
      const std::string b = lines(evaluate(hook, arrival, after, now + kMargin));
      auto evaluation = evaluate(hook, arrival, at, now);
      if (a == b && a == lines(evaluation)) {
        state = std::move(at);
        return evaluation;
      }
      std::this_thread::sleep_for(1ms);
    }
  }

  /// Sends the packet, which arrives at the hook as said; the label is kept in the connection.
  chains::Outcome judge(const RawLink& by, const Packet& packet, Hook hook, Arrival& arrival) {
    const auto expected = settled(hook, arrival);
    by.send(std::vector<Packet>{packet});
    const std::string said = trace->next();
    ++judged;
    EXPECT_EQ(lines(expected), said)
        << to_string(packet.from) << " " << packet.port_from << " -> " << to_string(packet.to)
        << " " << packet.port_to << " protocol " << int{packet.protocol} << " flags "
        << int{packet.flags};
    if (arrival.connection) arrival.connection->label = expected.label;
    for (const auto& step : expected.steps) {
      if (!step.matched() || !step.rule) continue;
      ++met[chains::find(ruleset.chains, step.chain)->rules[*step.rule].id];
    }
    return expected.outcome;
  }

  Arrival arrival_of(const Packet& p, const char* device) {
    Arrival a;
    const bool icmp = p.protocol == kIcmp || p.protocol == kIcmp6;
    a.packet = {p.from, p.to, p.port_from, p.port_to, p.protocol, p.flags, 0, true};
    a.packet.payload = static_cast<std::uint32_t>(p.data.size());
    a.packet.fast_open = static_cast<std::uint8_t>(std::ranges::count(p.options, '\x22'));
    a.packet.experimental = static_cast<std::uint8_t>(std::ranges::count(p.options, '\xfe'));
    if (icmp) a.packet.icmp_type = static_cast<std::uint8_t>(p.port_to);
    a.device = devices.at(device);
    a.out = devices.at("br0");  // of what is forwarded: to an app, or the answer to who asked it
    a.route_back = std::string_view(device) == "br0";
    a.connection.emplace().state = build::kStateNew;
    a.connection->original_dport = static_cast<std::uint16_t>(icmp ? p.port_to << 8 : p.port_to);
    return a;
  }

  Ip any_source(Family family) {
    const unsigned kind = pick(3) == 0 ? pick(kClasses) : static_cast<unsigned>(ordinary);
    return source(family, kind, pick(kUsed));
  }

  /// The step after a SYN: what the host answered, or nothing.
  std::optional<Packet> answered(const Packet& syn) {
    const auto end = Clock::now() + 2s;
    while (Clock::now() < end) {
      for (const Packet& p : link.receive(200ms)) {
        if (p.port_to == syn.port_from && p.flags == (kSyn | kAck) && p.to == syn.from) return p;
      }
    }
    return {};
  }

  void ask_for_fast_open(Packet& p) {
    static const std::string kCookie(
        "\x22\x0a"
        "cookie..",
        10);
    static const std::string kOlder("\xfe\x04\xf9\x89", 4);
    for (unsigned i = 0; i < pick(3); ++i) p.options += kCookie + "\x01\x01";
    for (unsigned i = 0; i < pick(3); ++i) p.options += kOlder;
    if (pick(2) == 0) p.data = "data";
  }

  void tcp_to_host(Family family) {
    Packet p{any_source(family), host_address(family), kTcp, ++port, 0, kSyn, 1000, 0};
    const bool listens = pick(4) != 0;
    p.port_to =
        listens ? one_of<std::uint16_t>({22, 22, 80, 80, 443, 8005, 8050})
                : one_of<std::uint16_t>({25, 3306, 7999, 8000, 8000, 8000, 8000, 8100, 8101, 8443});
    if (pick(6) == 0) ask_for_fast_open(p);
    Arrival a = arrival_of(p, "eth0");
    if (judge(link, p, Hook::input, a) != chains::Outcome::accepted || !listens) return;
    p.options.clear();
    p.data.clear();
    a.packet.payload = a.packet.fast_open = a.packet.experimental = 0;
    const auto answer = answered(p);
    if (!answer) return void(ADD_FAILURE() << "no SYN-ACK from port " << p.port_to);
    a.connection->state = build::kStateEstablished;
    p.sequence = 1001;
    p.acknowledged = answer->sequence + 1;
    const std::vector<std::uint8_t> then = one_of<std::vector<std::uint8_t>>(
        {{kAck, kAck | kPsh}, {kAck, kAck | kPsh}, {kAck}, {kRst}, {kAck | kPsh}});
    for (const std::uint8_t flags : then) {
      p.flags = a.packet.tcp_flags = flags;
      if ((flags & kAck) != 0) a.connection->status |= 1u << 2;  // IPS_ASSURED
      const auto outcome = judge(link, p, Hook::input, a);
      if (outcome != chains::Outcome::accepted) return;
    }
  }

  /// A single packet of no known connection, with flags that may be impossible.
  void garbage(Family family) {
    Packet p{any_source(family),
             host_address(family),
             kTcp,
             ++port,
             one_of<std::uint16_t>({22, 80, 9, 8000}),
             static_cast<std::uint8_t>(pick(64)),
             1000,
             77};
    Arrival a = arrival_of(p, "eth0");
    // nf_conntrack_proto_tcp.c: tcp_valid_flags, and what may begin a connection.
    const unsigned kind = p.flags & (kFin | kSyn | kRst | kAck);
    if ((kind != kSyn && kind != kAck)) a.connection.reset();
    judge(link, p, Hook::input, a);
  }

  void udp_to_host(Family family) {
    const Packet p{any_source(family),
                   host_address(family),
                   kUdp,
                   ++port,
                   one_of<std::uint16_t>({53, 6000, 6003, 6005, 6006, 6011, 123}),
                   0,
                   0,
                   0};
    Arrival a = arrival_of(p, "eth0");
    // Nobody listens, so nothing makes the flow established.
    for (unsigned i = 0; i < 1 + pick(2); ++i) {
      if (judge(link, p, Hook::input, a) != chains::Outcome::accepted) return;
    }
  }

  void ping(Family family) {
    const bool v4 = family == Family::ipv4;
    const auto type =
        v4 ? one_of<std::uint16_t>({8, 8, 0, 13}) : one_of<std::uint16_t>({128, 128, 129});
    const Packet p{
        any_source(family), host_address(family), v4 ? kIcmp : kIcmp6, ++port, type, 0, 0, 0};
    Arrival a = arrival_of(p, "eth0");
    if (type == 0 || type == 129) a.connection.reset();
    const bool accepted = judge(link, p, Hook::input, a) == chains::Outcome::accepted;
    if (!accepted || (type != 8 && type != 128)) return;
    a.connection->state = build::kStateEstablished;  // the host has answered at once
    judge(link, p, Hook::input, a);
  }

  void forged_app(Family family) {
    const Packet p{app_address(family, 77), host_address(family), kTcp, ++port, 80, kSyn, 1000, 0};
    Arrival a = arrival_of(p, "eth0");
    if (family == Family::ipv6 && apps.empty()) a.route_back.reset();  // no app network
    judge(link, p, Hook::input, a);
  }

  /// SYN, the answer by hand, ACK: through the host, from `by` to what it arrives as at `app`.
  void through(const RawLink& by, const char* device, Packet p, const App& app,
               std::uint16_t app_port, std::uint32_t status, const Mac& back) {
    Arrival a = arrival_of(p, device);
    a.packet.destination = app.address(p.from.family);
    a.packet.destination_port = app_port;
    a.connection->status = status;
    if (judge(by, p, Hook::forward, a) != chains::Outcome::accepted || p.protocol != kTcp) return;
    const RawLink from_app(app.inside, app.mac, back);
    Packet answer{a.packet.destination, p.from,      kTcp, app_port,
                  p.port_from,          kSyn | kAck, 5000, 1001};
    Arrival b = arrival_of(answer, "br0");
    b.connection = a.connection;
    b.connection->state = a.connection->state = build::kStateEstablished;
    b.connection->reply = true;
    if (judge(from_app, answer, Hook::forward, b) != chains::Outcome::accepted) return;
    a.connection->label = b.connection->label;
    p.flags = a.packet.tcp_flags = kAck;
    a.connection->status |= 1u << 2;  // IPS_ASSURED
    p.sequence = 1001;
    p.acknowledged = 5001;
    judge(by, p, Hook::forward, a);
  }

  void published(Family family) {
    const auto protocol = pick(4) == 0 ? kUdp : kTcp;
    const auto to = one_of<std::uint16_t>({2900, 2900, 2901});
    through(link, "eth0",
            {any_source(family), host_address(family), protocol, ++port, to, kSyn, 1000, 0},
            *apps[0], to == 2900 ? 80 : 81, 32, kBridgeMac);
  }

  void app_to_app(Family family) {
    const App& from = *apps[pick(2)];
    const App& to = *apps[pick(3) == 0 ? 1 - pick(2) : 2];
    if (&from == &to) return;
    const RawLink by(from.inside, from.mac, to.mac);
    const auto p = one_of<std::uint16_t>({3306, 3306, 5432, 22});
    through(by, "br0", {from.address(family), to.address(family), kTcp, ++port, p, kSyn, 1000, 0},
            to, p, 0, from.mac);
  }

  void app_to_host(Family family) {
    const App& from = *apps[pick(2)];
    const RawLink by(from.inside, from.mac, kBridgeMac);
    const Packet p{from.address(family),
                   host_address(family),
                   pick(2) == 0 ? kUdp : kTcp,
                   ++port,
                   one_of<std::uint16_t>({53, 80, 25}),
                   kSyn,
                   1000,
                   0};
    Arrival a = arrival_of(p, "br0");
    judge(by, p, Hook::input, a);
  }

  void some_packets() {
    const Family family = pick(2) == 0 ? Family::ipv4 : Family::ipv6;
    const unsigned kind = pick(apps.empty() ? 8 : 14);
    if (kind < 4) return tcp_to_host(family);
    if (kind == 4) return garbage(family);
    if (kind == 5) return udp_to_host(family);
    if (kind == 6) return ping(family);
    if (kind == 7) return forged_app(family);
    if (kind < 10) return published(family);
    if (kind < 13) return app_to_app(family);
    app_to_host(family);
  }
};

/// Some packet of a run meets each of these.
constexpr const char* kRules[] = {"admitted flow",
                                  "closed port",
                                  "open port",
                                  "new without SYN",
                                  "no slot is free",
                                  "take a free slot",
                                  "take a token",
                                  "refused",
                                  "refused after the handshake",
                                  "blocked address",
                                  "blocked network",
                                  "listed address",
                                  "listed network",
                                  "trusted",
                                  "allowed by a list",
                                  "ping",
                                  "not from where the app is",
                                  "app to its addon",
                                  "app to app",
                                  "unpublished port",
                                  "reply",
                                  "admit",
                                  "the app's budget",
                                  "too many at once",
                                  "DNS for apps"};

TEST(AloneExplain, TheEvaluatorAndTheKernelAgreeOnEveryRule) {
  const char* const seed_text = std::getenv("CLOUDRON_FW_SEED");
  const std::uint64_t seed =
      seed_text != nullptr ? std::strtoull(seed_text, nullptr, 10) : std::random_device{}();
  SCOPED_TRACE(fmt::format("CLOUDRON_FW_SEED={} gives the same packets again", seed));
  std::mt19937_64 random(seed);
  const std::size_t wanted = std::getenv("CLOUDRON_FW_NIGHTLY") != nullptr ? 20'000 : 2'000;
  std::size_t judged = 0;
  std::map<std::string, std::size_t> met;
  const auto all_met = [&] {
    return std::all_of(std::begin(kRules), std::end(kRules), [&](auto id) { return met[id] > 0; });
  };
  for (unsigned number = 0; judged < wanted || (!all_met() && judged < 3 * wanted); ++number) {
    Round round(random, number % 2 == 1);
    while (round.judged < 250) round.some_packets();
    judged += round.judged;
    for (const auto& [id, count] : round.met) met[id] += count;
    ASSERT_FALSE(HasFailure()) << round.policy;
  }
  for (const char* id : kRules) EXPECT_GT(met[id], 0u) << id;
  RecordProperty("packets", static_cast<int>(judged));
}

class Explain : public OverFamily {
 protected:
  int exit_of(const std::vector<std::string>& words) const {
    std::vector<std::string> all{"explain"};
    all.insert(all.end(), words.begin(), words.end());
    return fw.run(all).exit;
  }
  Server server{net.host, {22, 80, 443}};
};
BOTH_FAMILIES(Explain);

TEST_P(Explain, SaysBeforeWhatAConnectionMeets) {
  const std::string who = to_string(client(family(), 1));
  EXPECT_EQ(exit_of({who, "tcp/22", "--live"}), 0) << "no firewall yet: everything passes";
  fw.apply("[ports]\ntcp = [22, 80]\n");
  EXPECT_EQ(exit_of({who, "tcp/80"}), 0);
  EXPECT_EQ(exit_of({who, "443"}), 2);
  EXPECT_EQ(exit_of({who, "udp/53", "--live"}), 2);
  EXPECT_EQ(exit_of({who, "ping"}), 0);
  EXPECT_EQ(exit_of({who, "https"}), 64);
  const auto answer = fw.json({"explain", who, "tcp/80"}).at("answers").at(0);
  EXPECT_EQ(answer.at("verdict"), "accepted");
  EXPECT_EQ(answer.at("where").at("line"), 2);
  EXPECT_EQ(answer.at("packets").as_array().size(), 2u);
}

TEST_P(Explain, LiveKnowsWhatASourceHasLeft) {
  fw.apply();
  const std::string who = to_string(client(family(), 1));
  const auto left = [&] {
    return fw.json({"explain", who, "tcp/22", "--live"})
        .at("answers")
        .at(0)
        .at("limits")
        .at(0)
        .at("left");
  };
  EXPECT_EQ(left(), 5);
  EXPECT_EQ(served(from(1).tries(host(), {22}, {3, {}, 700ms})), 3u);
  EXPECT_EQ(left(), 2);
  EXPECT_EQ(exit_of({who, "tcp/22", "--live"}), 0);
  EXPECT_EQ(served(from(1).tries(host(), {22}, {3, {}, 700ms})), 2u);
  EXPECT_EQ(exit_of({who, "tcp/22", "--live"}), 2);
  EXPECT_EQ(exit_of({who, "tcp/22"}), 0) << "of the policy alone every budget is full";
  EXPECT_EQ(exit_of({to_string(client(family(), 2)), "tcp/22", "--live"}), 0);
}

TEST_P(Explain, BlocksAreKnownOfTheStoreAndOfTheKernel) {
  fw.apply();
  const std::string who = to_string(client(family(), 1));
  fw.must({"block", who});
  for (const std::vector<std::string>& more : {std::vector<std::string>{}, {"--live"}}) {
    std::vector<std::string> words{who, "tcp/443"};
    words.insert(words.end(), more.begin(), more.end());
    EXPECT_EQ(exit_of(words), 2);
    words[0] = to_string(client(family(), 2));
    EXPECT_EQ(exit_of(words), 0);
  }
}

TEST_P(Explain, RulesOfTheAdminAreAskedLive) {
  fw.apply();
  const std::string who = to_string(client(family(), 1));
  nft(net.host, "add rule inet cloudron CLOUDRON_BEFORE tcp dport 9100 counter accept");
  EXPECT_EQ(exit_of({who, "tcp/9100"}), 2);
  EXPECT_EQ(exit_of({who, "tcp/9100", "--live"}), 0);
  nft(net.host, "insert rule inet cloudron CLOUDRON_BEFORE meta mark 7 accept");
  EXPECT_EQ(exit_of({who, "tcp/9100", "--live"}), 1) << "it depends on what is not known here";
}

}  // namespace
}  // namespace lab
