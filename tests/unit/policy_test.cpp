// The policy file: what an admin writes, what it comes to, and what is said when it is wrong.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/effective/policy.hpp"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <random>
#include <regex>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>
#include <unistd.h>

#include "fw/base/limits.hpp"
#include "fw/base/suggest.hpp"
#include "tests/unit/samples.hpp"

namespace fw {
namespace {

using std::string;
using namespace std::string_literals;
using std::chrono::seconds;
namespace fs = std::filesystem;

Parsed parse(const string& text) {
  leave_sample("policy", text);
  return parse_policy(text, "p");
}

/// All problems, a line each.
string said(const Parsed& parsed) {
  string text;
  for (const Problem& problem : parsed.problems) text += to_string(problem) + "\n";
  return text;
}

/// The policy without the places that it came from.
Policy placeless(Policy policy) {
  policy.file.clear();
  policy.ports_where = policy.mail_where = policy.guests_where = {};
  for (auto& network : policy.translated) network.where = {};
  for (auto& opening : policy.openings) {
    opening.where = {};
    for (auto& network : opening.from) network.where = {};
  }
  for (auto& port : policy.open_ports) port.where = {};
  for (auto& network : policy.trusted) network.where = {};
  for (auto& network : policy.app_networks) network.where = {};
  for (auto& limit : policy.limits) limit.where = {};
  for (auto& list : policy.lists) list.where = {};
  for (auto& app : policy.apps) app.where = {};
  for (auto& addon : policy.addons) addon.where = {};
  return policy;
}

/// Reads a policy that must be without problems.
Policy good(const string& text) {
  Parsed parsed = parse(text);
  EXPECT_EQ(said(parsed), "") << text;
  return placeless(std::move(parsed.policy));
}

const Limit& limit_named(const Policy& policy, const string& name) {
  for (const Limit& limit : policy.limits) {
    if (limit.name == name) return limit;
  }
  static const Limit none;
  ADD_FAILURE() << "no limit " << name;
  return none;
}

std::vector<string> limit_names(const Policy& policy) {
  std::vector<string> names;
  for (const Limit& limit : policy.limits) names.push_back(limit.name);
  return names;
}

string ports_of(const Limit& limit) {
  string text;
  for (const PortRange& port : limit.ports) text += (text.empty() ? "" : " ") + to_string(port);
  return text;
}

string read_file(const fs::path& path) {
  std::ifstream file(path);
  EXPECT_TRUE(file) << path;
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

fs::path repository() { return fs::path(__FILE__).parent_path() / "../.."; }
fs::path example_file() { return repository() / "packaging/examples/policy.toml"; }

// ---- The default.

TEST(DefaultPolicy, KeepsThePromises) {
  const Policy policy = default_policy();
  string open;
  for (const auto& port : all_open_ports(policy)) open += to_string(port.value) + " ";
  EXPECT_EQ(open, "tcp/22 tcp/80 tcp/202 tcp/443 ");
  ASSERT_EQ(policy.app_networks.size(), 1u);
  EXPECT_EQ(to_string(policy.app_networks[0].value), "172.18.0.0/16");
  EXPECT_TRUE(policy.trusted.empty());
  EXPECT_FALSE(policy.mail_enabled);

  string limits;
  for (const Limit& limit : policy.limits) {
    limits += limit.name + ": " + ports_of(limit) +
              (limit.from == Source::apps ? " from apps" : " from outside") +
              (limit.per == LimitKey::app ? " per app " : " per ip ") + to_string(limit.rate) +
              "\n";
    EXPECT_EQ(limit.burst, limit.rate.count) << limit.name;
    EXPECT_EQ(limit.prefix4, 32);
    EXPECT_EQ(limit.prefix6, 64);
    EXPECT_FALSE(limit.concurrent);
  }
  EXPECT_EQ(limits,
            "web: tcp/80 tcp/443 from outside per ip 5000/s\n"
            "ssh: tcp/22 tcp/202 from outside per ip 5/10s\n"
            "mail: tcp/25 tcp/587 tcp/993 tcp/4190 from outside per ip 50/s\n"
            "mail-apps: tcp/25 tcp/587 tcp/993 from apps per app 50/s\n"
            "database: tcp/3306 tcp/5432 tcp/6379 tcp/27017 from apps per app 5000/s\n"
            "mail-relay: tcp/2525 from apps per app 500/s\n"
            "mail-receive: tcp/9993 tcp/4190 from apps per app 50/s\n"
            "auth: tcp/3002 from apps per app 500/s\n"
            "ping:  from outside per ip 50/s\n");
}

TEST(DefaultPolicy, HasNoProblems) { EXPECT_TRUE(check(default_policy()).empty()); }

TEST(DefaultPolicy, IsWhatAnEmptyFileMeans) {
  for (const string text : {"", "\n\n", "# nothing\n", "\xef\xbb\xbf# with a byte order mark\n",
                            "[ports]\n[mail]\n[trusted]\n[apps]\n[advanced]\n", "\r\n[ports]\r\n"})
    EXPECT_EQ(good(text), default_policy()) << text;
}

TEST(DefaultPolicy, IsWhatTheExampleFileSays) {
  const Parsed parsed = read_policy(example_file());
  EXPECT_EQ(said(parsed), "");
  EXPECT_EQ(placeless(parsed.policy), default_policy());
}

TEST(DefaultPolicy, TheExamplesInTheExampleFileAreGood) {
  // Every "# [[table]]" and "# key = value" line, uncommented.
  const string all = std::regex_replace(read_file(example_file()),
                                        std::regex("(^|\n)# (\\[|[a-z0-9_]+ = )"), "$1$2");
  const Parsed parsed = parse(all);
  EXPECT_TRUE(parsed.ok()) << said(parsed);
  EXPECT_EQ(parsed.policy.limits.size(), 10u);
  EXPECT_EQ(parsed.policy.limits.back().name, "game");
  EXPECT_EQ(parsed.policy.limits.back().prefix4, 24);
  ASSERT_EQ(parsed.policy.lists.size(), 2u);
  EXPECT_EQ(parsed.policy.lists[1].action, ListAction::allow);
  EXPECT_EQ(parsed.policy.apps.size(), 1u);
  EXPECT_EQ(parsed.policy.addons.size(), 1u);
}

TEST(DefaultPolicy, TheExamplesInTheManualAreGood) {
  const string manual = read_file(repository() / "docs/policy.md");
  const std::regex block("```toml\n([^`]*)```");
  int count = 0;
  for (std::sregex_iterator it(manual.begin(), manual.end(), block), end; it != end; ++it) {
    const Parsed parsed = parse((*it)[1]);
    EXPECT_TRUE(parsed.ok()) << (*it)[1] << said(parsed);
    ++count;
  }
  EXPECT_GE(count, 5);
}

// ---- What the keys come to.

TEST(Policy, PortsAreNumbersAndRanges) {
  const Policy policy = good("[ports]\ntcp = [22, \"443\", \"8000-8100\", \"9-9\"]\nudp = [53]\n");
  string open;
  for (const auto& port : policy.open_ports) open += to_string(port.value) + " ";
  EXPECT_EQ(open, "tcp/22 tcp/443 tcp/8000-8100 tcp/9 udp/53 ");
}

TEST(Policy, OpeningsAreForSomeSourcesOrInterfaces) {
  const Policy policy = good(
      "[ports]\ntcp = [80]\n[[open]]\nports = [22, \"udp/5000-5010\"]\ninterfaces = [\"wg0\", "
      "\"tailscale*\"]\n[[open]]\nprotocols = [\"vrrp\", 50, \"6in4\"]\n[[open]]\nports = "
      "[9100]\nfrom = [\"192.0.2.0/24\", \"2001:db8::/32\"]\ninterfaces = [\"eth1\"]\n");
  ASSERT_EQ(policy.openings.size(), 3u);
  EXPECT_EQ(policy.openings[1].protocols, (std::vector<std::uint8_t>{112, 50, 41}));
  EXPECT_EQ(audience(policy.openings[0]), "by wg0, tailscale*");
  EXPECT_EQ(audience(policy.openings[1]), "");
  EXPECT_EQ(audience(policy.openings[2]), "from 192.0.2.0/24, 2001:db8::/32 by eth1");
  EXPECT_TRUE(policy.openings[0].opens(Protocol::udp, 5010));
  EXPECT_FALSE(policy.openings[0].opens(Protocol::tcp, 5010));
  EXPECT_FALSE(ssh_closed(policy)) << "it is open for some";
}

TEST(Policy, AnOpeningMayNameListsAmongItsSources) {
  const Policy policy = good(
      "[[open]]\nports = [9100]\nfrom = [\"office\", \"192.0.2.0/24\", \"vpn\"]\n"
      "[[list]]\nname = \"office\"\nfile = \"o\"\n"
      "[[list]]\nname = \"vpn\"\nfile = \"v\"\naction = \"allow\"\n"
      "[[list]]\nname = \"bad\"\nfile = \"b\"\n");
  EXPECT_EQ(audience(policy.openings[0]), "from office, vpn, 192.0.2.0/24");
  EXPECT_EQ(source_lists(policy), (std::vector<std::string>{"office", "vpn"}));
  EXPECT_EQ(policy.lists[0].action, ListAction::open) << "not blocked, for it is named";
  EXPECT_EQ(policy.lists[1].action, ListAction::allow);
  EXPECT_EQ(policy.lists[2].action, ListAction::block);
}

TEST(Policy, AListThatOnlyOpensIsSaidToDoNothingWhenNoOpeningNamesIt) {
  const Parsed parsed = parse("[[list]]\nname = \"office\"\nfile = \"o\"\naction = \"open\"\n");
  EXPECT_TRUE(parsed.ok());
  EXPECT_EQ(said(parsed),
            "p:1:1: warning: list \"office\" is in no [[open]], so it does nothing; write from = "
            "[\"office\"] in one\n");
}

TEST(Policy, GuestsAskTheHostForAddressesAndNames) {
  const Policy policy = good("[guests]\nbridges = [\"virbr0\", \"incusbr*\"]\n");
  const std::vector<Opening> all = all_openings(policy);
  ASSERT_EQ(all.size(), 1u);
  EXPECT_EQ(audience(all[0]), "by virbr0, incusbr*");
  for (const int port : {53, 67, 547})
    EXPECT_TRUE(all[0].opens(Protocol::udp, static_cast<std::uint16_t>(port)));
  EXPECT_TRUE(all[0].opens(Protocol::tcp, 53));
}

TEST(Policy, WhatIsOpenToEverybodyIsNotRestricted) {
  const Parsed parsed = parse("[[open]]\nports = [22]\ninterfaces = [\"wg0\"]\n");
  EXPECT_TRUE(parsed.ok());
  EXPECT_EQ(said(parsed),
            "p:1:1: warning: tcp/22 is open to everybody (a default), so this [[open]] does not "
            "restrict it; take it out of [ports], or remove it here\n");
}

TEST(Policy, BehindATranslatorEachAddressIsAClient) {
  const Policy policy = good("");
  const Limit& ssh = limit_named(policy, "ssh");
  const auto bits = [&](const char* ip) {
    return client_bits(policy.translated, ssh, *parse_ip(ip));
  };
  EXPECT_EQ(bits("64:ff9b::c000:207"), 128);
  EXPECT_EQ(bits("64:ff9b:1:ffff::1"), 128);
  EXPECT_EQ(bits("64:ff9b:2::1"), 64);
  EXPECT_EQ(bits("64:ff9b::1:0:0"), 64) << "beyond the /96";
  EXPECT_EQ(bits("192.0.2.7"), 32);
}

TEST(Policy, AnyNumberOfPorts) {
  string text = "[ports]\ntcp = [";
  for (int port = 1; port <= 65'535; ++port) text += std::to_string(port) + ",";
  EXPECT_EQ(good(text + "]\n").open_ports.size(), 65'535u);
}

TEST(Policy, OnlyTheNamedKeyLosesItsDefault) {
  const Policy policy = good("ports.udp = [53]\n");
  EXPECT_EQ(policy.open_ports.size(), 5u);
  EXPECT_EQ(to_string(policy.open_ports.back().value), "udp/53");
  EXPECT_EQ(to_string(policy.open_ports.front().value), "tcp/22");
}

TEST(Policy, MailOpensItsPorts) {
  const Policy policy = good("[mail]\nenabled = true\n");
  string open;
  for (const auto& port : all_open_ports(policy)) open += to_string(port.value) + " ";
  EXPECT_EQ(open, "tcp/22 tcp/80 tcp/202 tcp/443 tcp/25 tcp/587 tcp/993 tcp/4190 ");
}

TEST(Policy, EveryKeyIsRead) {
  const Parsed parsed = parse(R"([trusted]
networks = ["198.51.100.7", "2001:db8:1::/48", "::ffff:192.0.2.0/120"]
[apps]
network = ["172.18.0.0/16", "fd00:18::/64"]
[[limit]]
name = "game"
ports = ["udp/27015-27030", 7777, "tcp/7778"]
from = "outside"
per = "ip"
rate = "20/10m"
burst = 40
concurrent = 100
prefix4 = 24
prefix6 = 56
[[list]]
name = "known-bad"
file = "lists/known-bad.txt"
[[list]]
name = "office"
file = "/etc/office.txt"
action = "allow"
[[app]]
name = "wiki"
addresses = ["172.18.16.2", "fd00:18::2"]
publishes = ["tcp/29418", "udp/7777", "7777-7778", "udp/27015-27030"]
addons = ["mysql"]
[[app]]
name = "blog"
addresses = ["172.18.16.3"]
[[app]]
name = "alone"
addresses = ["172.18.16.4"]
addons = []
[[addon]]
name = "mysql"
addresses = ["172.18.0.10"]
ports = [3306, "udp/53"]
[advanced]
ct_label_bit = 31
nflog_group = 7
[activity]
keep = "2w"
size = "1GiB"
[metrics]
listen = "[::1]:9477"
)");
  EXPECT_EQ(said(parsed), "");
  const Policy& policy = parsed.policy;
  EXPECT_EQ(policy.file, "p");
  ASSERT_EQ(policy.trusted.size(), 3u);
  EXPECT_EQ(to_string(policy.trusted[2].value), "192.0.2.0/24");
  EXPECT_EQ(policy.trusted[1].where, (Location{"p", 2, 29}));
  ASSERT_EQ(policy.app_networks.size(), 2u);
  const Limit& game = policy.limits.back();
  EXPECT_EQ(ports_of(game), "udp/27015-27030 tcp/7777 tcp/7778");
  EXPECT_EQ(game.rate, (Rate{20, seconds{600}}));
  EXPECT_EQ(game.burst, 40u);
  EXPECT_EQ(game.concurrent, 100u);
  EXPECT_EQ(game.prefix4, 24);
  EXPECT_EQ(game.prefix6, 56);
  EXPECT_EQ(game.where, (Location{"p", 5, 1}));
  ASSERT_EQ(policy.lists.size(), 2u);
  EXPECT_EQ(policy.lists[0].file, "lists/known-bad.txt");
  EXPECT_EQ(policy.lists[0].action, ListAction::block);
  EXPECT_EQ(policy.lists[1].action, ListAction::allow);
  ASSERT_EQ(policy.apps.size(), 3u);
  EXPECT_EQ(policy.apps[0].addons, std::vector<string>{"mysql"});
  EXPECT_EQ(policy.apps[0].publishes.size(), 4u);
  EXPECT_EQ(policy.apps[1].addons, std::nullopt);
  EXPECT_EQ(policy.apps[2].addons, std::vector<string>{});
  ASSERT_EQ(policy.addons.size(), 1u);
  EXPECT_EQ(to_string(policy.addons[0].ports[1]), "udp/53");
  EXPECT_EQ(policy.label_bit, 31);
  EXPECT_EQ(policy.nflog_group, 7);
  EXPECT_EQ(policy.activity, (ActivityKeep{std::chrono::weeks{2}, 1ull << 30}));
  EXPECT_EQ(policy.metrics, (Endpoint{{Family::ipv6, 1}, 9477}));
}

TEST(Policy, ALimitReplacesItsNamesakeInItsPlace) {
  const Policy policy = good(
      "[[limit]]\nname = \"extra\"\nports = [8443]\nrate = \"100/s\"\nfrom = \"apps\"\n"
      "[[limit]]\nname = \"ssh\"\nports = [22]\nrate = \"3/m\"\n");
  EXPECT_EQ(limit_names(policy),
            (std::vector<string>{"web", "ssh", "mail", "mail-apps", "database", "mail-relay",
                                 "mail-receive", "auth", "ping", "extra"}));
  const Limit& ssh = limit_named(policy, "ssh");
  EXPECT_EQ(ports_of(ssh), "tcp/22");
  EXPECT_EQ(ssh.rate, (Rate{3, seconds{60}}));
  EXPECT_EQ(ssh.burst, 3u);
  EXPECT_EQ(limit_named(policy, "extra").per, LimitKey::ip);
}

TEST(Policy, ADefaultLimitIsSwitchedOff) {
  const Policy policy = good("[[limit]]\nname = \"web\"\nenabled = false\n");
  EXPECT_EQ(policy.limits.size(), 8u);
  EXPECT_EQ(limit_names(policy)[0], "ssh");
  // Its ports are then free for another.
  const Policy other = good(
      "[[limit]]\nname = \"web\"\nenabled = false\n"
      "[[limit]]\nname = \"https\"\nports = [443]\nrate = \"9/s\"\nenabled = true\n");
  EXPECT_EQ(other.limits.back().name, "https");
  // A limit of the admin's own that is switched off is as good as absent.
  EXPECT_EQ(good("[[limit]]\nname = \"x\"\nports = [80]\nrate = \"9/s\"\nenabled = false\n"),
            default_policy());
}

HttpLimit http_limit_named(const Policy& policy, const string& name) {
  const auto found = std::ranges::find(policy.http_limits, name, &HttpLimit::name);
  if (found != policy.http_limits.end()) return *found;
  ADD_FAILURE() << "no limit " << name;
  return {};
}

TEST(Policy, LimitsOfRequestsAreApartFromThoseOfPackets) {
  const Policy policy = good(
      "[[limit]]\nname = \"password\"\nlayer = \"http\"\nrate = \"5/s\"\nprefix6 = 56\n"
      "[[limit]]\nname = \"reset\"\nlayer = \"http\"\nrate = \"100/m\"\nburst = 20\n"
      "per = \"client+account\"\n");
  EXPECT_EQ(policy.limits, default_policy().limits);
  ASSERT_EQ(policy.http_limits.size(), 3u);
  const HttpLimit password = http_limit_named(policy, "password");
  EXPECT_EQ(password.rate, (Rate{5, seconds{1}}));
  EXPECT_TRUE(password.is_window());
  EXPECT_EQ(password.prefix6, 56);
  EXPECT_EQ(password.per, HttpKey::client);
  const HttpLimit reset = http_limit_named(policy, "reset");
  EXPECT_FALSE(reset.is_window());
  EXPECT_EQ(reset.burst, 20u);
  EXPECT_EQ(reset.per, HttpKey::client_account);
  // L1 and L2 of the promises.
  const HttpLimit promised = http_limit_named(default_policy(), "password");
  EXPECT_EQ(promised.rate, (Rate{10, seconds{1}}));
  EXPECT_EQ(promised.prefix6, 64);
  EXPECT_EQ(http_limit_named(default_policy(), "http").rate, (Rate{5000, seconds{1}}));
}

TEST(Policy, ADefaultLimitOfRequestsIsSwitchedOff) {
  const Policy policy = good("[[limit]]\nname = \"password\"\nenabled = false\n");
  ASSERT_EQ(policy.http_limits.size(), 1u);
  EXPECT_EQ(policy.http_limits[0].name, "http");
  EXPECT_EQ(policy.limits, default_policy().limits);
}

TEST(Policy, AnOffenderMayNameLimitsOfBothLayers) {
  const HttpRules rules = http_rules(good(
      "[[offender]]\nafter = \"20 refused/10m\"\n"
      "[[offender]]\nafter = \"9 refused/m\"\nlimits = [\"ssh\", \"password\"]\nblock = \"2h\"\n"
      "[[offender]]\nclosed_ports = \"9/m\"\n"));
  ASSERT_EQ(rules.offenders.size(), 1u);
  EXPECT_EQ(rules.offenders[0], (HttpOffender{{9, seconds{60}}, {"password"}, seconds{7200}}));
  EXPECT_EQ(rules.limits, default_policy().http_limits);
  EXPECT_EQ(rules.translated.size(), default_policy().translated.size());
}

TEST(Policy, SshPortsAreThoseOfTheLimit) {
  const auto text = [](const Policy& policy) {
    string all;
    for (const PortRange& port : ssh_ports(policy)) all += to_string(port) + " ";
    return all;
  };
  EXPECT_EQ(text(default_policy()), "tcp/22 tcp/202 ");
  EXPECT_EQ(text(good("[ports]\ntcp = [2222]\n[[limit]]\nname = \"ssh\"\nports = [2222]\n"
                      "rate = \"5/10s\"\n")),
            "tcp/2222 ");
  EXPECT_EQ(text(good("[[limit]]\nname = \"ssh\"\nenabled = false\n")), "tcp/22 tcp/202 ");
}

// ---- What is said when something is wrong.

struct Wrong {
  string text;
  string place_and_severity;
  string what;  ///< part of it
};

/// Each text has exactly one problem.
void expect_one_problem_each(const std::vector<Wrong>& cases) {
  for (const Wrong& wrong : cases) {
    const Parsed parsed = parse(wrong.text);
    EXPECT_EQ(parsed.problems.size(), 1u) << wrong.text << "\n" << said(parsed);
    if (parsed.problems.empty()) continue;
    const string problem = to_string(parsed.problems[0]);
    EXPECT_EQ(problem.substr(0, wrong.place_and_severity.size()), wrong.place_and_severity)
        << wrong.text << "\n"
        << problem;
    EXPECT_NE(problem.find(wrong.what), string::npos) << wrong.text << "\n" << problem;
    EXPECT_EQ(parsed.ok(), parsed.problems[0].severity == Severity::warning);
  }
}

TEST(PolicyProblems, UnknownKeysAndTables) {
  expect_one_problem_each({
      {"[trusted]\nnetwork = []",
       "p:2:1: error: ", "unknown key \"network\" in [trusted]; did you mean \"networks\"?"},
      {"[apps]\nnetworks = []", "p:2:1: error: ", "did you mean \"network\"?"},
      {"[ports]\n  tpc = [1]", "p:2:3: error: ", "did you mean \"tcp\"?"},
      {"[ports]\nTCP = [1]", "p:2:1: error: ", "did you mean \"tcp\"?"},
      {"[mail]\nenabled = true\nudp = [53]",
       "p:3:1: error: ", "unknown key \"udp\" in [mail]; it belongs in [ports]"},
      {"[mail]\nstarttls = true", "p:2:1: error: ", "known are enabled"},
      {"[advanced]\nct-label-bit = 3", "p:2:1: error: ", "did you mean \"ct_label_bit\"?"},
      {"[[limits]]\nname = \"x\"",
       "p:1:3: error: ", "unknown table \"limits\"; did you mean [[limit]]?"},
      {"[port]\ntcp = [1]", "p:1:2: error: ", "unknown table \"port\"; did you mean [ports]?"},
      {"[addons]\nx = 1", "p:1:2: error: ", "did you mean [[addon]]?"},
      {"[nat]\nx = 1", "p:1:2: error: ",
       "known are [ports], [[open]], [guests], [trusted], [apps], [[limit]], [[list]], "
       "[[app]], [[addon]], "
       "[[offender]], [activity], [metrics], [advanced], [mail]"},
      {"tcp = [22]", "p:1:1: error: ", "unknown key \"tcp\"; it belongs in [ports]"},
      {"version = 1", "p:1:1: error: ", "unknown key \"version\"; known are [ports]"},
      {"[[limit]]\nname = \"a\"\nports = [80]\nrate = \"5/s\"\nenabled = false\nconcurent = 5",
       "p:6:1: error: ", "did you mean \"concurrent\"?"},
      {"[mail]\n\"\\u001b[31m\" = 1", "p:2:1: error: ", "unknown key \"\\u001b[31m\""},
      {"[mail]\n" + string(5000, 'x') + " = 1", "p:2:1: error: ", "xxx...\""},
      {"[ports.tcp]\nx = 1",
       "p:1:1: error: ", "tcp must be an array, e.g. [22, \"8000-8100\"], not a table"},
      {"[ports]\ntcp.x = [1]", "p:2:1: error: ", "tcp must be an array"},
  });
}

TEST(PolicyProblems, WrongTypes) {
  const string limit = "[[limit]]\nname = \"x\"\nports = [4000]\nfrom = \"apps\"\n";
  expect_one_problem_each({
      {"[ports]\ntcp = 22",
       "p:2:7: error: ", "tcp must be an array, e.g. [22, \"8000-8100\"], not an integer"},
      {"[ports]\ntcp = [22, 22.5]", "p:2:12: error: ", "not a number with a fraction"},
      {"[ports]\ntcp = [22, true]", "p:2:12: error: ",
       "a port must be a number or a string, e.g. 22 or \"8000-8100\", not true or false"},
      {"[ports]\ntcp = [22, [80]]", "p:2:12: error: ", "not an array"},
      {"[ports]\ntcp = [22, {a = 1}]", "p:2:12: error: ", "not a table"},
      {"[ports]\ntcp = [22, 2024-01-01]", "p:2:12: error: ", "not a date"},
      {"[mail]\nenabled = \"true\"",
       "p:2:11: error: ", "enabled must be true or false, without quotes, not a string"},
      {"[mail]\nenabled = 1", "p:2:11: error: ", "not an integer"},
      {"[apps]\nnetwork = \"172.18.0.0/16\"",
       "p:2:11: error: ", "network must be an array, e.g. [\"172.18.0.0/16\"], not a string"},
      {"[trusted]\nnetworks = [10]",
       "p:2:13: error: ", "a network must be a string, e.g. \"172.18.0.0/16\", not an integer"},
      {"[limit]\nname = \"x\"", "p:1:1: error: ", "write [[limit]] with two brackets on each side"},
      {"app = 5", "p:1:7: error: ", "write [[app]]"},
      {"app = [5]", "p:1:8: error: ", "each app must be a table: write [[app]], not an integer"},
      {"[[ports]]\ntcp = [22]",
       "p:1:1: error: ", "ports can appear only once, as a table: write [ports]"},
      {"mail = true", "p:1:8: error: ", "write [mail]"},
      {limit + "rate = 5",
       "p:5:8: error: ", "rate must be a string, e.g. \"5/10s\", not an integer"},
      {limit + "rate = \"50/s\"\nburst = \"9\"",
       "p:6:9: error: ", "burst must be a whole number from 1 to 10000000, not a string"},
      {limit + "rate = \"50/s\"\nconcurrent = 1.5",
       "p:6:14: error: ", "concurrent must be a whole number from 1 to 1000000"},
      {limit + "rate = \"50/s\"\nper = []",
       "p:6:7: error: ", "per must be a string, e.g. \"ip\", not an array"},
      {limit + "rate = \"50/s\"\nenabled = \"no\"",
       "p:6:11: error: ", "enabled must be true or false, without quotes, not a string"},
      {"[[limit]]\nname = \"ssh\"\nenabled = 0",
       "p:3:11: error: ", "enabled must be true or false"},
      {"[[app]]\nname = 5\naddresses = [\"172.18.0.2\"]",
       "p:2:8: error: ", "name must be a string"},
      {"[[app]]\nname = \"x\"\naddresses = \"172.18.0.2\"",
       "p:3:13: error: ", "addresses must be an array, e.g. [\"172.18.16.2\"]"},
      {"[[app]]\nname = \"x\"\naddresses = [\"172.18.0.2\"]\naddons = \"mysql\"",
       "p:4:10: error: ", "addons must be an array, e.g. [\"mysql\"]"},
      {"[advanced]\nct_label_bit = \"3\"",
       "p:2:16: error: ", "ct_label_bit must be a whole number from 0 to 96, not a string"},
  });
}

TEST(PolicyProblems, WrongValues) {
  const string limit = "[[limit]]\nname = \"x\"\nports = [4000]\nfrom = \"apps\"\n";
  expect_one_problem_each({
      {"[ports]\ntcp = [22, 0]", "p:2:12: error: ", "port 0 is not between 1 and 65535"},
      {"[ports]\ntcp = [22, 65536]", "p:2:12: error: ", "port 65536 is not between 1 and 65535"},
      {"[ports]\ntcp = [22, -1]", "p:2:12: error: ", "port -1 is not between 1 and 65535"},
      {"[ports]\ntcp = [22, \"0-5\"]", "p:2:12: error: ", "\"0-5\" is not a port"},
      {"[ports]\ntcp = [22, \"0\"]", "p:2:12: error: ", "port 0 is not between 1 and 65535"},
      {"[ports]\ntcp = [22, \"80-70000\"]",
       "p:2:12: error: ", "port 70000 is not between 1 and 65535"},
      {"[ports]\ntcp = [22, \"99999999999999999999\"]",
       "p:2:12: error: ", "is not between 1 and 65535"},
      {"[ports]\ntcp = [22, \"8100-8000\"]", "p:2:12: error: ", "is reversed: write \"8000-8100\""},
      {"[ports]\ntcp = [22, \"http\"]", "p:2:12: error: ",
       "\"http\" is not a port: write a number or a range, e.g. 22 or \"8000-8100\""},
      {"[ports]\ntcp = [22, \"80 - 90\"]", "p:2:12: error: ", "is not a port"},
      {"[ports]\ntcp = [22, \"80-\"]", "p:2:12: error: ", "is not a port"},
      {"[ports]\ntcp = [22, \"\"]", "p:2:12: error: ", "is not a port"},
      {"[ports]\ntcp = [22, \"022\"]", "p:2:12: error: ", "is not a port"},
      {"[ports]\ntcp = [22, \"udp/53\"]", "p:2:12: error: ", "write the port without, in udp"},
      {"[ports]\nudp = [\"tcp/53\"]", "p:2:8: error: ", "write the port without, in tcp"},
      {"[trusted]\nnetworks = [\"10.0.0.1/8\"]",
       "p:2:13: error: ", "write \"10.0.0.0/8\" for the network"},
      {"[trusted]\nnetworks = [\"office.example.com\"]",
       "p:2:13: error: ", "is not an IPv4 or IPv6 address"},
      {limit + "rate = \"5/10x\"",
       "p:5:8: error: ", "rate \"5/10x\": unknown unit 'x' (use s, m, h or d)"},
      {limit + "rate = \"5/25h\"", "p:5:8: error: ", "a time here must be at most 1d"},
      {limit + "rate = \"2000000/s\"", "p:5:8: error: ", "the count must be at most 1000000"},
      {limit + "rate = \"50/s\"\nburst = 0",
       "p:6:9: error: ", "burst must be a whole number from 1 to 10000000, not 0"},
      {limit + "rate = \"50/s\"\nburst = 10000001",
       "p:6:9: error: ", "from 1 to 10000000, not 10000001"},
      {limit + "rate = \"16/s\"\nburst = 16", "p:6:9: error: ", "windows have no burst; remove it"},
      {limit + "rate = \"50/s\"\nconcurrent = 0",
       "p:6:14: error: ", "concurrent must be a whole number from 1"},
      {limit + "rate = \"50/s\"\nprefix4 = 33",
       "p:6:11: error: ", "prefix4 must be a whole number from 1 to 32, not 33"},
      {limit + "rate = \"50/s\"\nprefix4 = 0", "p:6:11: error: ", "prefix4 must be"},
      {limit + "rate = \"50/s\"\nprefix6 = 129",
       "p:6:11: error: ", "prefix6 must be a whole number from 1 to 128, not 129"},
      {limit + "rate = \"50/s\"\nper = \"apps\"", "p:6:7: error: ",
       "per must be \"ip\", \"app\", \"client\", \"client+account\", \"account\" or "
       "\"site\", not \"apps\""},
      {limit + "rate = \"50/s\"\nper = \"app\"\nprefix4 = 24",
       "p:7:11: error: ", "prefix4 has no effect with per = \"app\""},
      {limit + "rate = \"50/s\"\nper = \"app\"\nprefix6 = 64",
       "p:7:11: error: ", "prefix6 has no effect with per = \"app\""},
      {"[[limit]]\nname = \"x\"\nports = [8080]\nrate = \"50/s\"\nfrom = \"inside\"\nenabled = "
       "false",
       "p:5:8: error: ", "from must be \"outside\" or \"apps\", not \"inside\""},
      {"[ports]\ntcp = [22, 99]\n[[limit]]\nname = \"x\"\nports = [99]\nrate = \"50/s\"\nper = "
       "\"app\"",
       "p:7:7: error: ", "per = \"app\" needs from = \"apps\""},
      {"[[limit]]\nname = \"ssh\"\nports = []\nrate = \"5/s\"",
       "p:3:9: error: ", "ports is empty; name at least one"},
      {"[[limit]]\nname = \"x\"\nports = [\"sctp/9\"]\nrate = \"5/s\"",
       "p:3:10: error: ", "the protocol must be tcp or udp; write e.g. \"udp/53\""},
      {"[[limit]]\nname = \"x\"\nports = [\"udp/x\"]\nrate = \"5/s\"", "p:3:10: error: ",
       "\"udp/x\" is not a port: write a number or a range, e.g. 22 or \"udp/5000-5010\""},
      {"[[list]]\nname = \"x\"\nfile = \"\"", "p:3:8: error: ", "file is empty"},
      {"[[open]]\nports = [9100]",
       "p:1:1: error: ", "[[open]] does not say for whom; add e.g. from = [\"192.0.2.0/24\"]"},
      {"[[open]]\nfrom = [\"192.0.2.0/24\"]", "p:1:1: error: ", "[[open]] opens nothing"},
      {"[[open]]\nports = [9]\ninterfaces = []", "p:3:14: error: ", "interfaces is empty"},
      {"[[open]]\nports = [9]\ninterfaces = [\"w*g\"]",
       "p:3:15: error: ", "\"w*g\" is not an interface name"},
      {"[[open]]\nports = [9]\ninterfaces = [\"*\"]",
       "p:3:15: error: ", "is not an interface name"},
      {"[[open]]\nports = [9]\ninterfaces = [\"sixteen-letters-\"]",
       "p:3:15: error: ", "up to 15 letters"},
      {"[[open]]\nports = [9]\nfrom = [\"ofice\"]\n[[list]]\nname = \"office\"\nfile = \"o\"",
       "p:3:9: error: ", "there is no list \"ofice\"; did you mean \"office\"?"},
      {"[[open]]\nports = [9]\nfrom = [\"office\"]",
       "p:3:9: error: ", "there is no list \"office\"; describe it in a [[list]] table"},
      {"[[open]]\nports = [9]\nfrom = [\"bad\"]\n[[list]]\nname = \"bad\"\nfile = \"b\"\n"
       "action = \"block\"",
       "p:3:9: error: ", "list \"bad\" blocks its addresses (line 4), so nothing is open to them"},
      {"[[open]]\nports = [9]\nfrom = [\"Office\"]", "p:3:9: error: ", "\"Office\""},
      {"[[open]]\nprotocols = [\"vrpp\"]", "p:2:14: error: ", "did you mean \"vrrp\"?"},
      {"[[open]]\nprotocols = [\"tcp\"]",
       "p:2:14: error: ", "TCP is opened by its ports; write e.g. ports = [9100]"},
      {"[[open]]\nprotocols = [44]",
       "p:2:14: error: ", "44 is an IPv6 extension header; name the protocol after it"},
      {"[[open]]\nprotocols = [256]", "p:2:14: error: ", "protocol 256 is not between 1 and 255"},
      {"[[open]]\nprotocols = [58]", "p:2:14: error: ", "ICMP that a host needs is always open"},
      {"[ports]\ninterfaces = [\"wg0\"]", "p:2:1: error: ", "it belongs in [[open]]"},
      {"[guests]\nbridges = [1]", "p:2:12: error: ", "an interface must be a string"},
      {"[[limit]]\nname = \"ping\"\nports = [8080]\nrate = \"5/s\"",
       "p:3:9: error: ", "ports has no effect in limit \"ping\""},
      {"[advanced]\ntranslated = [\"192.0.2.0/24\"]",
       "p:2:15: error: ", "192.0.2.0/24 is not an IPv6 network"},
      {"[[list]]\nname = \"x\"\nfile = \"a\\u0000b\"",
       "p:3:8: error: ", "\"a\\u0000b\" contains a NUL"},
      {"[[list]]\nname = \"x\"\nfile = \"f\"\naction = \"deny\"",
       "p:4:10: error: ", "action must be \"block\", \"allow\" or \"open\", not \"deny\""},
      {"[[app]]\nname = \"x\"\naddresses = []", "p:3:13: error: ", "addresses is empty; add one"},
      {"[[app]]\nname = \"x\"\naddresses = [\"172.18.1.0/24\"]",
       "p:3:14: error: ", "\"172.18.1.0/24\" is more than one address"},
      {"[[app]]\nname = \"x\"\naddresses = [\"wiki\"]",
       "p:3:14: error: ", "is not an IPv4 or IPv6 address"},
      {"[[app]]\nname = \"x\"\naddresses = [\"172.18.1.2\"]\npublishes = [\"80-\"]",
       "p:4:14: error: ", "is not a port"},
      {"[[addon]]\nname = \"x\"\naddresses = [\"172.18.1.2\"]\nports = []",
       "p:4:9: error: ", "ports is empty"},
      {"[advanced]\nct_label_bit = 97",
       "p:2:16: error: ", "ct_label_bit must be a whole number from 0 to 96, not 97"},
      {"[activity]\nkeep = \"90\"", "p:2:8: error: ", "a unit is missing after \"90\""},
      {"[activity]\nkeep = 90", "p:2:8: error: ", "keep must be a string, e.g. \"90d\""},
      {"[activity]\nsize = \"256MB\"", "p:2:8: error: ", "KiB, MiB, GiB or TiB"},
      {"[activity]\nsize = \"18446744073709551615TiB\"", "p:2:8: error: ", "KiB, MiB, GiB or TiB"},
      {"[activity]\nsize = \"1KiB\"",
       "p:2:8: error: ", "size must be from 1MiB to 1TiB, not \"1KiB\""},
      {"[metrics]\nlisten = 9477",
       "p:2:10: error: ", "listen must be a string, e.g. \"127.0.0.1:9477\""},
      {"[metrics]\nlisten = \"localhost:9477\"",
       "p:2:10: error: ", "\"localhost:9477\" is not an address with a port"},
      {"[metrics]\nlisten = \"::1:9477\"", "p:2:10: error: ", "write \"127.0.0.1:9477\" or"},
      {"[metrics]\nlisten = \"[127.0.0.1]:9477\"", "p:2:10: error: ", "is not an address with"},
      {"[metrics]\nlisten = \"127.0.0.1:0\"", "p:2:10: error: ", "is not an address with a port"},
      {"[metrics]\nlisten = \"127.0.0.1:65536\"", "p:2:10: error: ", "is not an address with"},
      {"[metrics]\nlisten = \"0.0.0.0:9477\"",
       "p:2:10: error: ", "listen must be on 127.0.0.0/8 or ::1, not 0.0.0.0"},
      {"[metrics]\nlisten = \"[2001:db8::1]:9477\"",
       "p:2:10: error: ", "listen must be on 127.0.0.0/8 or ::1, not 2001:db8::1"},
      {"[advanced]\nnflog_group = 65536",
       "p:2:15: error: ", "nflog_group must be a whole number from 0 to 65535, not 65536"},
  });
}

TEST(PolicyProblems, MissingKeys) {
  expect_one_problem_each({
      {"[[limit]]\nname = \"x\"\nports = [80]\nenabled = true\n[[limit]]\nname = \"web\"\nenabled "
       "= false",
       "p:1:1: error: ", "[[limit]] lacks rate; add e.g. rate = \"5/10s\""},
      {"[[limit]]\nname = \"ssh\"\nrate = \"5/s\"",
       "p:1:1: error: ", "[[limit]] lacks ports; add e.g. ports = [22, 202]"},
      {"[[limit]]\nports = [80]\nrate = \"5/s\"",
       "p:1:1: error: ", "[[limit]] lacks name; add e.g. name = \"my-limit\""},
      {"[[limit]]\nenabled = false",
       "p:1:1: error: ", "lacks name; add the name of the limit to switch off"},
      {"[[list]]\nname = \"x\"", "p:1:1: error: ", "[[list]] lacks file; add e.g. file = "},
      {"[[list]]\nfile = \"x\"", "p:1:1: error: ", "[[list]] lacks name"},
      {"[[app]]\nname = \"x\"", "p:1:1: error: ", "[[app]] lacks addresses"},
      {"[[app]]\naddresses = [\"172.18.0.2\"]", "p:1:1: error: ", "[[app]] lacks name"},
      {"[[addon]]\nname = \"x\"\naddresses = [\"172.18.0.2\"]",
       "p:1:1: error: ", "[[addon]] lacks ports; add e.g. ports = [3306]"},
  });
}

TEST(PolicyProblems, Names) {
  const auto list = [](const string& name) {
    return "[[list]]\nname = \"" + name + "\"\nfile = \"f\"";
  };
  for (const string name : {"a", "known-bad", "a_b", "a123456789abcdefghij"}) good(list(name));
  const string rule = "use at most 20 lower-case letters, digits, - and _, a letter first, e.g. ";
  expect_one_problem_each({
      {list("Known Bad!"), "p:2:8: error: ",
       "name \"Known Bad!\" becomes part of a kernel object's name: " + rule + "\"known-bad\""},
      {list(""), "p:2:8: error: ", rule + "\"my-app\""},
      {list("-a"), "p:2:8: error: ", rule + "\"a\""},
      {list("_a"), "p:2:8: error: ", rule + "\"a\""},
      {list("a123456789abcdefghijk"), "p:2:8: error: ", rule + "\"a123456789abcdefghij\""},
      {list("2fa"), "p:2:8: error: ", rule + "\"fa\""},
      {list("caf\xc3\xa9"), "p:2:8: error: ", "name \"caf\xc3\xa9\""},
      {list("a.b"), "p:2:8: error: ", rule + "\"a-b\""},
      {list("a\\u202eb"), "p:2:8: error: ", "name \"a\\u202eb\""},
  });
}

TEST(PolicyProblems, TooManyWaysFromAppsToAddons) {
  string text = "[[addon]]\nname = \"wide\"\naddresses = [\"172.18.0.1\"]\nports = [\"1-65535\"]\n";
  const auto app = [](const string& name, int address) {
    return "[[app]]\nname = \"" + name + "\"\naddresses = [\"172.18.1." + std::to_string(address) +
           "\"]\n";
  };
  for (int i = 1; i <= 4; ++i) text += app("app" + std::to_string(i), i);
  good(text);
  expect_one_problem_each({{text + app("one-more", 5), "p:17:1: error: ",
                            "more than 262144 pairs of app address and addon port"}});
}

TEST(PolicyProblems, Duplicates) {
  const string app = "[[app]]\nname = \"x\"\naddresses = [\"172.18.0.2\"]\n";
  const string addon = "[[addon]]\nname = \"y\"\naddresses = [\"172.18.0.3\"]\nports = [1]\n";
  const string list = "[[list]]\nname = \"l\"\nfile = \"f\"\n";
  expect_one_problem_each({
      {"[[limit]]\nname = \"ssh\"\nports = [22]\nrate = \"5/s\"\n[[limit]]\nname = \"ssh\"\nports "
       "= [202]\nrate = \"5/s\"",
       "p:5:1: error: ",
       "limit \"ssh\": another limit (line 1) has this name; rename or remove one of the "
       "two"},
      {"[[limit]]\nname = \"ssh\"\nenabled = false\n[[limit]]\nname = \"ssh\"\nports = [202]\nrate "
       "= \"5/s\"",
       "p:4:1: error: ", "limit \"ssh\" is switched off at line 1; remove one of the two"},
      {"[[limit]]\nname = \"ssh\"\nports = [202]\nrate = \"5/s\"\n[[limit]]\nname = "
       "\"ssh\"\nenabled = false",
       "p:5:1: error: ", "limit \"ssh\" is already defined at line 1; remove one of the two"},
      {"[[limit]]\nname = \"ssh\"\nenabled = false\n[[limit]]\nname = \"ssh\"\nenabled = false",
       "p:4:1: error: ", "limit \"ssh\" is already defined at line 1"},
      {"[[limit]]\nname = \"shh\"\nenabled = false",
       "p:1:1: error: ", "there is no default limit \"shh\" to switch off; did you mean \"ssh\"?"},
      {"[[limit]]\nname = \"quux\"\nenabled = false",
       "p:1:1: error: ", "they are web, ssh, mail, mail-apps, database"},
      {list + list, "p:4:1: error: ", "list \"l\": another list (line 1) has this name"},
      {app + "[[app]]\nname = \"x\"\naddresses = [\"172.18.0.4\"]",
       "p:4:1: error: ", "app \"x\": another app (line 1) has this name"},
      {addon + "[[app]]\nname = \"y\"\naddresses = [\"172.18.0.4\"]",
       "p:1:1: error: ", "addon \"y\": another app (line 5) has this name"},
      {app + "[[app]]\nname = \"z\"\naddresses = [\"172.18.0.2\"]", "p:4:1: error: ",
       "app \"z\": 172.18.0.2 belongs to app \"x\" (line 1) already; an address can have only one "
       "owner"},
      {app + "[[addon]]\nname = \"z\"\naddresses = [\"172.18.0.2\"]\nports = [1]",
       "p:4:1: error: ", "addon \"z\": 172.18.0.2 belongs to app \"x\" (line 1) already"},
      {"[[app]]\nname = \"x\"\naddresses = [\"172.18.0.2\", \"::ffff:172.18.0.2\"]",
       "p:1:1: error: ", "app \"x\": 172.18.0.2 is named twice; remove one of the two"},
      {app + "publishes = [8000, \"7999-8001\"]",
       "p:1:1: error: ", "app \"x\": tcp/7999-8001 overlaps tcp/8000; remove one of the two"},
      {app + "addons = [\"y\", \"y\"]\n" + addon,
       "p:4:16: warning: ", "addon \"y\" is named twice; remove one of the two"},
      {"[[addon]]\nname = \"y\"\naddresses = [\"172.18.0.3\"]\nports = [1, \"tcp/1\"]",
       "p:1:1: error: ", "addon \"y\": tcp/1 overlaps tcp/1"},
      {"[[limit]]\nname = \"web\"\nports = [80, \"79-81\"]\nrate = \"5/s\"\n[[limit]]\nname = "
       "\"ssh\"\nenabled = false",
       "p:1:1: error: ", "limit \"web\": tcp/80 is named twice; remove one of the two"},
      {"[ports]\ntcp = [22, 80, 22]",
       "p:2:16: warning: ", "tcp/22 is open already (line 2); remove one of the two"},
      {"[ports]\ntcp = [22, 25]\n[mail]\nenabled = true",
       "p:4:11: warning: ", "tcp/25 is open already (line 2)"},
      {"[trusted]\nnetworks = [\"10.0.0.0/8\", \"10.0.0.0-10.255.255.255\"]",
       "p:2:27: warning: ", "10.0.0.0/8 is trusted already (line 2)"},
  });
}

TEST(PolicyProblems, OverlappingOpenPortsAreFine) {
  good("[ports]\ntcp = [22, \"20-30\", \"25-40\"]\nudp = [22]\n");
}

TEST(PolicyProblems, APortHasOneLimitASide) {
  expect_one_problem_each({
      {"[[limit]]\nname = \"my-ssh\"\nports = [22]\nrate = \"5/s\"", "p:1:1: error: ",
       "limit \"my-ssh\": tcp/22 is counted by limit \"ssh\" (a default) already, and a port has "
       "one limit per side; name this one \"ssh\" to replace that, or switch that off with name = "
       "\"ssh\", enabled = false"},
      {"[[limit]]\nname = \"low\"\nports = [\"1-1024\"]\nrate = \"50/s\"\nfrom = \"apps\"",
       "p:1:1: error: ",
       "limit \"low\": tcp/25, tcp/587, tcp/993 are counted by limit \"mail-apps\" (a default) "
       "already"},
      {"[ports]\ntcp = [22, \"8000-8100\"]\n[[limit]]\nname = \"a\"\nports = [8080, 8081]\nrate = "
       "\"5/s\"\n[[limit]]\nname = \"b\"\nports = [\"8000-8100\"]\nrate = \"5/s\"",
       "p:7:1: error: ",
       "limit \"b\": tcp/8080, tcp/8081 are counted by limit \"a\" (line 3) already, and a port "
       "has one limit per side; remove it from one of the two"},
      {"[[limit]]\nname = \"db\"\nports = [6379]\nrate = \"5/s\"\nfrom = \"apps\"\n[[limit]]\nname "
       "= \"database\"\nports = [6379]\nrate = \"5/s\"\nfrom = \"apps\"",
       "p:6:1: error: ",
       "limit \"database\": tcp/6379 is counted by limit \"db\" (line 1) already"},
  });
  // The other side, or the other protocol, is another port.
  good(
      "[ports]\nudp = [443]\ntcp = [22, 3306]\n"
      "[[limit]]\nname = \"quic\"\nports = [\"udp/443\"]\nrate = \"50/s\"\n"
      "[[limit]]\nname = \"mysql\"\nports = [3306]\nrate = \"50/s\"\n");
}

TEST(PolicyProblems, LimitsOfRequests) {
  const string http = "[[limit]]\nname = \"x\"\nlayer = \"http\"\nrate = \"5/s\"\n";
  expect_one_problem_each({
      {"[[limit]]\nname = \"x\"\nlayer = \"http\"\n", "p:1:1: error: ", "lacks rate"},
      {http + "ports = [80]\n", "p:5:9: error: ", "ports has no effect with layer = \"http\""},
      {http + "concurrent = 5\n", "p:5:14: error: ", "concurrent has no effect"},
      {http + "burst = 5\n", "p:5:9: error: ", "a count up to 14 is an exact window"},
      {http + "per = \"ip\"\n", "p:5:7: error: ", "per is \"client\", \"client+account\""},
      {http + "per = \"site\"\nprefix6 = 56\n", "p:6:11: error: ", "prefix6 has no effect"},
      {"[[limit]]\nname = \"ssh\"\nports = [22]\nrate = \"5/s\"\nper = \"account\"\n",
       "p:5:7: error: ", "this word needs layer = \"http\""},
      {"[[limit]]\nname = \"password\"\nports = [99]\nrate = \"5/s\"\nfrom = \"apps\"\n",
       "p:1:1: error: ", "limit \"password\": another limit (a default) has this name"},
      {"[[limit]]\nname = \"ssh\"\nlayer = \"http\"\nrate = \"5/s\"\n",
       "p:1:1: error: ", "limit \"ssh\": another limit (a default) has this name"},
      {http + http, "p:5:1: error: ", "limit \"x\": another limit (line 1) has this name"},
      {"[[limit]]\nname = \"http\"\nlayer = \"http\"\nrate = \"5/s\"\n"
       "[[limit]]\nname = \"http\"\nenabled = false\n",
       "p:5:1: error: ", "limit \"http\" is already defined at line 1"},
      {"[[limit]]\nname = \"http\"\nenabled = false\n"
       "[[limit]]\nname = \"http\"\nlayer = \"http\"\nrate = \"5/s\"\n",
       "p:4:1: error: ", "limit \"http\" is switched off at line 1"},
  });
}

TEST(PolicyProblems, LimitsOnClosedPorts) {
  expect_one_problem_each({
      {"[[limit]]\nname = \"game\"\nports = [\"udp/27015\", 7777]\nrate = \"50/s\"",
       "p:1:1: warning: ",
       "limit \"game\": udp/27015, tcp/7777 are closed, so there is nothing to count; open them in "
       "[ports], or take them out of the limit"},
      {"[[limit]]\nname = \"mail\"\nenabled = false\n[[limit]]\nname = \"smtp\"\nports = "
       "[25]\nrate = \"50/s\"",
       "p:4:1: warning: ",
       "tcp/25 is closed, so there is nothing to count; open it in [ports] or with [mail] enabled "
       "= true"},
      // A forgotten from = "apps" shows.
      {"[[limit]]\nname = \"database\"\nports = [3306]\nrate = \"50/s\"",
       "p:1:1: warning: ", "limit \"database\": tcp/3306 is closed"},
  });
  // Not for the defaults and their namesakes, for apps, and for what an app publishes.
  good(
      "[ports]\ntcp = [22]\n[[limit]]\nname = \"mail\"\nports = [25]\nrate = \"9/s\"\n"
      "[[limit]]\nname = \"a\"\nports = [9999]\nrate = \"9/s\"\nfrom = \"apps\"\n"
      "[[limit]]\nname = \"b\"\nports = [29418]\nrate = \"9/s\"\n"
      "[[app]]\nname = \"w\"\naddresses = [\"172.18.0.2\"]\npublishes = [29418]\n");
}

TEST(PolicyProblems, Lockout) {
  const string remedy = "so admins may lose access to this host; add ";
  expect_one_problem_each({
      {"[ports]\ntcp = [80, 443]", "p:2:7: warning: ",
       "no SSH port is open (tcp/22, tcp/202), " + remedy + "22 to [ports] tcp"},
      {"[ports]\nudp = [22]\ntcp = []", "p:3:7: warning: ", "no SSH port is open"},
      {"[ports]\ntcp = [22]\n[[limit]]\nname = \"ssh\"\nports = [2222]\nrate = \"5/s\"\nenabled = "
       "true\n[[app]]\nname = \"git\"\naddresses = [\"172.18.0.2\"]\npublishes = [2222]",
       "p:2:7: warning: ", "no SSH port is open (tcp/2222), " + remedy + "2222 to [ports] tcp"},
  });
  // The warning stands at the limit when [ports] is not written; that the limit waits is another.
  EXPECT_EQ(said(parse("\n[[limit]]\nname = \"ssh\"\nports = [2222]\nrate = \"5/s\"\n"))
                .find("p:2:1: warning: no SSH port is open (tcp/2222)"),
            0u);
  good("[ports]\ntcp = [\"200-300\"]\n");
}

TEST(PolicyProblems, Networks) {
  const string app = "[[app]]\nname = \"x\"\naddresses = [\"10.1.0.2\"]\n";
  const string addon = "[[addon]]\nname = \"x\"\naddresses = [\"10.1.0.2\"]\nports = [1]\n";
  expect_one_problem_each({
      {app, "p:1:1: error: ",
       "app \"x\": 10.1.0.2 is outside the app networks (172.18.0.0/16); add its network to [apps] "
       "network"},
      {addon, "p:1:1: warning: ",
       "addon \"x\": 10.1.0.2 is outside the app networks (172.18.0.0/16); that is right only for "
       "an address of the host itself"},
      {"[apps]\nnetwork = []\n" + app, "p:3:1: error: ", "outside the app networks (none)"},
      {"[apps]\nnetwork = [\"10.0.0.0/8\", \"10.1.0.0/16\"]\n" + app, "p:2:26: error: ",
       "app network 10.1.0.0/16 overlaps app network 10.0.0.0/8 (line 2); keep the wider one"},
      {"[trusted]\nnetworks = [\"172.18.9.0/24\"]", "p:2:13: warning: ",
       "trusted 172.18.9.0/24 overlaps the app networks: trusted wins, so the apps in it are never "
       "limited"},
      {"[trusted]\nnetworks = [\"172.16.0.0/12\"]", "p:2:13: warning: ", "trusted wins"},
      {"[trusted]\nnetworks = [\"0.0.0.0/0\"]",
       "p:2:13: warning: ", "0.0.0.0/0 trusts every client, so no limit or list applies"},
      {"[trusted]\nnetworks = [\"::/0\"]", "p:2:13: warning: ", "::/0 trusts every client"},
      {"[apps]\nnetwork = [\"::/0\"]",
       "p:2:12: warning: ", "::/0 as app network makes every client an app"},
  });
  good("[apps]\nnetwork = [\"10.0.0.0/8\", \"172.18.0.0/16\", \"fd00::/8\"]\n" + app);
}

TEST(PolicyProblems, UnknownAddons) {
  const string app = "[[app]]\nname = \"x\"\naddresses = [\"172.18.0.2\"]\n";
  const string mysql =
      "[[addon]]\nname = \"mysql\"\naddresses = [\"172.18.0.3\"]\nports = [3306]\n";
  expect_one_problem_each({
      {app + "addons = [\"mysq\"]\n" + mysql,
       "p:1:1: error: ", "app \"x\": there is no addon \"mysq\"; did you mean \"mysql\"?"},
      {app + "addons = [\"redis\"]\n" + mysql, "p:1:1: error: ",
       "there is no addon \"redis\"; describe it in an [[addon]] table, or remove it"},
  });
}

TEST(PolicyProblems, OneMistakeIsNotReportedAsSeveral) {
  // What cannot be read is not taken to be absent.
  expect_one_problem_each({
      {"[ports]\ntcp = [\"22x\"]", "p:2:8: error: ", "is not a port"},
      {"[ports]\ntcp = 22\n[[limit]]\nname = \"g\"\nports = [777]\nrate = \"9/s\"",
       "p:2:7: error: ", "must be an array"},
      {"[apps]\nnetwork = [\"10.0.0.0/99\"]\n[[app]]\nname = \"x\"\naddresses = [\"10.1.0.2\"]",
       "p:2:12: error: ", "prefix length"},
      {"[[app]]\nname = \"x\"\naddresses = [\"172.18.0.2\"]\naddons = [\"My "
       "SQL\"]\n[[addon]]\nname = \"My SQL\"\naddresses = [\"172.18.0.3\"]\nports = [1]",
       "p:6:8: error: ", "e.g. \"my-sql\""},
  });
}

TEST(PolicyProblems, TomlItself) {
  expect_one_problem_each({
      {"[ports\ntcp = []",
       "p:1:7: error: ", "not valid TOML: while parsing table header: expected ']'"},
      {"[ports]\ntcp = [22, ", "p:2:", "not valid TOML: while parsing array"},
      {"[ports]\ntcp = 22x", "p:2:9: error: ", "not valid TOML"},
      {"[ports]\ntcp =", "p:2:", "not valid TOML"},
      {"[mail]\nenabled = yes", "p:2:11: error: ", "not valid TOML"},
      {"[mail]\nenabled = true\nenabled = false",
       "p:3:", "cannot redefine existing boolean 'enabled'; remove one of the two"},
      {"[ports]\n[mail]\n[ports]",
       "p:3:1: error: ", "cannot redefine existing table 'ports'; remove one of the two"},
      {"[[limit]]\nname = \"ssh", "p:2:", "not valid TOML"},
      {"just some words", "p:1:6: error: ", "not valid TOML"},
      {"Salted__\x01\x02\x03", "p:1:9: error: ", "not valid TOML"},
  });
}

TEST(PolicyProblems, TwentyAtOnceInTheOrderOfTheFile) {
  const Parsed parsed = parse(R"(colour = "red"
[trusted]
networks = ["10.0.0.1/8", "fe80::1%eth0", 5]
[ports]
tcp = [22, 80, 80, 65536]
udp = ["90-80"]
upd = []
[apps]
network = ["172.18.0.0/16", "172.18.0.0/24"]
[mail]
enable = true
[[limit]]
name = "Big Limit"
ports = [10000]
from = "apps"
rate = "5/10x"
[[limit]]
name = "mine"
ports = [443]
rate = "5/10s"
burst = 9
concurrent = 0
[[list]]
name = "bad"
[[app]]
name = "wiki"
addresses = ["172.18.0.2", "172.18.0.0/24"]
addons = ["mysq"]
[[addon]]
name = "mysql"
addresses = ["172.18.0.3"]
ports = [0]
[advanced]
ct_label_bit = 199
)");
  EXPECT_FALSE(parsed.ok());
  string places;
  for (const Problem& problem : parsed.problems) {
    const char kind = problem.severity == Severity::error ? 'E' : 'W';
    places += std::to_string(problem.where.line) + ":" + std::to_string(problem.where.column) +
              kind + " ";
    EXPECT_EQ(problem.where.file, "p");
    EXPECT_FALSE(problem.what.empty());
  }
  EXPECT_EQ(places,
            "1:1E 3:13E 3:27E 3:43E 5:16W 5:20E 6:8E 7:1E 9:29E 11:1E 13:8E 16:8E 17:1E 21:9E "
            "22:14E 23:1E 25:1E 27:28E 32:10E 34:16E ")
      << said(parsed);
  EXPECT_EQ(parsed.problems.size(), 20u);
}

// ---- Bounds and hostile input.

TEST(PolicyBounds, Counts) {
  const auto tables = [](const string& kind, std::size_t count, const string& keys) {
    string text;
    for (std::size_t i = 0; i < count; ++i)
      text += "[[" + kind + "]]\nname = \"n" + std::to_string(i) + "\"\n" + keys;
    return text;
  };
  good(tables("list", kListsMax, "file = \"f\"\n"));
  expect_one_problem_each({
      {tables("list", kListsMax + 3, "file = \"f\"\n"),
       "p:193:1: error: ", "there are at most 64 [[list]] tables; leave out the rest"},
  });
}

TEST(PolicyBounds, Limits) {
  string text;
  for (std::size_t i = 0; i < kLimitsMax; ++i) {
    const string n = std::to_string(i);
    text += "[[limit]]\nname = \"n" + n + "\"\nports = [" + std::to_string(30'000 + i) +
            "]\nfrom = \"apps\"\nrate = \"5/s\"\n";
    if (i == kLimitsMax - 10) good(text);
  }
  expect_one_problem_each(
      {{text, "p:1236:1: error: ", "there are at most 256 limits, the defaults included"}});
}

TEST(PolicyBounds, LimitsOfRequests) {
  string text;
  for (std::size_t i = 0; i < kHttpLimitsMax - 1; ++i) {
    text += "[[limit]]\nname = \"n" + std::to_string(i) + "\"\nlayer = \"http\"\nrate = \"5/s\"\n";
    if (i == kHttpLimitsMax - 3) good(text);
  }
  expect_one_problem_each(
      {{text, "p:249:1: error: ", "there are at most 64 limits with layer = \"http\""}});
}

TEST(PolicyBounds, ArraysAndAddresses) {
  string many = "[trusted]\nnetworks = [";
  for (std::size_t i = 0; i <= kPolicyArrayMax; ++i)
    many += "\"::" + std::to_string(i % 10'000) + "\",\n";
  string app = "[[app]]\nname = \"x\"\naddresses = [\n";
  for (std::size_t i = 0; i <= kAppAddressesMax; ++i)
    app += "\"172.18.1." + std::to_string(i) + "\",\n";
  expect_one_problem_each({
      {many + "]", "p:65537:1: error: ", "networks holds at most 65535 entries"},
      {app + "]", "p:68:1: error: ", "addresses holds at most 64 entries"},
  });
}

TEST(PolicyBounds, TooManyProblems) {
  string text = "[mail]\n";
  for (int i = 0; i < 3000; ++i) text += "x" + std::to_string(i) + " = 1\n";
  const Parsed parsed = parse(text);
  ASSERT_EQ(parsed.problems.size(), kPolicyProblemsMax + 1);
  EXPECT_EQ(to_string(parsed.problems.back()),
            "p: error: 2000 more problems are not shown; fix these first");
}

string repeated(const string& text, std::size_t times) {
  string all;
  for (std::size_t i = 0; i < times; ++i) all += text;
  return all;
}

TEST(HostilePolicy, IsRefusedWithAPlace) {
  const std::size_t many = 300'000;
  const string long_key = "a key of more than 16 names; write e.g. tcp under [ports]";
  expect_one_problem_each({
      {"[ports]\ntcp = [22]\0"s, "p:2:11: error: ", "not valid TOML"},
      {string(1000, '\0'), "p:1:1: error: ", "not valid TOML"},
      {"[ports]\ntcp = [\"\xff\xfe\"]", "p:2:", "not valid TOML"},
      {"\xc0\x80", "p:1:1: error: ", "not valid TOML"},
      {"a = \"\xed\xa0\x80\"", "p:1:", "not valid TOML"},
      {"a = " + repeated("[", many), "p:1:", "not valid TOML"},
      {"a = " + repeated("{a=", many), "p:1:", "not valid TOML"},
      {"a = " + repeated("[", 17) + repeated("]", 17), "p:1:", "not valid TOML"},
      {repeated("a.", many) + "a = 1", "p:1:32: error: ", long_key},
      {"# caf\xc3\xa9\n[" + repeated("a.", many) + "a]", "p:2:33: error: ", long_key},
      {"'caf\xc3\xa9'." + repeated("a.", many) + "a = 1", "p:1:37: error: ", long_key},
      {"x = [ \"\"\"\"\"\"\"\", {" + repeated("'a' . ", many) + "a = 1}]", "p:1:", long_key},
      {"x = [ '''a''''', \"\\\"\", '\\', {" + repeated("a.", many) + "a = 1}]", "p:1:", long_key},
      {"[mail]\nenabled = {" + repeated("\"a\".", many) + "a = 1}", "p:2:", long_key},
      {string(5 << 20, '#'), "p: error: ",
       "the policy is larger than 4 MiB; put addresses in files and name them in [[list]] tables"},
      {repeated("[ports]\n", 600'000), "p: error: ", "larger than 4 MiB"},
  });
}

TEST(HostilePolicy, CharactersThatLookLikeOthers) {
  // U+00A1 to U+0499 outside strings, too: toml++ 3.3 itself does not survive them.
  expect_one_problem_each({
      {"[ports]\ntcp = [\xe2\x80\x9c"
       "22\xe2\x80\x9d]",
       "p:2:8: error: ", "not valid TOML"},
      {"[mail]\nenabled\xc2\xa0= true", "p:2:8: error: ", "not valid TOML"},
      {"[mail]\n\xd0\xb0 = 1", "p:2:1: error: ", "not valid TOML"},
      {"[ma\xc3\xaf"
       "l]",
       "p:1:4: error: ", "not valid TOML"},
      {"'caf\xc3\xa9' = caf\xc3\xa9", "p:1:10: error: ", "not valid TOML"},
      {"'caf\xc3\xa9' = [1, \xc3\xa9]", "p:1:14: error: ", "not valid TOML"},
      {"x = 22\xc3\xa9", "p:1:7: error: ", "not valid TOML"},
      {"x = 2\"\xc3\xa9", "p:1:6: error: ", "not valid TOML"},
      {"x = true\xc3\xa9", "p:1:9: error: ", "not valid TOML"},
      {"caf\xc3\xa9 = 1", "p:1:4: error: ", "not valid TOML"},
      {"x = \"\"\"\\\xc3\xa9\"\"\"", "p:1:9: error: ", "not valid TOML"},
      {"[mail]\nx = \"\"\"\\\n \xc3\xa9\"\"\"", "p:2:1: error: ", "unknown key \"x\" in [mail]"},
  });
}

TEST(HostilePolicy, DotsInValuesAreNoDottedKeys) {
  const string dots = repeated("1.", 20);
  good(
      "[trusted]\nnetworks = [\"1.1.1.1\", '1.1.1.2', \"1.1.1.3\", \"\"\"1.1.1.4\"\"\", "
      "'''1.1.1.5''']"
      " # " +
      dots + "\n# " + dots + " \" ' \"\"\" ''' " + dots + "\n");
  EXPECT_EQ(parse("[[list]]\nname = \"x\"\nfile = \"" + dots +
                  "\"\n[[list]]\nname = \"y\"\nfile = '" + dots + "'\n")
                .problems.size(),
            0u);
}

TEST(HostilePolicy, LargeButHarmless) {
  EXPECT_EQ(good("#" + string(kPolicyBytesMax - 1, 'x')), default_policy());
  EXPECT_EQ(good(string(kPolicyBytesMax, '\n')), default_policy());
}

TEST(HostilePolicy, NoMutationCrashes) {
  const string original =
      read_file(example_file()) +
      "[[app]]\nname = \"wiki\"\naddresses = [\"172.18.16.2\"]\npublishes = [\"tcp/29418\"]\n"
      "addons = [\"mysql\"]\n[[addon]]\nname = \"mysql\"\naddresses = [\"172.18.0.10\"]\n"
      "ports = [3306]\n[[list]]\nname = \"x\"\nfile = 'f\"\xc3\xa9'\n";
  std::mt19937_64 random(2);
  const string alphabet = "[]{}=.,\"'#\\\n\r\t 0x-_:eE+\0\x80\xff"s;
  for (int i = 0; i < 1500; ++i) {
    string text = original;
    for (auto changes = random() % 6 + 1; changes > 0; --changes) {
      if (text.empty()) break;
      const std::size_t at = random() % text.size();
      const std::size_t length = random() % 12;
      switch (random() % 4) {
        case 0:
          text[at] = alphabet[random() % alphabet.size()];
          break;
        case 1:
          text.erase(at, length);
          break;
        case 2:
          text.insert(at, text.substr(random() % text.size(), length * 4));
          break;
        default:
          text.resize(at);
          break;
      }
    }
    const Parsed parsed = parse(text);
    int line = 0;
    for (const Problem& problem : parsed.problems) {
      if (problem.where.line == 0) continue;
      EXPECT_GE(problem.where.line, line) << said(parsed);
      line = problem.where.line;
      const string shown = to_string(problem);
      EXPECT_TRUE(std::none_of(shown.begin(), shown.end(), [](char c) {
        return static_cast<unsigned char>(c) < 0x20;
      })) << shown;
    }
  }
}

// ---- Files.

TEST(ReadPolicy, SaysWhyAFileCannotBeRead) {
  const fs::path folder = fs::temp_directory_path();
  const Parsed missing = read_policy(folder / "no-such-folder" / "policy.toml");
  EXPECT_EQ(said(missing), (folder / "no-such-folder/policy.toml").string() +
                               ": error: cannot be read: No such file or directory; name a policy "
                               "file that exists\n");
  EXPECT_FALSE(missing.ok());
  EXPECT_NE(said(read_policy(folder)).find("cannot be read: Is a directory"), string::npos);
  EXPECT_NE(said(read_policy("/dev/zero")).find("it is not a regular file"), string::npos);
}

TEST(ReadPolicy, NamesTheFile) {
  string path = (fs::temp_directory_path() / "policy-test-XXXXXX").string();
  const int fd = mkstemp(path.data());
  ASSERT_GE(fd, 0);
  close(fd);
  std::ofstream(path) << "[mail]\nenable = true\n";
  const Parsed parsed = read_policy(path);
  fs::remove(path);
  EXPECT_EQ(said(parsed),
            path + ":2:1: error: unknown key \"enable\" in [mail]; did you mean \"enabled\"?\n");
  EXPECT_EQ(parsed.policy.file, path);
}

// ---- Words in messages.

TEST(Words, AreMadeSafeToPrint) {
  EXPECT_EQ(quote("plain"), "\"plain\"");
  EXPECT_EQ(quote("say \"hi\" \\"), R"("say \"hi\" \\")");
  EXPECT_EQ(quote("\x1b[31m\n\t\r\x7f"), R"("\u001b[31m\n\t\r\u007f")");
  EXPECT_EQ(quote("a\0b"s), R"("a\u0000b")");
  EXPECT_EQ(quote("caf\xc3\xa9"), "\"caf\xc3\xa9\"");
  EXPECT_EQ(quote("\xff\xc3"), R"("\xff\xc3")");
  EXPECT_EQ(quote("\xc2\x9b"
                  "31m"),
            R"("\u009b31m")");
  EXPECT_EQ(quote("\xe2\x80\xae"), R"("\u202e")");
  EXPECT_EQ(quote("\xc0\x80"), R"("\xc0\x80")");
  EXPECT_EQ(quote(string(65, 'x')), '"' + string(64, 'x') + "...\"");
  EXPECT_EQ(printable(string(300, 'x'), 200).size(), 203u);
}

TEST(Words, TheNearestKnownOne) {
  const std::vector<std::string_view> known{"tcp", "udp", "networks", "ct_label_bit", "name"};
  EXPECT_EQ(nearest("tpc", known), "tcp");
  EXPECT_EQ(nearest("TCP", known), "tcp");
  EXPECT_EQ(nearest("network", known), "networks");
  EXPECT_EQ(nearest("netwroks", known), "networks");
  EXPECT_EQ(nearest("net", known), "networks");
  EXPECT_EQ(nearest("ct-label-bit", known), "ct_label_bit");
  EXPECT_EQ(nearest("nmae", known), "name");
  EXPECT_EQ(nearest("rate", known), "");
  EXPECT_EQ(nearest("", known), "");
  EXPECT_EQ(nearest(string(100'000, 'x'), known), "");
  EXPECT_EQ(nearest("tcp", {}), "");
}

}  // namespace
}  // namespace fw
