// Metrics over a real connection, and what the HTTP server bears.
// SPDX-License-Identifier: GPL-2.0-or-later
#include <csignal>
#include <cstring>
#include <regex>
#include <set>

#include <poll.h>
#include <sys/socket.h>

#include "tests/lab/daemon.hpp"
#include "tests/lab/family.hpp"
#include "tests/lab/nft.hpp"
#include "tests/lab/server.hpp"

namespace lab {
namespace {

constexpr std::uint16_t kPort = 9477;
constexpr const char* kGet = "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// What came until the other side closed, or was silent for so long.
std::string read_all(int fd, Clock::duration patience = 10s) {
  std::string out;
  for (;;) {
    pollfd ready{fd, POLLIN, 0};
    const auto left = static_cast<int>(std::chrono::ceil<milliseconds>(patience).count());
    if (::poll(&ready, 1, left) != 1) return out;
    char bytes[65'536];
    const auto got = ::recv(fd, bytes, sizeof bytes, 0);
    if (got <= 0) return out;
    out.append(bytes, static_cast<std::size_t>(got));
  }
}

class Metrics : public testing::TestWithParam<Family> {
 protected:
  std::string address() const { return GetParam() == Family::ipv4 ? "127.0.0.1" : "[::1]"; }
  std::string policy(const std::string& more = {}) const {
    return "[ports]\ntcp = [22, 80]\n[metrics]\nlisten = \"" + address() + ":9477\"\n" + more;
  }
  Session connect(std::uint16_t port = kPort) const {
    const Ip ip = GetParam() == Family::ipv4 ? Ip{Family::ipv4, 0x7f000001} : Ip{Family::ipv6, 1};
    return Client(net.host, ip).session(ip, port);
  }
  bool listens(std::uint16_t port) const {
    const Ip ip = GetParam() == Family::ipv4 ? Ip{Family::ipv4, 0x7f000001} : Ip{Family::ipv6, 1};
    return Client(net.host, ip).tcp(ip, port, kShort) != Outcome::refused;
  }
  static void send(const Session& to, const std::string& bytes) {
    (void)::send(to.fd(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
  }
  std::string answer(const std::string& request, Clock::duration patience = 10s) const {
    const Session session = connect();
    send(session, request);
    return read_all(session.fd(), patience);
  }
  std::string get(const std::string& target = "/metrics") const {
    return answer("GET " + target + " HTTP/1.1\r\nConnection: close\r\n\r\n");
  }

  Network net;
  Firewall fw{net.host};
};
BOTH_FAMILIES(Metrics);

TEST_P(Metrics, TellWhatTheKernelCounts) {
  const Server server(net.host, {22, 80});
  fw.apply(policy());
  const Daemon daemon(fw);
  const Client client_(net.outside, client(GetParam(), 1));
  EXPECT_EQ(served(client_.tries(host_address(GetParam()), {22}, {9, 10ms, 300ms})), 5u);
  fw.must({"block", "198.18.0.9"});
  nft(net.host, "flush chain inet cloudron input");
  ASSERT_TRUE(eventually([&] { return daemon.repairs() == 1; }));
  const std::string text = get();
  EXPECT_EQ(text.substr(0, 17), "HTTP/1.1 200 OK\r\n");
  const auto has = [&](const std::string& sample) {
    EXPECT_NE(text.find("\ncloudron_fw_" + sample + "\n"), std::string::npos) << sample << "\n"
                                                                              << text;
  };
  EXPECT_NE(text.find("text/plain; version=0.0.4"), std::string::npos) << text;
  has("limit_accepted_connections_total{limit=\"ssh\"} 5");
  has("limit_refused_packets_total{limit=\"ssh\"} " +
      std::to_string(counter(net.host, "ssh.refused")));
  has("limit_sources{limit=\"ssh\"} 1");
  has("connections_total 5");
  has("blocks{origin=\"admin\"} 1");
  has("repairs_total 1");
  has("present 1");
  has("metrics_clients 1");
}

TEST_P(Metrics, WhatTheDashboardAndTheDocumentNameIsThere) {
  fw.apply(policy("[[app]]\nname = \"wiki\"\naddresses = [\"172.18.16.2\"]\n"));
  const Daemon daemon(fw);
  const std::string text = get();
  std::set<std::string> there;
  const std::regex type("# TYPE (cloudron_fw_\\w+) ");
  for (std::sregex_iterator at(text.begin(), text.end(), type), end; at != end; ++at) {
    there.insert((*at)[1]);
  }
  const std::string top = std::string(CLOUDRON_FW_TESTS) + "/../";
  const std::string dashboard = read_file(top + "packaging/grafana/cloudron-fw.json");
  const std::string document = read_file(top + "docs/metrics.md");
  const std::regex name("cloudron_fw_\\w+");
  std::set<std::string> asked;
  for (std::sregex_iterator at(dashboard.begin(), dashboard.end(), name), end; at != end; ++at) {
    asked.insert((*at)[0]);
    EXPECT_TRUE(there.contains((*at)[0])) << (*at)[0];
  }
  EXPECT_GE(asked.size(), 10u);
  for (const std::string& metric : there) {
    const std::string written = "`" + metric.substr(std::strlen("cloudron_fw_")) + "`";
    EXPECT_NE(document.find(written), std::string::npos) << metric;
  }
}

TEST_P(Metrics, FollowThePolicy) {
  fw.apply("[ports]\ntcp = [22]\n");
  const Daemon daemon(fw);
  const auto reload = [&] {
    fw.apply();
    daemon.process().kill(SIGHUP);
  };
  EXPECT_FALSE(listens(kPort)) << "off by default";
  fw.policy(policy());
  reload();
  EXPECT_TRUE(eventually([&] { return listens(kPort); }));
  const Session held = connect();
  fw.policy("[ports]\ntcp = [22]\n[metrics]\nlisten = \"" + address() + ":9478\"\n");
  reload();
  EXPECT_TRUE(eventually([&] { return listens(9478); }));
  EXPECT_FALSE(listens(kPort));
  EXPECT_EQ(read_all(held.fd()), "") << "closed";
  fw.policy("[ports]\ntcp = [22]\n");
  reload();
  EXPECT_TRUE(eventually([&] { return !listens(9478); }));
  EXPECT_EQ(daemon.ask("hello").at("ok"), true);
}

TEST_P(Metrics, APortInUseIsSaidAndTheDaemonGoesOn) {
  const Server other(net.host, {kPort});
  fw.apply(policy());
  const Daemon daemon(fw);
  EXPECT_EQ(daemon.ask("hello").at("ok"), true);
  EXPECT_NE(daemon.process().err_so_far().find("cannot serve metrics: cannot listen on " +
                                               address() + ":9477: Address already in use"),
            std::string::npos)
      << daemon.process().err_so_far();
}

TEST_P(Metrics, WhatIsNotServed) {
  fw.apply(policy());
  const Daemon daemon(fw);
  const auto begins = [](const std::string& answer, const std::string& with) {
    EXPECT_EQ(answer.substr(0, with.size()), with) << answer;
  };
  begins(get("/"), "HTTP/1.1 404 ");
  begins(get("/metrics/"), "HTTP/1.1 404 ");
  begins(get("/metrics?x=1"), "HTTP/1.1 200 ");
  const std::string post =
      answer("POST /metrics HTTP/1.1\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
  begins(post, "HTTP/1.1 405 ");
  EXPECT_NE(post.find("Allow: GET"), std::string::npos) << post;
  begins(answer("GET /metrics HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello"), "HTTP/1.1 400 ");
  begins(answer("\x16\x03\x01\x02\x00\x01\xfc\x03\x03"), "HTTP/1.1 400 ");
  begins(answer(std::string(100'000, 'x')), "HTTP/1.1 400 ");
  begins(answer("GET /metrics HTTP/1.1\r\nX: " + std::string(10'000, 'x') + "\r\n\r\n"),
         "HTTP/1.1 400 ");
  begins(get(), "HTTP/1.1 200 ");
}

TEST_P(Metrics, AConnectionServesMany) {
  fw.apply(policy());
  const Daemon daemon(fw);
  const std::string three =
      std::string(kGet) + kGet + "GET /metrics HTTP/1.1\r\nConnection: close\r\n\r\n";
  const std::string out = answer(three);
  std::size_t answers = 0;
  for (auto at = out.find("HTTP/1.1 200 OK"); at != std::string::npos;
       at = out.find("HTTP/1.1 200 OK", at + 1)) {
    ++answers;
  }
  EXPECT_EQ(answers, 3u);
}

TEST_P(Metrics, ManySilentClientsKeepNobodyOut) {
  fw.apply(policy());
  const Daemon daemon(fw);
  std::vector<Session> held;
  for (int i = 0; i < 100; ++i) {
    held.push_back(connect());
    send(held.back(), "GET /met");
    if (i % 10 != 0) continue;
    EXPECT_EQ(get().substr(0, 17), "HTTP/1.1 200 OK\r\n") << i;
  }
  EXPECT_EQ(daemon.ask("counts").at("daemon").at("metrics_clients"), 8);
  EXPECT_EQ(read_all(held.front().fd(), 1s), "") << "made room";
}

TEST_P(Metrics, ASlowClientIsLeft) {
  fw.apply(policy());
  const Daemon daemon(fw);
  const auto begin = Clock::now();
  const Session slow = connect();
  // One byte a second: each is progress, but the request does not come in time.
  std::size_t sent = 0;
  pollfd closed{slow.fd(), POLLIN, 0};
  while (::poll(&closed, 1, 1000) == 0 && sent < 20) send(slow, std::string(1, kGet[sent++]));
  EXPECT_EQ(read_all(slow.fd(), 1s), "");
  EXPECT_GE(seconds_of(Clock::now() - begin), 9.5);
  EXPECT_EQ(get().substr(0, 17), "HTTP/1.1 200 OK\r\n");
}

}  // namespace
}  // namespace lab
