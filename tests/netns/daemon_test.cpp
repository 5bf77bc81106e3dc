// The daemon: repairs, offenders, trials, and its control socket under strain.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/lab/daemon.hpp"

#include <algorithm>
#include <atomic>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <random>
#include <thread>

#include <boost/json/array.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include "chains/compile_stand_in.hpp"
#include "chains/netlink/encode.hpp"
#include "chains/netlink/kernel.hpp"
#include "fw/effective/policy.hpp"
#include "tests/lab/family.hpp"
#include "tests/lab/nft.hpp"
#include "tests/lab/raw.hpp"
#include "tests/lab/server.hpp"

namespace lab {
namespace {

namespace json = boost::json;

/// How many times its own memory the program may take: a sanitizer's is on top. The program that is
/// tested can be of another build than this test, so the preset says it.
std::size_t memory_weight() {
  const char* weight = std::getenv("CLOUDRON_FW_MEMORY_WEIGHT");
  return weight == nullptr ? 1 : std::stoul(weight);
}

/// Of a process, in KiB.
std::size_t resident(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/status");
  std::string word;
  std::size_t kib = 0;
  while (file >> word && word != "VmRSS:") {
  }
  file >> kib;
  return kib;
}

class Guarded : public testing::Test {
 protected:
  Guarded() { fw.apply("[ports]\ntcp = [22, 80]\n"); }

  /// The rules, or nothing while there is no table.
  std::string rules() const {
    try {
      return rules_only(net.host);
    } catch (const std::runtime_error&) {
      return {};
    }
  }
  std::string activity(const std::string& what) const {
    return fw.must({"activity", "--what", what}).out;
  }

  Network net;
  Firewall fw{net.host};
};

TEST_F(Guarded, WhatOthersRemoveIsBack) {
  const std::string before = rules_only(net.host);
  const Daemon daemon(fw);
  for (const char* command :
       {"flush ruleset", "delete table inet cloudron", "flush chain inet cloudron input",
        "delete element inet cloudron open_tcp { 22 }",
        "add rule inet cloudron CLOUDRON tcp dport 4444 accept"}) {
    nft(net.host, command);
    EXPECT_TRUE(eventually([&] { return rules() == before; })) << command;
  }
  EXPECT_EQ(daemon.repairs(), 5);
  EXPECT_NE(activity("repair").find("nft (pid "), std::string::npos) << activity("repair");
  EXPECT_NE(activity("repair").find("removed the firewall"), std::string::npos);
  EXPECT_EQ(fw.run({"verify"}).exit, 0);
}

TEST_F(Guarded, WithoutItsStoreItRepairsAndSaysWhatIsMissing) {
  const std::string before = rules_only(net.host);
  const Daemon daemon(fw);
  // Its first check must not meet a half-written file.
  EXPECT_TRUE(eventually([&] { return daemon.ask("counts").at("daemon").at("checks") == 1; }));
  write_file(fw.state_dir() + "/state.db", std::string(4096, 'x'));
  for (int i = 0; i < 2; ++i) {
    nft(net.host, "delete table inet cloudron");
    EXPECT_TRUE(eventually([&] { return rules() == before; }));
  }
  const std::string log = daemon.process().err_so_far();
  const std::string said = "the blocks in the kernel stay as they are";
  const auto at = log.find(said);
  ASSERT_NE(at, std::string::npos) << log;
  EXPECT_EQ(log.find(said, at + 1), std::string::npos) << "once: " << log;
}

/// Rules that an admin adds with nft.
class ByHand : public Guarded {
 protected:
  /// Returns when the daemon has looked at all that was changed until now: of two more checks the
  /// later one has begun since.
  void seen() const {
    for (const char* change :
         {"add counter inet cloudron admin_a", "delete counter inet cloudron admin_a"}) {
      const std::int64_t before = checks();
      nft(net.host, change);
      ASSERT_TRUE(eventually([&] { return checks() > before; }));
    }
  }
  /// What was told of repairs after as many.
  std::string remove(int nth) const {
    nft(net.host, "delete table inet cloudron");
    EXPECT_TRUE(eventually([&] { return daemon.repairs() == nth; }));
    return activity("repair");
  }
  std::int64_t checks() const { return daemon.ask("counts").at("daemon").at("checks").as_int64(); }

  const Daemon daemon{fw};
};

TEST_F(ByHand, WhatWentWithTheTableIsSaidOnce) {
  EXPECT_EQ(remove(1).find("by hand"), std::string::npos) << "there were none";
  nft(net.host, "add rule inet cloudron CLOUDRON_BEFORE tcp dport 9100 accept");
  nft(net.host, "add rule inet cloudron CLOUDRON_AFTER counter");
  nft(net.host, "add rule inet cloudron CLOUDRON_FORWARD_BEFORE ip6 daddr 2001:db8::7 accept");
  seen();
  const std::string said = "; 3 hand-added rules are lost with it";
  const std::string first = remove(2);
  EXPECT_NE(first.find(said), std::string::npos) << first;
  EXPECT_NE(daemon.process().err_so_far().find(said), std::string::npos)
      << daemon.process().err_so_far() << daemon.process().out_so_far();
  const std::string again = remove(3);
  EXPECT_EQ(again.find(said), again.rfind(said)) << again;
}

TEST_F(ByHand, WhatAResetTookIsNotSaid) {
  nft(net.host, "add rule inet cloudron CLOUDRON_BEFORE tcp dport 9100 accept");
  seen();
  fw.must({"reset", "--yes"});
  fw.apply();
  seen();
  EXPECT_EQ(remove(1).find("by hand"), std::string::npos) << activity("repair");
}

TEST_F(ByHand, WhatFilesHaveIsNotLost) {
  fw.must({"reset", "--yes"});
  std::filesystem::create_directory(fw.dir() / "rules.d");
  fw.file("rules.d/10.nft", "add rule inet cloudron CLOUDRON_BEFORE tcp dport 9100 accept\n");
  fw.apply();
  seen();
  EXPECT_EQ(remove(1).find("by hand"), std::string::npos) << activity("repair");
}

TEST_F(Guarded, ADeviceThatComesDropsWhatIsBlockedEarly) {
  const Daemon daemon(fw);
  const auto early = [this](const char* device) {
    return listing(net.host).find(std::string(device) + " }") != std::string::npos;
  };
  EXPECT_FALSE(early("new0"));
  // A container's device is one of the outside's for a moment.
  must_run(net.host, {"ip", "link", "add", "bridge0", "type", "bridge"});
  must_run(net.host, {"ip", "link", "add", "inner0", "type", "veth", "peer", "name", "inner1"});
  must_run(net.host, {"ip", "link", "set", "inner0", "master", "bridge0"});
  must_run(net.host, {"ip", "link", "set", "inner1", "master", "bridge0"});
  must_run(net.host, {"ip", "link", "add", "new0", "type", "veth", "peer", "name", "new1"});
  must_run(net.host, {"ip", "link", "set", "new1", "master", "bridge0"});
  EXPECT_TRUE(eventually([&] { return early("new0"); })) << listing(net.host);
  must_run(net.host, {"ip", "link", "set", "new0", "name", "newer0"});
  EXPECT_TRUE(eventually([&] { return early("newer0"); }));
  must_run(net.host, {"ip", "link", "del", "newer0"});
  EXPECT_TRUE(eventually([&] { return fw.run({"verify"}).exit == 0; }));
  EXPECT_EQ(daemon.repairs(), 0) << "nobody did wrong";
  EXPECT_EQ(listing(net.host).find("inner"), std::string::npos);
}

/// There the kernel's number of a process is another one than its own.
TEST_F(Guarded, InAPidNamespaceItKnowsWhoElseChangedTheRules) {
  const Daemon daemon(fw, {"unshare", "--pid", "--fork", "--kill-child"});
  for (int i = 1; i <= 5; ++i) {
    const json::object block{{"do", "block"}, {"addresses", {"198.18.7." + std::to_string(i)}}};
    EXPECT_EQ(daemon.ask(block).at("ok"), true);
    nft(net.host, "delete table inet cloudron");
    ASSERT_TRUE(eventually([&] { return daemon.repairs() == i; }));
  }
  EXPECT_NE(activity("repair").find("nft (pid "), std::string::npos) << activity("repair");
  EXPECT_EQ(activity("repair").find("cloudron-fw (pid "), std::string::npos) << activity("repair");
  EXPECT_EQ(activity("repair").find("an unknown program"), std::string::npos) << activity("repair");
}

TEST_F(Guarded, OwnCommandsAreNoDrift) {
  const Daemon daemon(fw);
  fw.apply("[ports]\ntcp = [22, 443]\n");
  fw.must({"block", "198.18.0.9", "2001:db8:18:9::/64"});
  fw.must({"unblock", "198.18.0.9"});
  nft(net.host, "add rule inet cloudron CLOUDRON_BEFORE tcp dport 9100 accept");
  nft(net.host, "add table inet other");
  fw.must({"reset", "--yes"});
  // Whatever it noticed comes before the answer.
  EXPECT_TRUE(
      eventually([&] { return daemon.ask("counts").at("daemon").at("off") == json::value(true); }));
  EXPECT_EQ(daemon.repairs(), 0);
  EXPECT_EQ(listing(net.host).find("cloudron"), std::string::npos) << "reset is the admin's word";
  fw.apply();
  EXPECT_EQ(daemon.repairs(), 0);
  nft(net.host, "flush ruleset");
  EXPECT_TRUE(eventually([&] { return daemon.repairs() == 1; }));
}

TEST_F(Guarded, RepairsWhatWasAppliedNotWhatTheFileSaysByNow) {
  const std::string before = rules_only(net.host);
  const Daemon daemon(fw);
  fw.policy("[ports]\ntcp = [22, 80, 8080]\n");
  nft(net.host, "flush ruleset");
  EXPECT_TRUE(eventually([&] { return rules() == before; }));
  EXPECT_EQ(fw.run({"verify"}).exit, 0);
  EXPECT_EQ(fw.run({"plan"}).exit, 2);
}

TEST_F(Guarded, EachRepairIsMadeAndTheFirstOfAMinuteAreTold) {
  const std::string before = rules();
  const Daemon daemon(fw);
  for (int i = 1; i <= 100; ++i) {
    nft(net.host, "flush ruleset");
    ASSERT_TRUE(eventually([&] { return daemon.repairs() == i; })) << i;
  }
  EXPECT_EQ(rules(), before);
  EXPECT_NE(daemon.process().err_so_far().find("<1>"), std::string::npos)
      << "an alert: " << daemon.process().err_so_far();
  EXPECT_LT(fw.json({"activity", "--what", "repair"}).as_array().size(), 100u);
}

/// Of every element the kernel would tell in a message of its own.
TEST_F(Guarded, AsManyBlocksAsThereAreItMissesNoChange) {
  std::string many;
  for (int i = 0; i < 50'000; ++i) {
    many += "11.0." + std::to_string(i / 250) + "." + std::to_string(i % 250) + "\n";
  }
  fw.must({"block", "--from", fw.file("many.txt", many)});
  const std::string before = rules();
  const Daemon daemon(fw);
  for (int i = 1; i <= 3; ++i) {
    nft(net.host, "delete table inet cloudron");
    ASSERT_TRUE(eventually([&] { return daemon.repairs() == i; }));
    EXPECT_EQ(elements(net.host, "block4").size(), 50'000u);
  }
  EXPECT_EQ(daemon.ask("counts").at("daemon").at("changes_lost"), 0);
  nft(net.host, "delete element inet cloudron open_tcp { 22 }");
  EXPECT_TRUE(eventually([&] { return daemon.repairs() == 4; })) << "it listens again";
  EXPECT_EQ(rules(), before);
}

/// What is in force between the loss of the table and its repair.
class StandIn : public OverFamily {
 protected:
  /// Until the kernel's socket is closed.
  chains::Kernel stand_in(chains::StandInOpen open) const {
    return net.host.in([open] {
      auto kernel = chains::Kernel::open();
      if (!kernel) fail(to_string(kernel.error()));
      chains::Batch batch(kernel->generation().value());
      chains::encode_stand_in(chains::compile_stand_in(fw::default_policy(), open), false, batch);
      if (const auto done = kernel->commit(batch); !done) fail(to_string(done.error()));
      return std::move(*kernel);
    });
  }
  bool stands() const { return listing(net.host).find("cloudron_stand_in") != std::string::npos; }
  bool closed(std::uint16_t port) const {
    return from(2).tcp(host(), port, kShort) == Outcome::timed_out;
  }

  Server server{net.host, {22, 80, 8080}};
};
BOTH_FAMILIES(StandIn);

TEST_P(StandIn, LetsInNoMoreThanThePolicyAndNobodyElseRemovesIt) {
  fw.apply();
  Session known = from(1).session(host(), 22);
  ASSERT_TRUE(known.echoes());
  {
    const auto owner = stand_in(chains::StandInOpen::open_ports);
    nft(net.host, "flush ruleset");
    EXPECT_NE(run(net.host, {"nft", "delete", "table", "inet", "cloudron_stand_in"}).exit, 0);
    EXPECT_EQ(from(2).tcp(host(), 80), Outcome::served);
    EXPECT_EQ(from(2).tcp(host(), 22), Outcome::served);
    EXPECT_TRUE(closed(8080));
    EXPECT_TRUE(known.echoes());
  }
  EXPECT_FALSE(stands()) << "without its owner";
  {
    const auto owner = stand_in(chains::StandInOpen::nothing);
    EXPECT_TRUE(closed(80));
    EXPECT_TRUE(known.echoes());
  }
  EXPECT_FALSE(closed(8080));
}

/// Both are in force for a minute: the stand-in must not be in the way of what the policy lets in.
TEST_P(StandIn, PassesWhatOurTableHasLetIn) {
  const auto owner = stand_in(chains::StandInOpen::nothing);
  fw.apply();
  nft(net.host, "add rule inet cloudron CLOUDRON_BEFORE tcp dport 8080 accept");
  for (const std::uint16_t port : PortList{22, 80, 8080}) {
    EXPECT_EQ(from(1).tcp(host(), port), Outcome::served) << port;
  }
  fw.apply("[ports]\ntcp = [22]\n[trusted]\nnetworks = [\"198.18.0.3\", \"2001:db8:18:3::/64\"]\n");
  fw.must({"panic", "on"});
  EXPECT_EQ(from(3).tcp(host(), 22), Outcome::served);
  EXPECT_TRUE(closed(22));
}

/// As keepalived's, syslog's or a VPN's are for long: each of their packets is the first of a flow.
TEST_P(StandIn, FlowsThatNobodyAnswersGoOn) {
  const auto owner = stand_in(chains::StandInOpen::nothing);
  fw.apply();
  nft(net.host, "add rule inet cloudron CLOUDRON_BEFORE udp dport 6343 accept");
  const int domain = family() == Family::ipv4 ? AF_INET : AF_INET6;
  const auto bound = [&](const Namespace& where, Ip ip, std::uint16_t port) {
    Fd fd(where.in([&] { return ::socket(domain, SOCK_DGRAM | SOCK_CLOEXEC, 0); }));
    const int one = 1;
    if (domain == AF_INET6) ::setsockopt(fd.get(), IPPROTO_IPV6, IPV6_FREEBIND, &one, sizeof one);
    const SockAddr at(ip, port);
    if (::bind(fd.get(), at.get(), at.size) < 0) fail("cannot bind");
    return fd;
  };
  const Fd sink = bound(net.host, host(), 6343);
  const Fd source = bound(net.outside, client(family(), 1), 4444);
  const SockAddr to(host(), 6343);
  for (char i = 0; i < 5; ++i) {
    ASSERT_EQ(::sendto(source.get(), &i, 1, 0, to.get(), to.size), 1);
    pollfd polled{sink.get(), POLLIN, 0};
    ASSERT_EQ(::poll(&polled, 1, 5000), 1) << int{i};
    char got = -1;
    ASSERT_EQ(::recv(sink.get(), &got, 1, 0), 1);
    EXPECT_EQ(got, i);
  }
}

TEST_P(StandIn, InALoopOfFlushesClosedPortsStayClosed) {
  fw.apply();
  const Daemon daemon(fw);
  nft(net.host, "flush ruleset");
  ASSERT_TRUE(eventually([&] { return stands(); }));
  std::atomic<bool> over = false;
  std::size_t probes = 0;
  std::size_t reached = 0;
  std::thread prober([&] {
    for (; !over; ++probes) {
      if (from(2).tcp(host(), 8080, 5ms) == Outcome::served) ++reached;
    }
  });
  for (int i = 0; i < 100; ++i) nft(net.host, "flush ruleset");
  over = true;
  prober.join();
  EXPECT_EQ(reached, 0u) << "of " << probes;
  EXPECT_GT(probes, 0u);
  EXPECT_TRUE(eventually([&] { return fw.run({"verify"}).exit == 0; }));
  EXPECT_EQ(from(3).tcp(host(), 80), Outcome::served);
  EXPECT_TRUE(stands());
  fw.must({"reset", "--yes"});
  EXPECT_TRUE(eventually([&] { return !stands(); })) << "an admin's reset is none of that";
  EXPECT_EQ(from(2).tcp(host(), 8080), Outcome::served);
}

TEST_P(StandIn, AResetIsNoLoss) {
  fw.apply();
  const Daemon daemon(fw);
  for (int i = 0; i < 5; ++i) {
    fw.must({"reset", "--yes"});
    EXPECT_EQ(listing(net.host).find("cloudron"), std::string::npos);
    EXPECT_EQ(from(2).tcp(host(), 8080), Outcome::served);
    fw.apply();
  }
}

/// "conntrack -F" forgets idle connections too, and with them that they are admitted.
class Forgotten : public OverFamily {
 protected:
  std::string tracked(unsigned n) const {
    return must_run(net.host, {"conntrack", "-L", "-f", family() == Family::ipv4 ? "ipv4" : "ipv6",
                               "-s", to_string(client(family(), n))});
  }
  /// Both are open; the second client is blocked, and nothing is tracked any more.
  void forget(Session& idle, Session& blocked) const {
    ASSERT_TRUE(idle.echoes());
    ASSERT_TRUE(blocked.echoes());
    fw.must({"block", to_string(client(family(), 2))});
    must_run(net.host, {"conntrack", "-F"});
  }
  Server server{net.host, {22, 80}};
};
BOTH_FAMILIES(Forgotten);

TEST_P(Forgotten, OpenConnectionsAreEnteredByTheDaemon) {
  fw.apply("[ports]\ntcp = [22, 80]\n");
  const Daemon daemon(fw);
  Session idle = from(1).session(host(), 22);
  Session blocked = from(2).session(host(), 22);
  forget(idle, blocked);
  EXPECT_TRUE(eventually([&] { return !tracked(1).empty(); }));
  EXPECT_TRUE(idle.echoes());
  EXPECT_FALSE(blocked.echoes(kShort));
  EXPECT_EQ(tracked(2), "");
  EXPECT_EQ(daemon.repairs(), 0);
}

TEST_P(Forgotten, OpenConnectionsAreEnteredByAnApply) {
  fw.apply("[ports]\ntcp = [22, 80]\n");
  Session idle = from(1).session(host(), 22);
  Session blocked = from(2).session(host(), 22);
  forget(idle, blocked);
  const Output applied = fw.apply();
  EXPECT_NE(applied.out.find("1 open connection was no longer tracked"), std::string::npos)
      << applied.out;
  EXPECT_TRUE(idle.echoes());
  EXPECT_FALSE(blocked.echoes(kShort));
  EXPECT_NE(fw.apply().out.find("nothing to do"), std::string::npos);
}

TEST_F(Guarded, VerifySaysOnce) {
  EXPECT_EQ(fw.run({"verify"}).exit, 0);
  nft(net.host, "delete element inet cloudron open_tcp { 80 }");
  const Output differs = fw.run({"verify"});
  EXPECT_EQ(differs.exit, 2);
  EXPECT_NE(differs.out.find("80"), std::string::npos) << differs.out;
  EXPECT_EQ(fw.json({"verify"}).at("equal"), false);
  nft(net.host, "delete table inet cloudron");
  const Output gone = fw.run({"verify"});
  EXPECT_EQ(gone.exit, 2);
  EXPECT_TRUE(gone.out.starts_with("the applied rules are gone")) << gone.out;
  EXPECT_EQ(std::count(gone.out.begin(), gone.out.end(), '\n'), 1) << gone.out;
  fw.must({"apply"});
  fw.must({"reset", "--yes"});
  EXPECT_NE(fw.run({"verify"}).out.find("off since"), std::string::npos);
  std::filesystem::remove_all(fw.state_dir());
  const Output never = fw.run({"verify"});
  EXPECT_EQ(never.exit, 2);
  EXPECT_TRUE(never.out.starts_with("nothing is applied yet")) << never.out;
}

TEST_F(Guarded, ATrialThatNobodyConfirmsEndsEvenWithoutItsGuardian) {
  const std::string before = rules_only(net.host);
  const Daemon daemon(fw);
  fw.policy("[ports]\ntcp = [22, 8080]\n");
  fw.must({"apply", "--confirm", "2s"});
  EXPECT_TRUE(rules() != before);
  EXPECT_TRUE(eventually([&] { return rules() == before; }));
  EXPECT_EQ(daemon.repairs(), 0);
}

TEST_F(Guarded, ControlBlocksAndTells) {
  const Daemon daemon(fw);
  const json::object blocked =
      daemon.ask(json::object{{"do", "block"},
                              {"addresses", {"198.18.0.7", "2001:db8::/64"}},
                              {"for", "1h"},
                              {"reason", "a test"}});
  EXPECT_EQ(blocked.at("ok"), true) << json::serialize(blocked);
  EXPECT_EQ(blocked.at("in_force"), true);
  EXPECT_EQ(elements(net.host, "block4").size(), 1u);
  EXPECT_EQ(elements(net.host, "block_net6").size(), 1u);
  EXPECT_EQ(daemon.ask("blocks").at("all"), 2);
  EXPECT_EQ(daemon.ask("counts").at("blocks").at("admin"), 2);
  EXPECT_NE(fw.must({"blocks"}).out.find("a test"), std::string::npos);
  const json::object lifted =
      daemon.ask(json::object{{"do", "unblock"}, {"addresses", {"198.18.0.7", "198.18.0.8"}}});
  EXPECT_EQ(lifted.at("unblocked").as_array().size(), 1u);
  EXPECT_EQ(lifted.at("not_found").as_array().size(), 1u);
  EXPECT_TRUE(elements(net.host, "block4").empty());
  const json::object rows = daemon.ask(json::object{{"do", "activity"}, {"what", "block"}});
  EXPECT_EQ(rows.at("activity").as_array().size(), 1u);
  EXPECT_EQ(daemon.repairs(), 0);
}

TEST_F(Guarded, AReasonThatJsonCannotCarryIsNoObstacle) {
  const Daemon daemon(fw);
  fw.must({"--socket", daemon.path(), "block", "203.0.113.7", "2001:db8:7::7", "--reason",
           "caf\xe9 \x1b[31m"});
  EXPECT_EQ(elements(net.host, "block4").size(), 1u);
  EXPECT_EQ(elements(net.host, "block6").size(), 1u);
  const json::value told = fw.json({"blocks"});
  ASSERT_EQ(told.at("blocks").as_array().size(), 2u);
  for (const json::value& block : told.at("blocks").as_array()) {
    EXPECT_EQ(block.at("reason"), "caf\\xe9 \\u001b[31m");
  }
  fw.must({"--socket", daemon.path(), "unblock", "203.0.113.7", "2001:db8:7::7"});
}

TEST_F(Guarded, WrongRequestsAreAnsweredAndTheNextOneIsServed) {
  const Daemon daemon(fw);
  Control control(daemon.path());
  for (const auto& [line, says] : std::vector<std::pair<std::string, std::string>>{
           {"", "JSON object"},
           {"{", "JSON object"},
           {"[1]", "JSON object"},
           {"\xff\xfe", "JSON object"},
           {std::string(20, '[') + std::string(20, ']'), "JSON object"},
           {R"({"do":7})", "must be a string"},
           {R"({"do":"dance"})", "unknown request"},
           {R"({"do":"block"})", "\\\"addresses\\\" must be there"},
           {R"({"do":"block","addresses":["198.18.0.300"]})", "198.18.0.300"},
           {R"({"do":"block","addresses":["198.18.0.3"],"for":"1y"})", "unknown unit"},
           {R"({"do":"blocks","count":-1})", "whole number"}}) {
    control.send(line + "\n");
    const std::string answer = control.line();
    EXPECT_NE(answer.find(R"("ok":false)"), std::string::npos) << line << ": " << answer;
    EXPECT_NE(answer.find(says), std::string::npos) << line << ": " << answer;
  }
  EXPECT_EQ(control.ask(json::object{{"do", "hello"}}).at("ok"), true);
  control.send(std::string(300'000, 'x'));
  EXPECT_NE(control.line().find("too long"), std::string::npos);
  EXPECT_EQ(control.line(), "") << "closed";
}

TEST_F(Guarded, ManyClientsAndHalfMessagesKeepNobodyOut) {
  const Daemon daemon(fw);
  const std::size_t before = resident(daemon.process().id());
  std::vector<std::unique_ptr<Control>> held;
  for (int i = 0; i < 10'000; ++i) {
    auto control = std::make_unique<Control>(daemon.path());
    control->send(R"({"do": "hel)");
    held.push_back(std::move(control));
    if (held.size() == 200) held.erase(held.begin());
    if (i % 1000 != 0) continue;
    EXPECT_EQ(daemon.ask("hello").at("ok"), true) << i;
  }
  EXPECT_LE(daemon.ask("counts").at("daemon").at("clients").to_number<int>(), 64);
  // Readers that do not read.
  for (int i = 0; i < 100; ++i) {
    held.push_back(std::make_unique<Control>(daemon.path()));
    for (int j = 0; j < 50; ++j) held.back()->send("{\"do\":\"counts\"}\n");
  }
  EXPECT_EQ(daemon.ask("hello").at("ok"), true);
  EXPECT_LT(resident(daemon.process().id()), before + memory_weight() * 16 * 1024);
}

TEST_F(Guarded, AtRestItIsSmall) {
  const Daemon daemon(fw);
  EXPECT_EQ(daemon.ask("hello").at("ok"), true);
  RecordProperty("resident_kib", static_cast<int>(resident(daemon.process().id())));
  EXPECT_LE(resident(daemon.process().id()), memory_weight() * 20 * 1024);
}

TEST_F(Guarded, IsOneThreadAtRest) {
  fw.apply("[ports]\ntcp = [22, 80]\n[metrics]\nlisten = \"127.0.0.1:9000\"\n");
  const Daemon daemon(fw);
  nft(net.host, "flush ruleset");
  EXPECT_TRUE(eventually([&] { return daemon.repairs() == 1; }));
  EXPECT_EQ(daemon.ask({{"do", "block"}, {"addresses", {"198.18.0.7"}}}).at("ok"), true);
  const std::string tasks = "/proc/" + std::to_string(daemon.process().id()) + "/task";
  EXPECT_TRUE(eventually(
      [&] { return std::ranges::distance(std::filesystem::directory_iterator(tasks)) == 1; }));
}

TEST_F(Guarded, LearnsWhatCommandsApplied) {
  const Daemon daemon(fw);
  const auto apply = [&](const std::string& toml) {
    fw.policy(toml);
    fw.must({"--socket", daemon.path(), "apply"});
  };
  const auto count = [&](const char* what) {
    return daemon.ask("counts").at("daemon").at(what).to_number<std::int64_t>();
  };
  EXPECT_TRUE(eventually([&] { return count("checks") == 1; }));
  EXPECT_EQ(count("applies"), 0);
  const auto begin = Clock::now();
  apply("[ports]\ntcp = [22, 443]\n");
  const double took_at_most = seconds_of(Clock::now() - begin);
  EXPECT_EQ(count("applies"), 1);
  EXPECT_GT(count("last_apply_us"), 0);
  EXPECT_LE(static_cast<double>(count("last_apply_us")), took_at_most * 1e6);
  apply("[ports]\ntcp = [22, 443]\n");  // nothing to do
  apply("[ports]\ntcp = [22, 80]\n");
  EXPECT_EQ(count("applies"), 2);
}

TEST_F(Guarded, OnlyOneKeepsAState) {
  const Daemon daemon(fw);
  const Output second = fw.run({"--socket", fw.dir() / "other.sock", "daemon"});
  EXPECT_EQ(second.exit, 1);
  EXPECT_NE(second.err.find("another daemon"), std::string::npos) << second.err;
}

TEST_F(Guarded, AKillAtAnyMomentLosesNothing) {
  std::mt19937 random(std::random_device{}());
  Daemon daemon(fw);
  const std::string before = rules_only(net.host);
  const auto began = Clock::now();
  EXPECT_EQ(daemon.ask({{"do", "block"}, {"addresses", {"198.18.9.9"}}}).at("ok"), true);
  auto longest = std::chrono::ceil<std::chrono::microseconds>(Clock::now() - began);
  int blocked = 0;
  for (int round = 0; round < 200; ++round) {
    Control control(daemon.path());
    const std::string address =
        "198.18." + std::to_string(round / 250) + "." + std::to_string(round % 250 + 1);
    control.send(R"({"do":"block","addresses":[")" + address + "\"]}\n");
    std::this_thread::sleep_for(std::chrono::microseconds(
        std::uniform_int_distribution<std::int64_t>(0, longest.count())(random)));
    daemon.kill_and_start();
    const bool done = control.line(100ms).find(R"("ok":true)") != std::string::npos;
    longest = done ? longest * 95 / 100 : longest * 105 / 100;
    if (!done) continue;
    ++blocked;
    EXPECT_NE(fw.must({"blocks"}).out.find(address + " "), std::string::npos) << address;
  }
  EXPECT_GT(blocked, 0);
  EXPECT_LT(blocked, 200);
  // The daemon looks at its beginning whether the kernel holds what the store does.
  const auto stored = [&] { return daemon.ask("blocks").at("all").to_number<std::size_t>(); };
  EXPECT_TRUE(eventually([&] { return elements(net.host, "block4").size() == stored(); }));
  EXPECT_EQ(fw.run({"verify"}).exit, 0);
  EXPECT_EQ(fw.run({"activity", "--json"}).exit, 0);
  fw.must({"unblock", "198.18.0.0/16"});
  EXPECT_TRUE(rules() == before);
}

class OffendersLive : public OverFamily {
 protected:
  static constexpr const char* kPolicy =
      "[ports]\ntcp = [22, 80]\n[trusted]\nnetworks = [\"198.18.0.9\", \"2001:db8:18:9::/64\"]\n"
      "[[offender]]\nafter = \"20 refused/10m\"\nblock = \"1h\"\n";
  std::string block_set() const { return family() == Family::ipv4 ? "block4" : "block_net6"; }

  Server server{net.host, {22, 80}};
};
BOTH_FAMILIES(OffendersLive);

TEST_P(OffendersLive, WhoIsRefusedAgainAndAgainIsBlocked) {
  fw.apply(kPolicy);
  const Daemon daemon(fw);
  const auto tries = from(1).tries(host(), {22}, {35, 20ms, 2s});
  EXPECT_LE(served(tries), 5u);
  EXPECT_TRUE(eventually([&] { return elements(net.host, block_set()).size() == 1; }));
  EXPECT_EQ(from(1).tcp(host(), 80, kShort), Outcome::timed_out);
  EXPECT_EQ(from(2).tcp(host(), 80), Outcome::served);
  const std::string blocks = fw.must({"blocks"}).out;
  EXPECT_NE(blocks.find("20 refused by limit ssh, port 22"), std::string::npos) << blocks;
  EXPECT_NE(fw.must({"activity", "--what", "offender"}).out.find("blocked for 1h"),
            std::string::npos);
}

TEST_P(OffendersLive, AForgedFloodInAVictimsNameBlocksNobody) {
  fw.apply(kPolicy);
  const Daemon daemon(fw);
  // The victim has used its five connections, so every SYN in its name is one too many.
  EXPECT_EQ(served(from(1).tries(host(), {22}, {5})), 5u);
  RawLink link(net);
  std::vector<Packet> forged;
  for (unsigned i = 0; i < 2000; ++i) {
    const auto port = static_cast<std::uint16_t>(20'000 + i);
    forged.push_back({client(family(), 1), host(), kTcp, port, 22, kSyn});
    forged.push_back({client(family(), 1), host(), kTcp, port, 22, kAck, 1, 1});
    forged.push_back(
        {client(family(), 1), host(), kTcp, port, static_cast<std::uint16_t>(3000 + i), kSyn});
  }
  link.send(forged);
  ASSERT_TRUE(eventually([&] { return counter(net.host, "ssh.refused") > 100; }));
  ASSERT_TRUE(eventually(
      [&] { return daemon.ask("counts").at("daemon").at("refusals").to_number<int>() > 0; }));
  EXPECT_TRUE(elements(net.host, block_set()).empty()) << fw.must({"blocks"}).out;
  EXPECT_EQ(from(1).tcp(host(), 80), Outcome::served);
}

TEST_P(OffendersLive, EachForgedRefusalTakesASweepOfItsOwn) {
  fw.apply(
      "[[offender]]\nafter = \"2 refused/10m\"\nblock = \"1h\"\n"
      "[[limit]]\nname = \"ssh\"\nports = [22]\nrate = \"1/1h\"\n");
  const Daemon daemon(fw);
  const auto evidence = [&] {
    return daemon.ask("counts").at("daemon").at("refusals").to_number<int>();
  };
  // The victim drops what it did not ask for, and has used its one connection.
  const Ip victim = stranger(family(), 1);
  RawLink link(net);
  Handshakes own(link, victim, host(), {22}, 1);
  own.finish();
  ASSERT_TRUE(eventually([&] { return counter(net.host, "ssh.accepted") == 1; }));

  const auto packet = [&](std::uint16_t port, std::uint8_t flags, std::uint64_t acknowledged) {
    return Packet{victim,
                  host(),
                  kTcp,
                  port,
                  22,
                  flags,
                  flags == kSyn ? 1000u : 1001u,
                  static_cast<std::uint32_t>(acknowledged)};
  };
  /// Gives the server's number, which the attacker does not see. The window is the largest there
  /// is: 65,535 times 2^14.
  const auto syn = [&](std::uint16_t port) {
    Packet first = packet(port, kSyn, 0);
    first.options = std::string("\x03\x03\x0e\x01", 4);
    link.send({first});
    std::uint32_t theirs = 0;
    EXPECT_TRUE(eventually([&] {
      for (const Packet& p : link.receive(100ms)) {
        if (p.flags == (kSyn | kAck) && p.port_to == port) theirs = p.sequence + 1;
      }
      return theirs != 0;
    }));
    return theirs;
  };
  const auto sweep = [&](std::uint16_t port) {
    std::vector<Packet> guesses;
    for (std::uint64_t guess = 0; guess <= 0xffff'ffff; guess += 60'000) {
      guesses.push_back(packet(port, kAck, guess));
    }
    link.send(guesses);
  };
  // Resets that widen the window before the sweep end what there is to complete.
  syn(5000);
  link.send({packet(5000, kRst, 0)});
  sweep(5000);
  EXPECT_EQ(evidence(), 0);
  const std::uint32_t first = syn(5001);
  sweep(5001);
  ASSERT_TRUE(eventually([&] { return evidence() == 1; })) << evidence();
  sweep(5001);  // its window is a gigabyte by now, so that one guess in four is right
  // What the first was worth: nothing for another.
  std::uint16_t next = 5002;
  for (std::uint32_t far = 0; far < 200'000; ++next) {
    const std::uint32_t second = syn(next);
    far = std::min(first - second, second - first);  // hardly ever near by chance
  }
  --next;
  std::vector<Packet> near;
  for (std::uint32_t off = 0; off <= 120'000; off += 30'000) {
    near.push_back(packet(next, kAck, first - 60'000 + off));
  }
  link.send(near);
  EXPECT_EQ(evidence(), 1);
  EXPECT_TRUE(elements(net.host, block_set()).empty()) << fw.must({"blocks"}).out;
  sweep(next);
  EXPECT_TRUE(eventually([&] { return elements(net.host, block_set()).size() == 1; }));
  EXPECT_EQ(evidence(), 2) << "one of each connection";
  EXPECT_EQ(server.accepted(22), 1u);
}

TEST_P(OffendersLive, TopShowsWhoComesAndWhoIsRefused) {
  fw.apply("[ports]\ntcp = [22, 80]\n");
  const Daemon daemon(fw);
  // What begins before the first snapshot is read only lives.
  const auto seen = [&] {
    return daemon.ask("counts").at("connections").to_number<std::int64_t>();
  };
  ASSERT_TRUE(eventually([&] { return from(1).tcp(host(), 80) == Outcome::served && seen() > 0; }));
  const auto before = seen();
  EXPECT_EQ(served(from(1).tries(host(), {80}, {20})), 20u);
  ASSERT_TRUE(eventually([&] { return seen() >= before + 20; }));
  (void)from(2).tries(host(), {22}, {10, 5ms, 300ms});
  const auto top =
      json::parse(fw.must({"--socket", daemon.path(), "top", "--once", "--json"}).out).as_object();
  EXPECT_GE(top.at("busiest").at(0).at("count").to_number<int>(), 10) << "halved once at most";
  EXPECT_EQ(top.at("most_refused").as_array().size(), 1u);
  const std::string text = fw.must({"--socket", daemon.path(), "top", "--once"}).out;
  EXPECT_NE(text.find("ssh"), std::string::npos) << text;
  const Output alone = fw.run({"--socket", fw.dir() / "nobody", "top", "--once"});
  EXPECT_EQ(alone.exit, 1);
  EXPECT_NE(alone.err.find("the daemon is not running"), std::string::npos) << alone.err;
}

TEST_P(OffendersLive, TheTrustedAreNever) {
  fw.apply(kPolicy);
  const Daemon daemon(fw);
  EXPECT_EQ(served(from(9).tries(host(), {22}, {40})), 40u);
  EXPECT_TRUE(elements(net.host, block_set()).empty());
}

}  // namespace
}  // namespace lab
