// More trouble: kills with lists, apps and blocks, commands at once, floods, damaged state.
// SPDX-License-Identifier: GPL-2.0-or-later
#include <algorithm>
#include <atomic>
#include <csignal>
#include <random>
#include <thread>

#include <SQLiteCpp/SQLiteCpp.h>

#include "tests/lab/apps.hpp"
#include "tests/lab/family.hpp"

namespace lab {
namespace {

/// "ok", or what SQLite finds wrong with the state database.
std::string integrity(const Firewall& fw) {
  SQLite::Database db(fw.state_dir() + "/state.db", SQLite::OPEN_READONLY);
  return db.execAndGet("PRAGMA integrity_check").getString();
}

/// Two policies that differ in ports, limits, apps, lists and the rules of most chains.
class Alternating {
 public:
  explicit Alternating(Firewall& fw) : fw_(fw) {
    std::string one;
    std::string two;
    for (unsigned n = 0; n < 400; ++n) {
      one += to_string(stranger(Family::ipv4, n)) + "\n";
      two += to_string(stranger(Family::ipv4, n + 200)) + "\n";
    }
    fw.file("one.txt", one + "2001:db8:bad::/48\n192.0.2.0/25\n");
    fw.file("two.txt", two + "2001:db8:bad:1::/64\n192.0.2.0/24\n");
  }
  void write(std::size_t which) const { fw_.policy(which % 2 == 0 ? kOne : kTwo); }

 private:
  static constexpr const char* kOne =
      "[ports]\ntcp = [22, 2000, 8080]\nudp = [5000, 5002]\n"
      "[[list]]\nname = \"bad\"\nfile = \"one.txt\"\naction = \"block\"\n";
  static constexpr const char* kTwo =
      "[ports]\ntcp = [22, 2000, \"9000-9100\"]\nudp = [5000]\n[mail]\nenabled = true\n"
      "[[list]]\nname = \"bad\"\nfile = \"two.txt\"\naction = \"block\"\n"
      "[[limit]]\nname = \"many\"\nports = [2000, \"udp/5000\"]\nrate = \"1000000/s\"\n"
      "burst = 10000000\n"
      "[[limit]]\nname = \"ssh\"\nports = [22]\nrate = \"4/10s\"\n"
      "[advanced]\nnflog_group = 9\n"
      "[[app]]\nname = \"wiki\"\naddresses = [\"172.18.16.2\"]\npublishes = [29418]\n";
  Firewall& fw_;
};

constexpr std::size_t kKills = 80;

class Trouble : public testing::Test {
 protected:
  Network net;
  Firewall fw{net.host};
};

TEST_F(Trouble, AKilledApplyLeavesTheOldRulesOrTheNew) {
  const Alternating policies(fw);
  fw.apply();
  fw.must({"block", "203.0.113.77", "2001:db8:7::/48"});
  std::string wanted[2];
  Clock::duration longest{};
  for (const std::size_t which : {0u, 1u, 0u, 1u}) {
    policies.write(which);
    const auto begin = Clock::now();
    fw.apply();
    longest = std::max(longest, Clock::now() - begin);
    wanted[which] = rules_only(net.host);
  }
  ASSERT_NE(wanted[0], wanted[1]);
  std::mt19937 random(1);
  std::size_t old_ones = 0;
  std::size_t held = 1;
  for (std::size_t i = 0; i < kKills; ++i) {
    policies.write(i);
    Process apply(net.host, fw.command({"apply"}));
    const auto longest_us = std::chrono::ceil<std::chrono::microseconds>(longest).count();
    std::this_thread::sleep_for(
        std::chrono::microseconds(random() % static_cast<std::uint64_t>(longest_us)));
    apply.kill(SIGKILL);
    apply.wait();
    const std::string now = rules_only(net.host);
    ASSERT_TRUE(now == wanted[0] || now == wanted[1]) << "a mix after kill " << i << ":\n" << now;
    ASSERT_TRUE(now == wanted[i % 2] || now == wanted[held]) << "kill " << i;
    if (now == wanted[i % 2]) held = i % 2;
    if (now != wanted[i % 2]) ++old_ones;
    ASSERT_EQ(integrity(fw), "ok") << "after kill " << i;
  }
  RecordProperty("old", static_cast<int>(old_ones));
  EXPECT_GT(old_ones, kKills / 20) << "kills came too late to test anything";
  EXPECT_LT(old_ones, kKills) << "kills came too early to test anything";
  for (const std::size_t which : {0u, 1u}) {
    policies.write(which);
    fw.apply();
    EXPECT_EQ(rules_only(net.host), wanted[which]) << "nothing was left behind";
  }
  EXPECT_EQ(fw.json({"blocks"}).at("blocks").as_array().size(), 2u);
}

TEST_F(Trouble, AKilledBlockIsCompletedByTheNextCommand) {
  fw.apply();
  std::mt19937 random(2);
  for (unsigned i = 0; i < 100; ++i) {
    const std::string address = to_string(stranger(Family::ipv4, i));
    Process block(net.host, fw.command({"block", address}));
    std::this_thread::sleep_for(std::chrono::microseconds(random() % 12'000));
    block.kill(SIGKILL);
    block.wait();
    ASSERT_EQ(integrity(fw), "ok") << "after kill " << i;
  }
  fw.must({"block", "203.0.113.99"});
  fw.apply();
  const auto stored = fw.json({"blocks"});
  EXPECT_EQ(elements(net.host, "block4").size(), stored.at("blocks").as_array().size());
  EXPECT_EQ(fw.run({"plan"}).exit, 0);
}

TEST_F(Trouble, CommandsAtTheSameTimeTakeTurns) {
  fw.apply();
  std::vector<Process> running;
  for (unsigned i = 0; i < 12; ++i) {
    running.emplace_back(net.host, fw.command({"block", to_string(stranger(Family::ipv4, i))}));
    running.emplace_back(net.host, fw.command({"apply"}));
  }
  for (Process& one : running) {
    const Output output = one.wait();
    EXPECT_EQ(output.exit, 0) << to_string(output);
  }
  EXPECT_EQ(elements(net.host, "block4").size(), 12u);
  EXPECT_EQ(fw.run({"plan"}).exit, 0);
}

TEST_F(Trouble, OthersThatKeepChangingTheirTablesDoNotStopAnApply) {
  nft(net.host, "table inet busy {\n  set s { type ipv4_addr; }\n}\n");
  std::atomic<bool> stop{false};
  std::thread other([&] {
    for (unsigned i = 0; !stop; ++i) {
      nft(net.host,
          (i % 2 == 0 ? "add" : "delete") + std::string(" element inet busy s { 192.0.2.1 }\n"));
      std::this_thread::sleep_for(20ms);
    }
  });
  for (std::size_t i = 0; i < 20; ++i) {
    fw.policy(i % 2 == 0 ? "[mail]\nenabled = true\n" : "[ports]\ntcp = [22, 8080]\n");
    const Output output = fw.run({"apply"});
    EXPECT_EQ(output.exit, 0) << to_string(output);
  }
  stop = true;
  other.join();
  EXPECT_EQ(fw.run({"plan"}).exit, 0);
}

/// What arrives of a flood, and what of it passes the firewall, told by tables of the test's own.
class AloneFlood : public OverFamily {
 protected:
  AloneFlood() {
    nft(net.host, R"(
table inet watch {
  counter open_udp_came {}
  counter open_udp_passed {}
  counter open_tcp_came {}
  counter open_tcp_passed {}
  counter closed_udp_came {}
  counter closed_udp_passed {}
  counter closed_tcp_came {}
  counter closed_tcp_passed {}
  chain came {
    type filter hook prerouting priority -400;
    udp dport 5000 counter name open_udp_came
    udp dport 5001 counter name closed_udp_came
    tcp dport 2000 tcp flags syn counter name open_tcp_came
    tcp dport 2001 tcp flags syn counter name closed_tcp_came
  }
  chain passed {
    type filter hook input priority 100;
    udp dport 5000 counter name open_udp_passed
    udp dport 5001 counter name closed_udp_passed
    tcp dport 2000 tcp flags syn counter name open_tcp_passed
    tcp dport 2001 tcp flags syn counter name closed_tcp_passed
  }
}
)");
  }
  std::uint64_t watched(const char* name) const { return counter(net.host, name, "inet watch"); }
};
BOTH_FAMILIES(AloneFlood);

TEST_P(AloneFlood, TwoHundredAppliesLetNothingThroughAndStopNothing) {
  const Alternating policies(fw);
  policies.write(0);
  fw.apply();
  const RawLink link(net);
  std::vector<Packet> packets;
  for (unsigned i = 0; i < 256; ++i) {
    const Ip from = stranger(family(), 1000 + i);
    const auto port = static_cast<std::uint16_t>(3000 + i);
    packets.push_back({from, host(), kUdp, port, 5000});
    packets.push_back({from, host(), kUdp, port, 5001});
    packets.push_back({from, host(), kTcp, port, 2000, kSyn, i, 0});
    packets.push_back({from, host(), kTcp, port, 2001, kSyn, i, 0});
  }
  std::atomic<bool> stop{false};
  std::size_t sent = 0;
  std::thread flood([&] { sent = link.flood(link.frames(packets), 50'000, stop); });
  std::size_t failed = 0;
  for (std::size_t i = 1; i <= 200; ++i) {
    policies.write(i);
    failed += fw.run({"apply"}).exit != 0;
  }
  stop = true;
  flood.join();
  EXPECT_EQ(failed, 0u);
  EXPECT_GE(sent, 10'000u) << "the flood was too thin";
  for (const std::string port : {"open_udp", "open_tcp"}) {
    const auto came = watched((port + "_came").c_str());
    EXPECT_GT(came, sent / 8) << port;
    EXPECT_EQ(watched((port + "_passed").c_str()), came)
        << port << ": some were stopped; dropped by " << fw.json({"status"}).at("dropped");
  }
  for (const std::string port : {"closed_udp", "closed_tcp"}) {
    EXPECT_GT(watched((port + "_came").c_str()), sent / 8) << port;
    EXPECT_EQ(watched((port + "_passed").c_str()), 0u) << port << ": some got through";
  }
}

TEST_F(Trouble, WithABrokenPolicyNothingChangesAndBlockingGoesOn) {
  fw.apply("[trusted]\nnetworks = [\"192.0.2.0/24\"]\n");
  const std::string before = listing(net.host);
  fw.policy("[ports]\ntcp = [22, 99999]\n[trusted]\nnetwork = []\n");
  for (const char* command : {"apply", "plan", "show", "status"}) {
    const Output output = fw.run({command});
    EXPECT_EQ(output.exit, 1) << command << ": " << to_string(output);
    for (const char* where : {"policy.toml:2:12:", "policy.toml:4:1:"}) {
      EXPECT_NE(output.err.find(where), std::string::npos)
          << command << " does not name " << where << ": " << to_string(output);
    }
  }
  EXPECT_EQ(listing(net.host), before);
  EXPECT_NE(fw.run({"status"}).out.find("the kernel holds the last good policy"),
            std::string::npos);
  EXPECT_EQ(fw.run({"block", "203.0.113.77"}).exit, 3);
  EXPECT_EQ(elements(net.host, "block4").size(), 1u);
  EXPECT_EQ(fw.run({"block", "192.0.2.1"}).exit, 1) << "trusted by the last good policy";
}

TEST_F(Trouble, WhatIsLikelyAMistakeIsBlockedByForceOnly) {
  fw.apply();
  for (const char* range : {"0.0.0.0/0", "::/0", "10.0.0.0/7", "2000::/15", "127.0.0.1", "::1"}) {
    const Output output = fw.run({"block", range});
    EXPECT_EQ(output.exit, 1) << range << ": " << to_string(output);
    EXPECT_NE(output.err.find("--force"), std::string::npos) << to_string(output);
  }
  EXPECT_EQ(fw.json({"blocks"}).at("blocks").as_array().size(), 0u);
  fw.must({"block", "198.51.100.0/24"});
  fw.must({"block", "10.0.0.0/7", "--force"});
}

TEST_F(Trouble, OutputThatCannotBeWrittenIsAnError) {
  fw.apply();
  for (const char* command : {"show", "show --format nft", "show --json", "status", "plan --json",
                              "blocks", "check", "--help"}) {
    const Output output = run(net.host, {"sh", "-c",
                                         "exec " + program() + " --state-dir " + fw.state_dir() +
                                             " " + command + " >/dev/full"});
    EXPECT_EQ(output.exit, 1) << command << ": " << to_string(output);
    EXPECT_NE(output.err.find("cannot write the output"), std::string::npos)
        << command << ": " << to_string(output);
  }
}

TEST_F(Trouble, WhoStopsReadingUndoesNothing) {
  fw.apply();
  std::string toml;
  for (int i = 0; i < 8; ++i) {
    toml +=
        limit_toml("many" + std::to_string(i), std::to_string(3000 + i), "outside", "ip", "16/10s");
  }
  fw.policy(toml);
  std::string apply = "exec";
  for (const std::string& word : fw.command({"apply", "--json"})) apply += " '" + word + "'";
  // More than a pipe holds, and the end that is read is closed at once.
  const Output output =
      run(net.host, {"bash", "-c", "(" + apply + ") | true; echo ${PIPESTATUS[0]}"});
  EXPECT_EQ(output.out, "141\n") << "it was to die of SIGPIPE: " << to_string(output);
  EXPECT_EQ(fw.run({"verify"}).exit, 0) << "in force, and known to be";
  EXPECT_EQ(fw.json({"activity", "--what", "apply"}).as_array().size(), 2u);
}

TEST_F(Trouble, AWrongCommandIsNamedWhateverStandsBeforeIt) {
  for (const char* option : {"--policy", "--state-dir", "--socket"}) {
    const Output output = fw.run({option, "/somewhere", "--json", "aply"});
    EXPECT_EQ(output.exit, 64) << to_string(output);
    EXPECT_NE(output.err.find("unknown command \"aply\", did you mean \"apply\"?"),
              std::string::npos)
        << option << ": " << to_string(output);
  }
}

TEST_F(Trouble, MessagesCarryNothingThatATerminalObeys) {
  fw.policy("[[list]]\nname = \"bad\"\nfile = \"\\u001b[31m\\u202ebad\"\n");
  for (const std::vector<std::string>& words : std::vector<std::vector<std::string>>{
           {"check"}, {"apply"}, {"simulate", "\x1b[31mcapture"}}) {
    const Output output = fw.run(words);
    EXPECT_NE(output.err.find("\\u001b[31m"), std::string::npos) << to_string(output);
    EXPECT_EQ(output.err.find('\x1b'), std::string::npos) << to_string(output);
    EXPECT_EQ(output.err.find("\u202e"), std::string::npos) << to_string(output);
  }
}

TEST_F(Trouble, ReadingNeedsRightsShowingDoesNot) {
  fw.apply();
  must_run(net.host, {"chmod", "-R", "a+rX", fw.dir().path()});
  const std::vector<std::string> nobody{"setpriv", "--reuid=65534", "--regid=65534",
                                        "--clear-groups", "--inh-caps=-all"};
  for (const char* command : {"plan", "status"}) {
    const Output output = fw.run_by(nobody, {command});
    EXPECT_EQ(output.exit, 1) << command << ": " << to_string(output);
    EXPECT_EQ(std::count(output.err.begin(), output.err.end(), '\n'), 1) << to_string(output);
    EXPECT_NE(output.err.find("root"), std::string::npos) << to_string(output);
  }
  for (const char* command : {"show", "check"}) {
    const Output output = fw.run_by(nobody, {command});
    EXPECT_EQ(output.exit, 0) << command << ": " << to_string(output);
  }
}

TEST_F(Trouble, ADamagedStateDatabaseIsNamedAndNothingChanges) {
  fw.apply();
  fw.must({"block", "192.0.2.1"});
  const std::string before = listing(net.host);
  write_file(fw.state_dir() + "/state.db", "this is no database, but it has some length to it\n");
  fw.policy("[ports]\ntcp = [22, 8080]\n");
  for (const std::vector<std::string>& words : std::vector<std::vector<std::string>>{
           {"apply"}, {"plan"}, {"block", "192.0.2.2"}, {"blocks"}}) {
    const Output output = fw.run(words);
    EXPECT_EQ(output.exit, 1) << words.front() << ": " << to_string(output);
    EXPECT_NE(output.err.find("state.db"), std::string::npos) << to_string(output);
  }
  EXPECT_EQ(listing(net.host), before);
}

TEST_F(Trouble, ALostCacheOfListsCostsNothing) {
  fw.file("bad.txt", "192.0.2.0/24\n203.0.113.50\n");
  fw.apply("[[list]]\nname = \"bad\"\nfile = \"bad.txt\"\naction = \"block\"\n");
  const std::string before = rules_only(net.host);
  must_run(net.host,
           {"sh", "-c", "for f in \"$0\"/lists/*; do echo garbage > \"$f\"; done", fw.state_dir()});
  fw.file("bad.txt", "192.0.2.0/24\n203.0.113.50\n203.0.113.60\n");
  EXPECT_EQ(fw.run({"apply"}).exit, 0);
  EXPECT_NE(rules_only(net.host).find("203.0.113.60"), std::string::npos);
  must_run(net.host, {"rm", "-r", fw.state_dir() + "/lists"});
  fw.file("bad.txt", "192.0.2.0/24\n203.0.113.50\n");
  EXPECT_EQ(fw.run({"apply"}).exit, 0);
  EXPECT_EQ(rules_only(net.host), before);
}

TEST_F(Trouble, ABootWithABrokenLastGoodPolicyTakesTheDefault) {
  fw.apply("[ports]\ntcp = [22, 9000]\n");
  nft(net.host, "delete table inet cloudron\n");
  fw.policy("not TOML at all [");
  write_file(fw.state_dir() + "/last-good.toml", "also broken [");
  const Output output = fw.run({"apply", "--boot"});
  EXPECT_NE(output.err.find("default"), std::string::npos) << to_string(output);
  const std::string ports = listing(net.host, "map inet cloudron open_tcp");
  EXPECT_NE(ports.find("22"), std::string::npos) << ports;
  EXPECT_EQ(ports.find("9000"), std::string::npos) << ports;
}

TEST_F(Trouble, ABootWithAnUnreadableListAppliesTheRest) {
  fw.policy(
      "[ports]\ntcp = [22, 9000]\n[[list]]\nname = \"bad\"\nfile = \"none.txt\"\n"
      "action = \"block\"\n");
  const Output output = fw.run({"apply", "--boot"});
  EXPECT_EQ(output.exit, 3) << to_string(output);
  EXPECT_NE(output.err.find("none.txt"), std::string::npos) << to_string(output);
  EXPECT_TRUE(output.err.starts_with("<4>")) << to_string(output);
  EXPECT_NE(listing(net.host, "map inet cloudron open_tcp").find("9000"), std::string::npos);
}

}  // namespace
}  // namespace lab
