// Panic: what is connected goes on, and of what is new only SSH of those who may.
// SPDX-License-Identifier: GPL-2.0-or-later
#include <boost/json.hpp>
#include <poll.h>
#include <sys/socket.h>

#include "tests/lab/apps.hpp"
#include "tests/lab/family.hpp"

namespace lab {
namespace {

constexpr const char* kTrusted =
    "[trusted]\nnetworks = [\"198.18.1.0/24\", \"2001:db8:18:100::/56\"]\n";
constexpr unsigned kTrustedClient = 0x101;
constexpr std::uint16_t kSshd = 202;

/// What sshd is to this: for each connection a process that holds it, and runs a command when the
/// client sends a line. The answer is its exit code in three digits, and what it wrote.
constexpr const char* kShell = R"(
import os, signal, socket, subprocess, sys
open('/proc/self/comm', 'w').write('sshd')
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
open('/proc/self/comm', 'w').write('sshd')
server = socket.create_server(('::', int(sys.argv[1])), family=socket.AF_INET6,
                              dualstack_ipv6=True)
print('ready', flush=True)
while True:
    client, _ = server.accept()
    if os.fork() == 0:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        server.close()
        for line in client.makefile():
            done = subprocess.run(sys.argv[2:] + line.split(), capture_output=True, text=True)
            client.sendall(f'{done.returncode:03}{done.stdout}{done.stderr}\0'.encode())
        os._exit(0)
    client.close()
)";

class Panic : public OverFamily {
 protected:
  Panic() : sshd(net.host, sshd_words()) {
    if (!eventually([this] { return !sshd.out_so_far().empty(); })) fail("no shell");
  }
  std::vector<std::string> sshd_words() const {
    std::vector<std::string> words{"python3", "-ISc", kShell, std::to_string(kSshd)};
    for (const std::string& word : fw.command({})) words.push_back(word);
    return words;
  }
  /// Someone who is logged in.
  Session login(unsigned n) const { return from(n).session(host(), kSshd); }
  static std::string typed(const Session& session, const std::string& line) {
    const std::string text = line + "\n";
    EXPECT_EQ(::send(session.fd(), text.data(), text.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(text.size()));
    std::string answer;
    const auto end = Clock::now() + 20s;
    while (!answer.ends_with('\0') && Clock::now() < end) {
      pollfd ready{session.fd(), POLLIN, 0};
      char buffer[4096];
      if (::poll(&ready, 1, 1000) != 1) continue;
      const ssize_t got = ::recv(session.fd(), buffer, sizeof buffer, MSG_DONTWAIT);
      if (got == 0) break;
      if (got > 0) answer.append(buffer, static_cast<std::size_t>(got));
    }
    return answer;
  }
  static void panic_on(const Session& session) {
    const std::string answer = typed(session, "panic on");
    EXPECT_TRUE(answer.starts_with("000")) << answer;
    EXPECT_NE(answer.find("PANIC"), std::string::npos) << answer;
  }
  static void panic_off(const Session& session) {
    EXPECT_TRUE(typed(session, "panic off").starts_with("000"));
  }
  bool ssh(unsigned n) const { return from(n).tcp(host(), 22, kShort) == Outcome::served; }
  bool web(unsigned n) const { return from(n).tcp(host(), 80, kShort) == Outcome::served; }

  Server server{net.host, {22, 80}};
  Process sshd;
};
BOTH_FAMILIES(Panic);

TEST_P(Panic, LetsInSshOfTheTrustedAndOfTheCallerAlone) {
  fw.apply(kTrusted);
  Session web_session = from(1).session(host(), 80);
  Session ssh_session = from(2).session(host(), 22);
  const Session caller = login(3);
  panic_on(caller);
  EXPECT_TRUE(web_session.echoes());
  EXPECT_TRUE(ssh_session.echoes());
  EXPECT_TRUE(ssh(kTrustedClient));
  EXPECT_TRUE(ssh(3));
  EXPECT_FALSE(ssh(1));
  for (const unsigned n : {1u, 3u, kTrustedClient}) EXPECT_FALSE(web(n)) << n;
  EXPECT_GE(counter(net.host, "panic"), 4u);
  const Server remote(net.outside, {9000});
  EXPECT_EQ(Client(net.host, host()).tcp(gateway_address(family()), 9000), Outcome::served)
      << "the host's own connections";
  must_run(net.host, {"ip", "neigh", "flush", "all"});
  must_run(net.outside, {"ip", "neigh", "flush", "all"});
  EXPECT_TRUE(from(3).tcp(host(), 22) == Outcome::served) << "neighbours are found";
  EXPECT_TRUE(web_session.echoes());
  EXPECT_TRUE(typed(caller, "status").starts_with("000")) << "so does the caller's own session";
}

TEST_P(Panic, HoldsForAppsAndWhatTheyPublish) {
  AppBridge bridge(net);
  App& app = bridge.add(2);
  const Server inside(app.inside, {80});
  const Server outside(net.outside, {9000});
  bridge.publish(8080, app, 80);
  ip_commands(net.outside, "route add 2001:db8:172::/64 via 2001:db8:ffff::1\n");
  fw.apply(kTrusted + apps_toml() + app_toml("wiki", app, "publishes = [8080]"));
  const Client out(app.inside, app.address(family()));
  EXPECT_EQ(from(1).tcp(host(), 8080), Outcome::served);
  EXPECT_EQ(out.tcp(gateway_address(family()), 9000), Outcome::served);
  const Session caller = login(3);
  Session published = from(1).session(host(), 8080);
  Session outgoing = out.session(gateway_address(family()), 9000);
  panic_on(caller);
  EXPECT_TRUE(published.echoes());
  EXPECT_TRUE(outgoing.echoes());
  for (const unsigned n : {1u, 3u, kTrustedClient}) {
    EXPECT_EQ(from(n).tcp(host(), 8080, kShort), Outcome::timed_out) << n;
  }
  EXPECT_EQ(out.tcp(gateway_address(family()), 9000, kShort), Outcome::timed_out);
  panic_off(caller);
  EXPECT_EQ(from(1).tcp(host(), 8080), Outcome::served);
  EXPECT_EQ(out.tcp(gateway_address(family()), 9000), Outcome::served);
}

TEST_P(Panic, WhenItIsOverTheEarlierRulesAreBackWithWhatTheyHadCounted) {
  fw.apply();
  const std::string before = rules_only(net.host);
  const Session caller = login(1);
  const auto spent_at = Clock::now();
  EXPECT_EQ(served(from(1).tries(host(), {22}, {4})), 4u);
  panic_on(caller);
  EXPECT_TRUE(!ssh(1) || passed(spent_at, 10s)) << "the caller's limit holds on";
  panic_off(caller);
  EXPECT_EQ(rules_only(net.host), before);
  EXPECT_TRUE(!ssh(1) || passed(spent_at, 10s));
  EXPECT_TRUE(ssh(2));
  EXPECT_TRUE(web(1));
  EXPECT_NE(fw.must({"panic", "off"}).out.find("nothing to do"), std::string::npos);
}

TEST_P(Panic, OutlivesAppliesAndBoots) {
  fw.apply();
  {
    const Session first = login(1);
    const Session second = login(2);
    panic_on(first);
    panic_on(second);
  }
  EXPECT_TRUE(ssh(1)) << "who called it first may too";
  fw.apply("[ports]\ntcp = [22, 80, 8080]\n");
  EXPECT_FALSE(web(3));
  nft(net.host, "delete table inet cloudron\n");
  EXPECT_TRUE(web(3));
  fw.must({"apply", "--boot"});
  EXPECT_FALSE(web(3));
  EXPECT_TRUE(ssh(2));
  EXPECT_NE(fw.must({"status"}).out.find("PANIC since"), std::string::npos);
  EXPECT_NE(fw.must({"plan"}).out.find("PANIC since"), std::string::npos);
  EXPECT_EQ(fw.json({"status"}).at("panic").at("callers").as_array().size(), 2u);
  EXPECT_NE(fw.must({"apply"}).out.find("PANIC since"), std::string::npos);
  fw.must({"reset", "--yes"});
  EXPECT_TRUE(web(3));
  const Output off = fw.run({"status"});
  EXPECT_EQ(off.out.find("PANIC since"), std::string::npos) << off.out;
  EXPECT_TRUE(off.out.starts_with("the panic is suspended since 'cloudron-fw reset'"));
  fw.must({"apply"});
  EXPECT_FALSE(web(3));
  fw.must({"panic", "off"});
  EXPECT_TRUE(fw.json({"status"}).at("panic").is_null());
  EXPECT_TRUE(web(3));
}

TEST_P(Panic, DuringATrialIsOfThePolicyOnTrial) {
  fw.apply();
  const std::string before = rules_only(net.host);
  const Session caller = login(1);
  const auto spent_at = Clock::now();
  EXPECT_EQ(served(from(1).tries(host(), {22}, {4})), 4u);
  fw.policy(limit_toml("ssh", "22, 202", "outside", "ip", "7/10s"));
  fw.must({"apply", "--confirm", "60s"});
  panic_on(caller);
  EXPECT_TRUE(ssh(1)) << "a limit of its own";
  EXPECT_FALSE(web(1));
  fw.must({"panic", "off"});
  EXPECT_TRUE(web(1));
  fw.must({"rollback"});
  EXPECT_TRUE(!ssh(1) || passed(spent_at, 10s)) << "what the confirmed policy had counted was kept";
  EXPECT_EQ(rules_only(net.host), before);
}

TEST_P(Panic, IsRefusedWhenNobodyCouldLogIn) {
  fw.apply();
  const std::string before = listing(net.host);
  const Output output = fw.run({"panic", "on"});
  EXPECT_EQ(output.exit, 1) << to_string(output);
  EXPECT_NE(output.err.find("--force"), std::string::npos) << to_string(output);
  EXPECT_EQ(listing(net.host), before);
  fw.must({"panic", "on", "--force"});
  EXPECT_FALSE(ssh(1));
  fw.must({"panic", "off"});
  EXPECT_TRUE(ssh(1));
  fw.apply(kTrusted);
  fw.must({"panic", "on"});
  EXPECT_TRUE(ssh(kTrustedClient));
  EXPECT_FALSE(ssh(1));
}

}  // namespace
}  // namespace lab
