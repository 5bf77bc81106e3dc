// What apply makes of many policies: shown, listed by nft, loaded by nft, read back, and repaired.
// SPDX-License-Identifier: GPL-2.0-or-later
#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <regex>

#include <fmt/format.h>

#include "tests/lab/apps.hpp"
#include "tests/lab/family.hpp"

namespace lab {
namespace {

namespace fs = std::filesystem;

constexpr const char* kGoldens = CLOUDRON_FW_TESTS "/golden";

std::vector<std::string> goldens() {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(kGoldens)) {
    if (entry.is_directory()) names.push_back(entry.path().filename());
  }
  std::sort(names.begin(), names.end());
  return names;
}

/// Milliseconds come from the kernel's tick, which is not the same everywhere; the first version of
/// a store from the clock.
std::string without_times(const std::string& text) {
  const std::string timeless =
      std::regex_replace(text, std::regex("timeout (\\d+[dhm])*(\\d+s)?\\d+ms"), "timeout TICKS");
  return std::regex_replace(timeless, std::regex("elements = \\{ 0x[0-9a-f]{8} \\}"),
                            "elements = { VERSION }");
}

/// Each folder of tests/golden: policy.toml, perhaps the state of a panic, and ruleset.nft as it
/// must be shown on a host with one device eth0. CLOUDRON_FW_GOLDEN=write writes what is shown now.
class Golden : public testing::TestWithParam<std::string> {
 protected:
  Golden() {
    if (!fs::exists(folder_ + "/panic")) return;
    fs::create_directory(state_ / "state");
    fs::copy_file(folder_ + "/panic", state_ / "state/panic");
  }
  Output run(const std::vector<std::string>& words) const {
    std::vector<std::string> whole{program(), "--policy", folder_ + "/policy.toml", "--state-dir",
                                   state_ / "state"};
    whole.insert(whole.end(), words.begin(), words.end());
    return lab::run(net_.host, whole);
  }

  const std::string folder_ = std::string(kGoldens) + "/" + GetParam();
  const TempDir state_;
  const Network net_;
};
INSTANTIATE_TEST_SUITE_P(, Golden, testing::ValuesIn(goldens()), [](const auto& golden) {
  std::string name = golden.param;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
});

TEST_P(Golden, IsShownAsRemembered) {
  const Output shown = run({"show", "--format", "nft"});
  ASSERT_EQ(shown.exit, 0) << to_string(shown);
  const std::string path = folder_ + "/ruleset.nft";
  const char* const write = std::getenv("CLOUDRON_FW_GOLDEN");
  if (write != nullptr && std::string(write) == "write") write_file(path, shown.out);
  EXPECT_EQ(without_times(shown.out), without_times(read_file(path)))
      << "if it is meant: CLOUDRON_FW_GOLDEN=write, and read the difference";
}

TEST_P(Golden, IsReadBackFromTheKernelAsItWasMeant) {
  const Output applied = run({"apply"});
  ASSERT_EQ(applied.exit, 0) << to_string(applied);
  for (const char* command : {"plan", "apply"}) {
    const Output again = run({command});
    EXPECT_EQ(again.exit, 0) << to_string(again);
    EXPECT_NE(again.out.find("nothing to do"), std::string::npos) << again.out;
  }
  EXPECT_EQ(run({"status"}).exit, 0);
}

TEST_P(Golden, NftMakesTheSameOfWhatIsShown) {
  ASSERT_EQ(run({"apply"}).exit, 0);
  const std::string applied = rules_only(net_.host);
  const std::string shown = run({"show", "--format", "nft"}).out;
  const Output checked = lab::run(net_.host, {"nft", "-c", "-f", "-"}, shown);
  EXPECT_EQ(checked.exit, 0) << to_string(checked);
  ASSERT_EQ(run({"reset", "--yes"}).exit, 0);
  nft(net_.host, shown);
  EXPECT_EQ(rules_only(net_.host), applied);
  nft(net_.host, shown);
  EXPECT_EQ(rules_only(net_.host), applied) << "loaded over itself";
}

TEST_P(Golden, FollowsAnyOtherPolicy) {
  // From each policy's rules to this one's; the next folder in a circle.
  const auto names = goldens();
  const auto at = std::find(names.begin(), names.end(), GetParam()) - names.begin();
  const std::string other =
      std::string(kGoldens) + "/" + names[static_cast<std::size_t>(at + 1) % names.size()];
  ASSERT_EQ(run({"apply"}).exit, 0);
  const std::string direct = rules_only(net_.host);
  const Output there = lab::run(net_.host, {program(), "--policy", other + "/policy.toml",
                                            "--state-dir", state_ / "state", "apply"});
  ASSERT_EQ(there.exit, 0) << to_string(there);
  EXPECT_EQ(run({"plan"}).exit, 2);
  const Output back = run({"apply"});
  ASSERT_EQ(back.exit, 0) << to_string(back);
  EXPECT_EQ(rules_only(net_.host), direct);
  EXPECT_EQ(run({"plan"}).exit, 0);
}

TEST(Large, APolicyOfAThousandAppsAndPortsIsReadBackAsMeant) {
  const Network net;
  Firewall fw(net.host);
  std::string toml = "[ports]\ntcp = [22";
  for (unsigned i = 0; i < 1000; ++i) toml += fmt::format(", {}", 10'000 + 7 * i);
  toml += "]\n" + apps_toml();
  for (unsigned i = 0; i < 1000; ++i) {
    toml += fmt::format(
        "[[app]]\nname = \"app{0}\"\naddresses = [\"172.18.{1}.{2}\", \"2001:db8:172::1:{0:x}\"]\n"
        "publishes = [{3}]\naddons = [\"db{4}\"]\n",
        i, 20 + i / 250, 1 + i % 250, 20'000 + i, i % 5);
  }
  for (unsigned i = 0; i < 5; ++i) {
    toml += fmt::format(
        "[[addon]]\nname = \"db{0}\"\naddresses = [\"172.18.0.{1}\"]\nports = [3306]\n", i, 10 + i);
  }
  fw.apply(toml);
  EXPECT_EQ(fw.run({"plan"}).exit, 0);
  fw.apply(toml + "[[app]]\nname = \"last\"\naddresses = [\"172.18.30.1\"]\n");
  EXPECT_EQ(fw.run({"plan"}).exit, 0);
  EXPECT_EQ(elements(net.host, "reach4").size(), 1005u);
}

/// Someone meddles with our table.
struct Meddling {
  const char* name;
  const char* commands;
  const char* named;  ///< what the plan must name
};

void PrintTo(const Meddling& m, std::ostream* out) { *out << m.commands; }

class Drift : public testing::TestWithParam<Meddling> {};
INSTANTIATE_TEST_SUITE_P(
    , Drift,
    testing::Values(
        Meddling{"RuleAdded", "add rule inet cloudron CLOUDRON tcp dport 31337 accept", "31337"},
        Meddling{"RuleInFront", "insert rule inet cloudron input accept", "chain input"},
        Meddling{"ChainFlushed", "flush chain inet cloudron input", "chain input"},
        Meddling{"TableFlushed", "flush table inet cloudron", "chain CLOUDRON"},
        Meddling{"TableDeleted", "delete table inet cloudron", "chain CLOUDRON"},
        Meddling{"ElementAdded", "add element inet cloudron open_tcp { 31337 : accept }", "31337"},
        Meddling{"ElementDeleted", "delete element inet cloudron open_tcp { 443 }", "443"},
        Meddling{"MapFlushed", "flush map inet cloudron open_tcp", "443"},
        Meddling{"ChainAdded", "add chain inet cloudron stranger { drop; }", "stranger"},
        Meddling{"EmptyChainAdded", "add chain inet cloudron stranger", "stranger"},
        Meddling{"BaseChainAdded",
                 "add chain inet cloudron stranger { type filter hook output priority 0; policy "
                 "drop; }",
                 "stranger"},
        Meddling{"SetAdded", "add set inet cloudron stranger { type ipv4_addr; }", "stranger"},
        Meddling{"CounterAdded", "add counter inet cloudron stranger", "stranger"},
        Meddling{"PolicyOpened", "chain inet cloudron input { policy accept; }", "chain input"},
        Meddling{"TableDormant", "add table inet cloudron { flags dormant; }", "dormant"},
        Meddling{"TableDormantAndAChainDeleted",
                 "add table inet cloudron { flags dormant; }\nflush chain inet cloudron input\n"
                 "delete chain inet cloudron input\n",
                 "dormant"}),
    [](const auto& meddling) { return meddling.param.name; });

TEST_P(Drift, IsNamedByPlanAndRepairedByApply) {
  const Network net;
  const Firewall fw(net.host);
  fw.apply();
  const std::string meant = rules_only(net.host);
  const Output done = run(net.host, {"nft", GetParam().commands});
  ASSERT_EQ(done.exit, 0) << to_string(done);

  const Output plan = fw.run({"plan"});
  EXPECT_EQ(plan.exit, 2) << to_string(plan);
  EXPECT_NE(plan.out.find(GetParam().named), std::string::npos) << to_string(plan);
  EXPECT_EQ(fw.run({"status"}).exit, 2);

  const Output repaired = fw.run({"apply"});
  EXPECT_EQ(repaired.exit, 0) << to_string(repaired);
  EXPECT_EQ(rules_only(net.host), meant);
  EXPECT_EQ(listing(net.host).find("dormant"), std::string::npos);
  EXPECT_EQ(fw.run({"plan"}).exit, 0);
}

/// What one word of the text turns into something else.
struct Twist {
  const char* name;
  const char* from;
  const char* to;
};

class DriftOfWords : public testing::TestWithParam<Twist> {};
INSTANTIATE_TEST_SUITE_P(
    , DriftOfWords,
    testing::Values(Twist{"SlotLimitOver", "{ ip saddr limit rate 1/week",
                          "{ ip saddr limit rate over 1/week"},
                    Twist{"SlotTimeout", "{ ip saddr limit rate 1/week",
                          "{ ip saddr timeout 1s limit rate 1/week"},
                    Twist{"SlotCounts", "burst 1 packets }", "burst 1 packets counter }"},
                    Twist{"MeterSlower", "rate 5000/second burst", "rate 4000/second burst"},
                    Twist{"ObjectOver", "rate 50/second burst 100 packets",
                          "rate over 50/second burst 100 packets"},
                    Twist{"ConcurrentUnder", "ct count over 3", "ct count 3"},
                    Twist{"LogPrefix", "log prefix \"cloudron-fw closed\"", "log prefix \"x\""},
                    Twist{"LogNoPrefix", "log prefix \"cloudron-fw closed\" group", "log group"},
                    Twist{"LogLimitOver", "limit rate 50/second burst 100 packets log",
                          "limit rate over 50/second burst 100 packets log"}),
    [](const auto& twist) { return twist.param.name; });

TEST_P(DriftOfWords, IsSeenByPlanAndRepairedByApply) {
  const Network net;
  Firewall fw(net.host);
  fw.apply(
      "[ports]\ntcp = [22, 80, 443, 8443]\n[advanced]\nnflog_group = 7\n"
      "[[limit]]\nname = \"few\"\nports = [8443]\nrate = \"100/s\"\nconcurrent = 3\n");
  const std::string meant = rules_only(net.host);
  std::string text = listing(net.host, "table inet cloudron");
  const auto at = text.find(GetParam().from);
  ASSERT_NE(at, std::string::npos) << text;
  text.replace(at, std::string_view(GetParam().from).size(), GetParam().to);
  nft(net.host, "delete table inet cloudron\n" + text);
  EXPECT_EQ(fw.run({"plan"}).exit, 2);
  EXPECT_EQ(fw.run({"apply"}).exit, 0);
  EXPECT_EQ(rules_only(net.host), meant);
  EXPECT_EQ(fw.run({"plan"}).exit, 0);
}

TEST(DriftOfRules, ADeletedRuleIsNamedWhicheverItIs) {
  const Network net;
  const Firewall fw(net.host);
  fw.apply();
  const std::string meant = rules_only(net.host);
  // Every rule of the chains that all packets meet, one after the other.
  for (const std::string chain : {"input", "input_new", "CLOUDRON", "forward"}) {
    const std::string text = listing(net.host, "chain inet cloudron " + chain);
    std::vector<std::string> handles;
    const std::regex rule("\\n\\t\\t[^\\n]* # handle (\\d+)");
    for (std::sregex_iterator it(text.begin(), text.end(), rule), end; it != end; ++it) {
      if (it->str().find("type filter") == std::string::npos) handles.push_back((*it)[1]);
    }
    ASSERT_FALSE(handles.empty()) << text;
    for (std::size_t i = 0; i < handles.size(); ++i) {
      // The chain is made anew by each repair: the handles are asked for again.
      const std::string now = listing(net.host, "chain inet cloudron " + chain);
      std::sregex_iterator it(now.begin(), now.end(), rule);
      std::advance(it, static_cast<std::ptrdiff_t>(i));
      nft(net.host, "delete rule inet cloudron " + chain + " handle " + (*it)[1].str() + "\n");
      const Output plan = fw.run({"plan"});
      EXPECT_EQ(plan.exit, 2) << it->str();
      EXPECT_NE(plan.out.find("chain " + chain), std::string::npos) << to_string(plan);
      fw.apply();
      EXPECT_EQ(rules_only(net.host), meant);
    }
  }
}

TEST(DriftOfDevices, ADeviceMadeAnewUnderItsNameIsCovered) {
  const Network net;
  const Firewall fw(net.host);
  ip_commands(net.host, "link add eth1 type veth peer name eth2\n");
  fw.apply();
  const std::string meant = rules_only(net.host);
  ip_commands(net.host, "link delete eth1\nlink add eth1 type veth peer name eth2\n");
  fw.apply();  // until Linux 6.15 the chain has lost the device
  EXPECT_EQ(rules_only(net.host), meant);
  EXPECT_EQ(fw.run({"plan"}).exit, 0);
}

TEST(DriftOfDevices, ANewDeviceIsCovered) {
  const Network net;
  const Firewall fw(net.host);
  fw.apply();
  ip_commands(net.host, "link add eth1 type veth peer name eth2\n");
  EXPECT_EQ(fw.run({"plan"}).exit, 2);
  fw.apply();
  EXPECT_NE(listing(net.host, "table inet cloudron").find("eth1"), std::string::npos);
  ip_commands(net.host, "link delete eth1\n");
  fw.run({"apply"});
  EXPECT_EQ(fw.run({"plan"}).exit, 0);
}

}  // namespace
}  // namespace lab
