// The limits of mail, databases, relay, receiving and LDAP (L4 to L8) at their boundaries, with
// real servers in containers of a real Docker engine. N a second, as it is by default: of a burst
// the server answers N and what the bucket got back meanwhile, and the others are reset. Where
// nothing comes back while the test runs, with the kernel's sockets: exactly N.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/e2e/real_servers.hpp"

#include <list>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "tests/lab/apps.hpp"
#include "tests/lab/family.hpp"

namespace lab {
namespace {

struct Service {
  std::string container;
  std::uint16_t port;
  Protocol protocol;
};
using Services = std::vector<Service>;

/// What the engine says about a container, asked once.
struct Container {
  Ip ipv4;
  Ip ipv6;
  Mac mac;

  Ip address(Family family) const { return family == Family::ipv4 ? ipv4 : ipv6; }
};

/// Connections by hand that end at one moment, each with a link of its own.
struct Attempts {
  std::list<RawLink> links;
  std::list<Handshakes> handshakes;

  void add(RawLink link, Ip from, Ip to, const Service& service, std::size_t count,
           std::size_t first_port) {
    links.push_back(std::move(link));
    handshakes.emplace_back(links.back(), from, to, PortList{service.port}, count,
                            static_cast<std::uint16_t>(first_port));
    handshakes.back().speak(service.protocol);
  }
  std::size_t sum(std::size_t (Handshakes::*what)()) {
    std::size_t sum = 0;
    for (Handshakes& one : handshakes) sum += (one.*what)();
    return sum;
  }
};

/// Two containers are the app "chat", another is "wiki".
class AloneServers : public testing::Test {
 protected:
  void serve(const std::string& name, const char* script, const PortList& ports,
             const std::vector<std::string>& more = {}) {
    std::vector<std::string> options{"--label", "cloudron-fw.addon=" + name};
    for (const int port : ports) options.insert(options.end(), {"--expose", std::to_string(port)});
    options.insert(options.end(), more.begin(), more.end());
    start_server(engine, name, script, options);
    addons_ += "," + name;
    ask_about(name);
  }
  void run_apps() {
    for (const auto& [container, app] :
         {std::pair{"chat1", "chat"}, {"chat2", "chat"}, {"wiki", "wiki"}}) {
      engine.start(container, {"--label", std::string("cloudron-fw.app=") + app, "--label",
                               "cloudron-fw.addons=" + addons_.substr(1)});
      ask_about(container);
      inside_.emplace(container, engine.inside(container));
      keep_quiet(inside(container));
    }
  }
  void ask_about(const std::string& container) {
    known_[container] = {*fw::parse_ip(engine.address(container, Family::ipv4)),
                         *fw::parse_ip(engine.address(container, Family::ipv6)),
                         engine.mac(container)};
  }
  const Namespace& inside(const std::string& container) const { return inside_.at(container); }
  Ip at(const std::string& container, Family family) const {
    return known_.at(container).address(family);
  }
  Client app(const std::string& container, Family family, const Service& service) const {
    return Client(inside(container), at(container, family)).speaking(service.protocol);
  }
  Client outside(unsigned n, Family family, const Service& service) const {
    return Client(net.outside, client(family, n)).speaking(service.protocol);
  }
  void apply(const std::string& limits = {}) {
    fw.apply("[apps]\ndiscover = \"docker\"\ndocker = \"" + engine.socket() +
             "\"\n[mail]\nenabled = true\n" + limits);
  }

  void expect_ready(const Services& services) {
    for (const Service& service : services) {
      for (const Family family : {Family::ipv4, Family::ipv6}) {
        EXPECT_TRUE(eventually([&] { return serves_wiki(service, family); }))
            << service.container << " " << service.port;
      }
    }
  }
  bool serves_wiki(const Service& service, Family family) const {
    return app("wiki", family, service).tcp(at(service.container, family), service.port) ==
           Outcome::served;
  }
  void expect_wiki_served(const Services& services) {
    for (const Service& service : services) {
      for (const Family family : {Family::ipv4, Family::ipv6}) {
        EXPECT_TRUE(serves_wiki(service, family)) << service.port;
      }
    }
  }

  /// Twice as many as `rate`, from all addresses of "chat" to all services.
  Attempts of_chat(const Services& services, std::size_t rate) const {
    Attempts all;
    const std::size_t each = 2 * rate / (4 * services.size()) + 1;
    for (const char* container : {"chat1", "chat2"}) {
      for (const Family family : {Family::ipv4, Family::ipv6}) {
        std::size_t port = 10'000;
        for (const Service& service : services) {
          all.add(RawLink(inside(container), known_.at(container).mac,
                          known_.at(service.container).mac),
                  at(container, family), at(service.container, family), service, each, port);
          port += each;
        }
      }
    }
    return all;
  }
  void expect_boundary(Attempts all, const std::string& limit, std::size_t rate) {
    std::vector<Handshakes*> handshakes;
    for (Handshakes& one : all.handshakes) handshakes.push_back(&one);
    const Burst burst = finish(handshakes, net.host, limit);
    EXPECT_LE(burst.admitted, burst.allowed(rate, static_cast<double>(rate)))
        << "in " << burst.seconds << " s";
    std::size_t count = 0;
    for (const Handshakes* one : handshakes) count += one->count();
    EXPECT_EQ(burst.admitted + burst.refused, count);
    EXPECT_TRUE(eventually([&] { return all.sum(&Handshakes::open) == 0; }))
        << all.sum(&Handshakes::open) << " are neither answered nor reset";
    // A busy server may have forgotten some that waited for their last step, and resets these, too.
    EXPECT_GE(all.sum(&Handshakes::answers), rate);
    EXPECT_LE(all.sum(&Handshakes::answers), burst.admitted);
  }

  struct Way {
    Client from;
    Ip to;
    std::uint16_t port;
  };
  std::vector<Way> ways_of_chat(const Services& services) const {
    std::vector<Way> ways;
    for (const char* container : {"chat1", "chat2"}) {
      for (const Family family : {Family::ipv4, Family::ipv6}) {
        for (const Service& service : services) {
          ways.push_back(
              {app(container, family, service), at(service.container, family), service.port});
        }
      }
    }
    return ways;
  }
  std::vector<Way> ways_of_outside(unsigned n, Family family, const Services& services) const {
    std::vector<Way> ways;
    for (const Service& service : services) {
      ways.push_back({outside(n, family, service), host_address(family), service.port});
    }
    return ways;
  }
  /// A bucket of `count` connections that gets one back in an hour and a half.
  static std::string no_more_than(std::size_t count, const std::string& limit,
                                  const std::string& ports, bool of_apps) {
    return limit_toml(limit, ports, of_apps ? "apps" : "outside", of_apps ? "app" : "ip", "17/1d",
                      fmt::format("burst = {}\n", count));
  }
  /// All ways share one budget, which nothing comes back to. A spent window of one client's drops
  /// its SYNs: nobody has shown the address to be its own.
  static void expect_exactly(std::size_t count, const std::vector<Way>& ways,
                             Outcome refusal = Outcome::refused) {
    std::size_t sum = 0;
    for (std::size_t i = 0; i < ways.size(); ++i) {
      const std::size_t share = count / ways.size() + (i < count % ways.size() ? 1 : 0);
      sum += served(ways[i].from.tries(ways[i].to, {ways[i].port}, {share, {}, 30s}));
    }
    EXPECT_EQ(sum, count);
    // Not all: behind a refusal a SYN is dropped, and comes again after a second.
    for (const Way* way : {&ways.front(), &ways.back()}) {
      const Clock::duration patience = refusal == Outcome::timed_out ? kShort : 3s;
      EXPECT_EQ(way->from.tcp(way->to, way->port, patience), refusal) << way->port;
    }
  }

  Network net;
  Firewall fw{net.host};
  Dockerd engine{net.host,
                 {"--ipv6", "--fixed-cidr-v6 2001:db8:d0c::/64", "--experimental", "--ip6tables"}};
  std::map<std::string, Container> known_;
  std::map<std::string, Namespace> inside_;
  std::string addons_;
};

TEST_F(AloneServers, FiveThousandToDatabases) {
  serve("postgresql", kPostgresScript, {5432});
  serve("redis", kRedisScript, {6379});
  run_apps();
  const Services both{{"postgresql", 5432, kPostgres}, {"redis", 6379, kRedis}};
  expect_ready(both);
  apply();
  expect_boundary(of_chat(both, 5000), "database", 5000);
  expect_wiki_served(both);
  apply(no_more_than(5000, "database", "5432, 6379", true));
  expect_exactly(5000, ways_of_chat(both));
  expect_wiki_served(both);
}

TEST_F(AloneServers, FiveHundredToLdap) {
  serve("ldap", kSlapdScript, {3002});
  run_apps();
  const Services ldap{{"ldap", 3002, kLdap}};
  expect_ready(ldap);
  apply();
  expect_boundary(of_chat(ldap, 500), "auth", 500);
  expect_wiki_served(ldap);
  apply(no_more_than(500, "auth", "3002", true));
  expect_exactly(500, ways_of_chat(ldap));
  expect_wiki_served(ldap);
  apply(limit_toml("auth", "3002", "apps", "app", "16/1d"));  // the largest window
  expect_exactly(16, ways_of_chat(ldap));
  expect_wiki_served(ldap);
}

class AloneMailServers : public AloneServers {
 protected:
  AloneMailServers() {
    serve("postfix", kPostfixScript, {25, 587, 2525}, published({25, 587}));
    serve("dovecot", kDovecotScript, {993, 4190, 9993}, published({993, 4190}));
    run_apps();
    for (const Services& some : {mail, relay, receive}) expect_ready(some);
  }
  static std::vector<std::string> published(const PortList& ports) {
    std::vector<std::string> options;
    for (const int port : ports)
      options.insert(options.end(), {"-p", fmt::format("{0}:{0}", port)});
    return options;
  }
  /// The greeting behind TLS.
  static bool greets(const Namespace& where, Ip to, std::uint16_t port) {
    const std::string peer = fmt::format("{}:{}", bracketed(to), port);
    const std::vector<std::string> words{"openssl", "s_client", "-quiet", "-connect", peer};
    return run(where, words, "1 LOGOUT\r\n").out.starts_with("* OK ");
  }

  const Services mail{{"postfix", 25, kSmtp}, {"postfix", 587, kSmtp}, {"dovecot", 993, kTls}};
  const Services relay{{"postfix", 2525, kSmtp}};
  const Services receive{{"dovecot", 9993, kTls}, {"dovecot", 4190, kSieve}};
};

TEST_F(AloneMailServers, FiftyFromEachClientOutside) {
  Services all = mail;
  all.push_back(receive.back());
  apply();
  for (const Family family : {Family::ipv4, Family::ipv6}) {
    Attempts attempts;
    std::size_t port = 10'000;
    for (const Service& service : all) {
      attempts.add(RawLink(net), stranger(family, 1), host_address(family), service, 25, port);
      port += 25;
    }
    expect_boundary(std::move(attempts), "mail", 50);
    EXPECT_TRUE(greets(net.outside, host_address(family), 993));
  }
  const auto expect_each = [&](std::size_t count, Outcome refusal) {
    for (const Family family : {Family::ipv4, Family::ipv6}) {
      expect_exactly(count, ways_of_outside(1, family, all), refusal);
      for (const Way& way : ways_of_outside(2, family, all)) {
        EXPECT_EQ(way.from.tcp(way.to, way.port), Outcome::served) << way.port;
      }
    }
  };
  const std::string ports = "25, 587, 993, 4190";
  apply(no_more_than(50, "mail", ports, false));
  expect_each(50, Outcome::refused);
  apply(limit_toml("mail", ports, "outside", "ip", "16/1d"));  // the largest window
  expect_each(16, Outcome::timed_out);
}

TEST_F(AloneMailServers, OfEachApp) {
  const struct {
    const char* limit;
    const char* ports;
    std::size_t rate;
    const Services& services;
  } cases[] = {{"mail-apps", "25, 587, 993", 50, mail},
               {"mail-relay", "2525", 500, relay},
               {"mail-receive", "9993, 4190", 50, receive}};
  std::string limits;
  apply();
  for (const auto& c : cases) {
    SCOPED_TRACE(c.limit);
    expect_boundary(of_chat(c.services, c.rate), c.limit, c.rate);
    expect_wiki_served(c.services);
    limits += no_more_than(c.rate, c.limit, c.ports, true);
  }
  for (const Family family : {Family::ipv4, Family::ipv6}) {
    EXPECT_TRUE(greets(inside("wiki"), at("dovecot", family), 9993));
  }
  apply(limits);
  for (const auto& c : cases) {
    SCOPED_TRACE(c.limit);
    expect_exactly(c.rate, ways_of_chat(c.services));
    expect_wiki_served(c.services);
  }
}

}  // namespace
}  // namespace lab
