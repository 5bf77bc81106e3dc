// Bad input and faults: kills at any moment, floods meanwhile, broken policies, missing privileges.
// SPDX-License-Identifier: GPL-2.0-or-later
#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "tests/lab/apps.hpp"
#include "tests/lab/family.hpp"

namespace lab {
namespace {

namespace fs = std::filesystem;

/// Two policies that differ in ports and in a limit. UDP 5000 is open and 5001 closed in both.
std::string policy(std::size_t number) {
  return number % 2 == 0 ? "[ports]\ntcp = [22, 80, 2000]\nudp = [5000]\n" +
                               limit_toml("extra", "2000", "outside", "ip", "20/10s")
                         : "[ports]\ntcp = [22, 80, 3000, \"4000-4010\"]\nudp = [5000, 6000]\n" +
                               limit_toml("extra", "3000", "outside", "ip", "7/10s");
}

/// The program is killed at a random moment.
class Kills : public testing::Test {
 protected:
  enum class End { killed, finished };

  /// Starts an apply and kills it when it has run for so long.
  End apply_for(Clock::duration time) const {
    Process process(net.host, fw.command({"apply"}));
    std::this_thread::sleep_for(time);
    process.kill(SIGKILL);
    const Output output = process.wait();
    if (output.signal == SIGKILL) return End::killed;
    EXPECT_EQ(output.exit, 0) << to_string(output);
    return End::finished;
  }
  /// Kills at a moment between nothing and a little more than the program needs here at present:
  /// what was killed makes the next range longer, what finished shorter, so that some three of four
  /// are killed however busy the machine is.
  End apply_for_a_random_time() {
    const End end = apply_for(std::chrono::microseconds(
        std::uniform_int_distribution<std::int64_t>(0, longest_.count())(random_)));
    longest_ = end == End::killed ? longest_ * 102 / 100 : longest_ * 95 / 100;
    return end;
  }
  /// SQLite's own opinion, of a copy: the program has to mend the original by itself.
  std::string store_check() const {
    const fs::path copy = fw.dir() / "copy";
    fs::remove_all(copy);
    fs::create_directory(copy);
    for (const char* name : {"state.db", "state.db-wal"}) {
      const fs::path original = fs::path(fw.state_dir()) / name;
      if (fs::exists(original)) fs::copy_file(original, copy / name);
    }
    if (!fs::exists(copy / "state.db")) return "ok\n";  // not made yet
    return must_run(net.host, {"python3", "-ISc",
                               "import sqlite3, sys\n"
                               "db = sqlite3.connect(sys.argv[1])\n"
                               "for row in db.execute('PRAGMA integrity_check'): print(row[0])\n",
                               copy / "state.db"});
  }
  bool has_table() const {
    return listing(net.host, "tables").find("table inet cloudron") != std::string::npos;
  }

  Network net;
  Firewall fw{net.host};

 private:
  std::mt19937 random_{std::random_device{}()};
  std::chrono::microseconds longest_{12'000};
};

TEST_F(Kills, LeaveOnePolicyOrTheOther) {
  std::string rules[2];
  fw.apply(policy(0));
  fw.must({"block", "198.18.0.9", "198.18.7.0/24", "2001:db8:18:9::1", "--for", "1h"});
  for (std::size_t i = 0; i < 4; ++i) {
    fw.apply(policy(i));
    rules[i % 2] = rules_only(net.host);
  }
  ASSERT_NE(rules[0], rules[1]);
  std::size_t killed = 0;
  std::size_t changed = 0;
  std::string before = rules[1];
  for (std::size_t i = 0; i < 200; ++i) {
    fw.policy(policy(before == rules[0] ? 1 : 0));
    killed += apply_for_a_random_time() == End::killed ? 1 : 0;
    ASSERT_TRUE(has_table()) << "kill " << i;
    const std::string after = rules_only(net.host);
    ASSERT_TRUE(after == rules[0] || after == rules[1]) << "kill " << i << " left\n" << after;
    ASSERT_EQ(store_check(), "ok\n") << "kill " << i;
    changed += after == before ? 0 : 1;
    before = after;
  }
  RecordProperty("killed", static_cast<int>(killed));
  RecordProperty("changed", static_cast<int>(changed));
  EXPECT_GE(killed, 100u) << "most must be killed";
  EXPECT_GE(changed, 5u) << "some must come into force";
  EXPECT_LE(changed, 195u) << "some must not";
  for (const std::size_t i : {0u, 1u}) {
    fw.apply(policy(i));
    EXPECT_EQ(rules_only(net.host), rules[i]);
  }
  EXPECT_EQ(fw.json({"blocks"}).at("blocks").as_array().size(), 3u);
}

TEST_F(Kills, OfTheFirstApplyLeaveAllOrNothing) {
  fw.policy(policy(0));
  const auto begin = Clock::now();
  fw.apply();
  const auto longest = std::chrono::ceil<milliseconds>(Clock::now() - begin);
  const std::string rules = rules_only(net.host);
  for (int i = 0; i < 50; ++i) {
    fw.must({"reset", "--yes"});
    fs::remove_all(fw.state_dir());
    apply_for(longest * i / 50);
    if (has_table()) {
      ASSERT_EQ(rules_only(net.host), rules) << "kill " << i;
    }
    ASSERT_EQ(store_check(), "ok\n") << "kill " << i;
    fw.apply();
    ASSERT_EQ(rules_only(net.host), rules) << "after kill " << i;
  }
}

/// A flood does not slip through between two policies, and none of what is open is lost.
class AloneFloods : public OverFamily {
 protected:
  enum Kind : unsigned { closed_udp, open_udp, closed_tcp, open_tcp, kKinds };
  static constexpr std::uint16_t kPorts[kKinds] = {5001, 5000, 8080, 80};
  static constexpr const char* kNames[kKinds] = {"closed_udp", "open_udp", "closed_tcp",
                                                 "open_tcp"};
  static constexpr std::size_t kSources = 500;

  /// Counts before and after the firewall, in a table of its own.
  void probe() const {
    std::string counters;
    std::string rules;
    for (unsigned kind = 0; kind < kKinds; ++kind) {
      const std::string name = kNames[kind];
      counters += "  counter " + name + "_sent { }\n  counter " + name + "_arrived { }\n";
    }
    const auto chain = [](const std::string& hook, const std::string& what) {
      std::string text = "    type filter hook " + hook + ";\n";
      for (unsigned kind = 0; kind < kKinds; ++kind) {
        text += std::string("    ") + (kind <= open_udp ? "udp" : "tcp") + " dport " +
                std::to_string(kPorts[kind]) + " counter name " + kNames[kind] + what + "\n";
      }
      return text + "  }\n";
    };
    nft(net.host, "table inet probe {\n" + counters + "  chain before {\n" +
                      chain("prerouting priority -500", "_sent") + "  chain after {\n" +
                      chain("input priority 100", "_arrived") + "}\n");
  }
  std::uint64_t probed(Kind kind, const char* what) const {
    return counter(net.host, std::string(kNames[kind]) + what, "inet probe");
  }
  Frames mixed(const RawLink& link) const {
    std::vector<Packet> packets;
    for (std::size_t i = 0; i < kSources; ++i) {
      for (unsigned kind = 0; kind < kKinds; ++kind) {
        Packet packet{stranger(family(), static_cast<unsigned>(i)), host(), kUdp, 0, 0};
        packet.port_from = static_cast<std::uint16_t>(20'000 + i);
        packet.port_to = kPorts[kind];
        if (kind > open_udp) packet.protocol = kTcp;
        if (kind > open_udp) packet.flags = kSyn;
        packets.push_back(packet);
      }
    }
    return link.frames(packets);
  }
};
BOTH_FAMILIES(AloneFloods);

TEST_P(AloneFloods, SeeOnePolicyOrTheOther) {
  const Server server(net.host, {80, 8080});  // 8080 would answer
  fw.apply(policy(0));
  probe();
  const RawLink link(net);
  const Frames frames = mixed(link);
  std::atomic<bool> stop{false};
  std::size_t sent = 0;
  const auto begin = Clock::now();
  std::thread flood([&] { sent = link.flood(frames, 50'000, stop); });
  std::size_t applied = 0;
  std::string wrong;
  for (; applied < 200 && wrong.empty(); ++applied) {
    fw.policy(policy(applied + 1));
    const Output output = fw.run({"apply"});
    if (!output.ok() || output.out.find("in force") == std::string::npos) {
      wrong = to_string(output);
    }
  }
  const double seconds = seconds_of(Clock::now() - begin);
  stop = true;
  flood.join();
  EXPECT_EQ(wrong, "");
  EXPECT_EQ(applied, 200u);
  std::uint64_t seen = 0;
  EXPECT_TRUE(eventually([&] {  // what still waits in queues
    const std::uint64_t last = seen;
    seen = 0;
    for (unsigned kind = 0; kind < kKinds; ++kind) seen += probed(Kind{kind}, "_sent");
    return seen == last;
  }));
  RecordProperty("per_second", static_cast<int>(static_cast<double>(sent) / seconds));
  EXPECT_GT(probed(closed_udp, "_sent"), 10'000u);
  EXPECT_GT(probed(closed_tcp, "_sent"), 10'000u);
  EXPECT_EQ(probed(closed_udp, "_arrived"), 0u);
  EXPECT_EQ(probed(closed_tcp, "_arrived"), 0u);
  EXPECT_EQ(server.accepted(8080), 0u);
  EXPECT_EQ(probed(open_udp, "_arrived"), probed(open_udp, "_sent"));
  EXPECT_GT(probed(open_tcp, "_arrived"), 0u);
  EXPECT_EQ(from(1).tcp(host(), 80), Outcome::served);
}

/// Policies that cannot be used change nothing.
class Broken : public testing::Test {
 protected:
  Broken() {
    fw.apply(policy(0));
    before = listing(net.host);
  }
  void expect_refused(const std::string& toml, const std::vector<std::string>& places) {
    fw.policy(toml);
    for (const char* command : {"apply", "check", "plan"}) {
      const Output output = fw.run({command});
      EXPECT_EQ(output.exit, 1) << command << ": " << to_string(output);
      for (const std::string& place : places) {
        const std::string whole = fw.policy_path() + place;
        EXPECT_NE(output.err.find(whole), std::string::npos) << whole << to_string(output);
      }
      EXPECT_EQ(output.err.find('\0'), std::string::npos) << command;
      EXPECT_EQ(listing(net.host), before) << command;
    }
  }

  Network net;
  Firewall fw{net.host};
  std::string before;
};

TEST_F(Broken, EveryProblemIsNamedWithItsPlace) {
  expect_refused(R"(zz = 1
[ports]
tcp = [22, 99999, "x"]
foo = 2
[trusted]
networks = ["198.18.0.1/24"]
[[limit]]
name = "extra"
ports = [2000]
rate = "5/10x"
)",
                 {":1:1", ":3:12", ":3:19", ":4:1", ":6:13", ":10:8"});
}

TEST_F(Broken, WhatIsNotTomlIsRefused) {
  using namespace std::string_literals;
  expect_refused("[ports]\ntcp = [22\0]\n"s, {":2:10"});
  expect_refused("[ports]\n\0"s, {":2:1"});
  expect_refused("[ports]\ntcp = [22", {":2:"});
  expect_refused("[ports\n", {":1:"});
  expect_refused("\xff\xfe\x00garbage"s, {":1:"});
  expect_refused(std::string(5 << 20, 'x'), {});
  std::mt19937 random(1);
  for (int i = 0; i < 20; ++i) {
    std::string garbage;
    for (int k = 0; k < 400; ++k) garbage += static_cast<char>(random());
    expect_refused(garbage, {":"});
  }
}

TEST_F(Broken, NoFileIsAnErrorWhenOneIsNamed) {
  fs::remove(fw.policy_path());
  const Output output = fw.run({"apply"});
  EXPECT_EQ(output.exit, 1) << to_string(output);
  EXPECT_NE(output.err.find(fw.policy_path()), std::string::npos) << to_string(output);
  EXPECT_EQ(listing(net.host), before);
}

TEST_F(Broken, WhatIsNoRegularFileIsRefusedAtOnce) {
  const std::string path = fw.policy_path();
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"mkfifo " + path, "it is not a regular file"},
      {"ln -s /dev/zero " + path, "it is not a regular file"},
      {"mkdir " + path, "Is a directory"},
      {"truncate -s 1T " + path, "larger than 4 MiB"}};
  for (const auto& [make, reason] : cases) {
    fs::remove_all(path);
    must_run(net.host, {"sh", "-ec", make});
    for (const char* command : {"apply", "check", "plan"}) {
      const Output output = fw.run({command});
      EXPECT_EQ(output.exit, 1) << command << to_string(output);
      EXPECT_NE(output.err.find(path + ": error: "), std::string::npos) << to_string(output);
      EXPECT_NE(output.err.find(reason), std::string::npos) << to_string(output);
      EXPECT_EQ(listing(net.host), before) << command;
    }
  }
}

TEST_F(Broken, EmptyValuesAreWrongUsage) {
  const std::vector<std::pair<std::string, std::vector<std::string>>> cases = {
      {"--for", {"block", "198.18.0.1", "--for", ""}},
      {"--from", {"block", "--from", ""}},
      {"--policy", {"apply", "--policy", ""}},
      {"--state-dir", {"--state-dir", "", "apply"}}};
  for (const auto& [option, words] : cases) {
    std::vector<std::string> whole = {program()};  // without the options of fw.run
    whole.insert(whole.end(), words.begin(), words.end());
    const Output output = run(net.host, whole);
    EXPECT_EQ(output.exit, 64) << option << to_string(output);
    EXPECT_NE(output.err.find(option + ": the value is empty"), std::string::npos)
        << to_string(output);
    EXPECT_EQ(listing(net.host), before) << option;
  }
}

/// Whoever can write the state folder cannot make root wait.
TEST_F(Broken, AFifoInThePlaceOfAStateFileIsNotWaitedFor) {
  (void)fw.file("bad.txt", "198.18.9.9\n");
  fw.apply("[[list]]\nname = \"bad\"\nfile = \"bad.txt\"\naction = \"block\"\n");
  fw.must({"panic", "on", "--force"});
  fw.must({"panic", "off"});
  fw.must({"block", "198.18.0.1"});
  const std::string kept = fw.dir() / "kept";
  fs::copy(fw.state_dir(), kept, fs::copy_options::recursive);
  std::vector<std::string> names;
  for (const auto& entry : fs::recursive_directory_iterator(kept)) {
    if (!entry.is_regular_file()) continue;
    const std::string name = fs::relative(entry.path(), kept);
    for (const char* suffix : {"", ".new"}) names.push_back(name + suffix);
  }
  for (const char* name : {"state.db-journal", "activity.db-journal"}) names.emplace_back(name);
  EXPECT_GE(names.size(), 10u);
  for (const std::string& name : names) {
    SCOPED_TRACE(name);
    const std::string path = fw.state_dir() + "/" + name;
    fs::remove(path);
    must_run(net.host, {"mkfifo", path});
    for (const std::vector<std::string>& words :
         std::vector<std::vector<std::string>>{{"apply"},
                                               {"block", "198.18.0.2"},
                                               {"panic", "on", "--force"},
                                               {"panic", "off"},
                                               {"status"}}) {
      const Output output = fw.run(words);  // comes back
      EXPECT_NE(output.exit, 64) << to_string(output);
    }
    fs::remove_all(fw.state_dir());
    fs::copy(kept, fw.state_dir(), fs::copy_options::recursive);
  }
}

TEST_F(Broken, WhatOthersCanChangeIsWarnedOf) {
  (void)fw.file("bad.txt", "198.18.9.9\n");
  fw.apply("[[list]]\nname = \"bad\"\nfile = \"bad.txt\"\naction = \"block\"\n");
  const auto warned = [&](const std::string& what) {
    for (const char* command : {"check", "apply", "plan"}) {
      const Output output = fw.run({command});
      EXPECT_EQ(output.exit, 0) << command << to_string(output);
      if (what.empty()) {
        EXPECT_EQ(output.err, "") << command;
      } else {
        EXPECT_NE(output.err.find(what), std::string::npos) << command << to_string(output);
      }
    }
  };
  warned("");
  const std::string list = fw.dir() / "bad.txt";
  for (const std::string& path : {fw.policy_path(), list, fw.state_dir()}) {
    must_run(net.host, {"chmod", "o+w", path});
    warned("any user can change " + path + ", and so the firewall: chmod o-w " + path);
    must_run(net.host, {"chmod", "o-w", path});
    must_run(net.host, {"chown", "12345", path});
    warned(path + " belongs to user 12345, who can so change the firewall");
    must_run(net.host, {"chown", "0", path});
  }
  warned("");
}

TEST_F(Broken, AReasonThatIsNotUtf8IsEscapedInJson) {
  fw.must({"block", "198.18.0.1", "--reason", "a\xff\xc3 caf\xc3\xa9 " + std::string(100, 'x')});
  const auto blocks = fw.json({"blocks"}).at("blocks").as_array();
  ASSERT_EQ(blocks.size(), 1u);
  EXPECT_EQ(blocks[0].at("reason").as_string(), "a\\xff\\xc3 caf\xc3\xa9 " + std::string(100, 'x'));
}

TEST_F(Broken, TheTimeOfABlockBeginsWhenItsTurnComes) {
  const std::string lock = fw.state_dir() + "/lock";
  Process other(net.host, {"flock", "--no-fork", lock, "sleep", "1d"});
  const auto is_at = [&](const Process& process) {
    const fs::path files = "/proc/" + std::to_string(process.id()) + "/fd";
    return std::ranges::any_of(fs::directory_iterator(files), [&](const auto& file) {
      std::error_code gone;
      return fs::read_symlink(file.path(), gone) == lock;
    });
  };
  const auto is_taken = [&] {
    return fw.run_by({"flock", "--nonblock", "--conflict-exit-code", "9", lock}, {"--version"})
               .exit == 9;
  };
  ASSERT_TRUE(eventually(is_taken));
  Process waits(net.host, fw.command({"block", "198.18.0.1", "--for", "60s"}));
  ASSERT_TRUE(eventually([&] { return is_at(waits); }));
  std::this_thread::sleep_for(2100ms);  // of which its time must not lose anything
  const auto turn = Clock::now();
  other.kill(SIGKILL);
  EXPECT_EQ(waits.wait().exit, 0);
  const auto blocks = fw.json({"blocks"}).at("blocks").as_array();
  ASSERT_EQ(blocks.size(), 1u);
  EXPECT_GE(blocks[0].at("seconds_left").to_number<double>(), 60 - seconds_of(Clock::now() - turn));
}

TEST_F(Broken, ResetNeedsNoStateFolder) {
  const std::string mount = "mount --bind " + fw.state_dir() + " " + fw.state_dir() +
                            " && mount -o remount,bind,ro " + fw.state_dir() + " && exec \"$@\"";
  fs::remove(fw.state_dir() + "/lock");
  const Output output =
      fw.run_by({"unshare", "--mount", "--propagation", "private", "sh", "-ec", mount, "sh"},
                {"reset", "--yes"});
  EXPECT_EQ(output.exit, 0) << to_string(output);
  EXPECT_NE(output.err.find("without the lock"), std::string::npos) << to_string(output);
  EXPECT_EQ(listing(net.host), "");
}

/// Users who may not change the firewall.
class Unprivileged : public testing::Test {
 protected:
  Unprivileged() {
    fw.apply(policy(0));
    before = listing(net.host);
    fw.policy(policy(1));
    // Wherever the program was built, everybody can start this copy.
    fs::copy_file(lab::program(), program);
    fs::permissions(fw.dir().path(), fs::perms(0755));
  }
  /// One line on stderr says what is missing; nothing else happens.
  void expect_denied(const std::vector<std::string>& setpriv, const std::string& says) {
    const std::vector<std::vector<std::string>> commands = {
        {"apply"}, {"block", "198.18.0.1"}, {"reset", "--yes"}};
    for (const auto& words : commands) {
      std::vector<std::string> whole = setpriv;
      const std::vector<std::string> command = fw.command(words);
      whole.emplace_back("--");
      whole.push_back(program);
      whole.insert(whole.end(), command.begin() + 1, command.end());
      const Output output = run(net.host, whole);
      EXPECT_EQ(output.exit, 1) << words.front() << ": " << to_string(output);
      EXPECT_EQ(output.out, "") << words.front();
      EXPECT_EQ(std::count(output.err.begin(), output.err.end(), '\n'), 1) << to_string(output);
      EXPECT_NE(output.err.find(says), std::string::npos) << to_string(output);
      EXPECT_EQ(listing(net.host), before) << words.front();
      EXPECT_TRUE(fw.json({"blocks"}).at("blocks").as_array().empty()) << words.front();
    }
  }

  Network net;
  Firewall fw{net.host};
  std::string program = fw.dir() / "cloudron-fw";
  std::string before;
};

TEST_F(Unprivileged, NobodyIsTold) {
  expect_denied({"setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"}, "root");
}

TEST_F(Unprivileged, NobodyWithTheStateFolderIsTold) {
  fs::permissions(fw.dir().path(), fs::perms(0777));
  must_run(net.host, {"chown", "-R", "65534:65534", fw.state_dir()});
  expect_denied({"setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"}, "CAP_NET_ADMIN");
}

TEST_F(Unprivileged, RootWithoutTheCapabilityIsTold) {
  expect_denied({"setpriv", "--bounding-set=-net_admin", "--inh-caps=-net_admin"}, "CAP_NET_ADMIN");
}

}  // namespace
}  // namespace lab
