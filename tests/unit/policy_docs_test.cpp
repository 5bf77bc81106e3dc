// What docs/policy.md says of tables and keys is what the parser reads.
// SPDX-License-Identifier: GPL-2.0-or-later
#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include <gtest/gtest.h>

#include "fw/effective/policy.hpp"
#include "fw/policy/policy_tables.hpp"

namespace fw {
namespace {

using std::string;
namespace fs = std::filesystem;

fs::path manual_file() { return fs::path(__FILE__).parent_path() / "../../docs/policy.md"; }

string manual() {
  std::ifstream file(manual_file());
  std::stringstream text;
  text << file.rdbuf();
  EXPECT_TRUE(file);
  return text.str();
}

string grouped(std::size_t number) {
  const string text = std::to_string(number);
  return text.size() < 4 ? text
                         : text.substr(0, text.size() - 3) + "," + text.substr(text.size() - 3);
}

string cell(const string& text) { return text.empty() ? " |" : " " + text + " |"; }

/// All tables, as Markdown.
string list_of_tables() {
  string text = "| table | how often | defines |\n|---|---|---|\n";
  for (const Table& table : policy_tables(contributions())) {
    const string often =
        table.repeats() ? "up to " + grouped(table.max) + string(table.max_note) : "once";
    text += "|" + cell("[`" + table.header() + "`](#" + string(table.name) + ")") + cell(often) +
            cell(string(table.defines)) + "\n";
  }
  return text;
}

/// The keys of one, as Markdown.
string list_of_keys(const Table& table) {
  string text = "| key | type | default | meaning |\n|---|---|---|---|\n";
  for (const KeyForm& key : table.keys)
    text += "|" + cell("`" + key.name + "`") + cell(key.type) + cell(key.fallback) +
            cell(key.meaning) + "\n";
  return text;
}

/// The first table of the manual with that first line behind a heading: where it begins and ends.
std::pair<std::size_t, std::size_t> place_of_table(const string& text, const string& heading,
                                                   const string& first_line) {
  const std::size_t section = text.find("\n" + heading);
  if (section == text.npos) return {text.npos, text.npos};
  const std::size_t next = text.find("\n## ", section + 1);
  const std::size_t begin = text.find("\n" + first_line, section);
  if (begin == text.npos || begin > next) return {text.npos, text.npos};
  return {begin + 1, text.find("\n\n", begin + 1) + 1};
}

/// Compares, or with CLOUDRON_FW_GOLDEN=write replaces.
void expect_in_manual(const string& heading, const string& wanted) {
  string text = manual();
  const auto [begin, end] = place_of_table(text, heading, wanted.substr(0, wanted.find('\n')));
  ASSERT_NE(begin, text.npos) << heading << " lacks\n" << wanted;
  if (text.substr(begin, end - begin) == wanted) return;
  const char* const write = std::getenv("CLOUDRON_FW_GOLDEN");
  if (write != nullptr && string(write) == "write") {
    std::ofstream(manual_file()) << text.replace(begin, end - begin, wanted);
    return;
  }
  EXPECT_EQ(text.substr(begin, end - begin), wanted)
      << "docs/policy.md, " << heading << ": if it is meant, CLOUDRON_FW_GOLDEN=write writes it";
}

TEST(PolicyManual, ListsTheTables) { expect_in_manual("## All tables", list_of_tables()); }

TEST(PolicyManual, ListsTheKeysOfEachTable) {
  for (const Table& table : policy_tables(contributions())) {
    expect_in_manual("## `" + table.header() + "` <a name=\"" + string(table.name) + "\"></a>",
                     list_of_keys(table));
  }
}

/// A table with the keys that must be there, and one more line.
string smallest(const Table& table, const string& more) {
  string text = table.header() + "\n";
  for (const KeyForm& key : table.keys) {
    if (!key.example.empty()) text += key.example + "\n";
  }
  // Its ports have a default limit, which this one replaces.
  if (const auto at = text.find("my-limit"); at != text.npos) text.replace(at, 8, "ssh");
  if (table.name == "app" || table.name == "addon") text += "addresses = [\"172.18.0.9\"]\n";
  if (table.name == "site") text += "upstream = \"http://127.0.0.1:3000\"\n";
  if (table.name == "open") text += "protocols = [\"vrrp\"]\n";
  if (table.name == "offender") text += "after = \"20 refused/10m\"\n";
  return text + more + "\n";
}

/// What a policy means, without the places of its values.
Policy placeless_policy(const string& text) {
  Parsed parsed = parse_policy(text, "");
  for (const Problem& problem : parsed.problems) {
    if (problem.severity == Severity::error) ADD_FAILURE() << text << to_string(problem);
  }
  Policy& policy = parsed.policy;
  policy.ports_where = policy.mail_where = policy.guests_where = {};
  for (auto& each : policy.open_ports) each.where = {};
  for (auto& each : policy.app_networks) each.where = {};
  for (auto& each : policy.trusted) each.where = {};
  for (auto& each : policy.translated) each.where = {};
  return policy;
}

TEST(PolicyManual, DefaultsAreWhatTheManualSays) {
  int count = 0;
  for (const Table& table : policy_tables(contributions())) {
    for (const KeyForm& key : table.keys) {
      const bool is_value = key.fallback.starts_with('`') && key.fallback.ends_with('`') &&
                            key.fallback.find("` ") == string::npos;
      // [[open]] needs one of two keys.
      if (!is_value || (table.name == "open" && key.name == "protocols")) continue;
      const string line = key.name + " = " + key.fallback.substr(1, key.fallback.size() - 2);
      EXPECT_EQ(placeless_policy(smallest(table, line)), placeless_policy(smallest(table, "")))
          << table.header() << " " << line;
      ++count;
    }
  }
  EXPECT_GE(count, 20);
}

// ---- A table of a plugin.

TEST(PolicyTables, AnotherOneIsDeclaredBesideWhatItIsFor) {
  constexpr Contribution kTunnel{
      "tunnel", [] {
        return std::vector{with_keys(
            {.name = "tunnel", .defines = "where the tunnel listens"},
            {{{"listen_port", "port", "none", "opened for everybody", "listen_port = [51820]"},
              [](ValueReader& in, const Value& value, Policy& policy) {
                for (auto& port : in.ports(value, Protocol::udp)) policy.open_ports.push_back(port);
              }}})};
      }};
  const std::array plugins{contributions().front(), kTunnel};
  const auto read = [&plugins](const string& text) { return parse_policy(text, "p", plugins); };

  const Parsed good = read("[tunnel]\nlisten_port = [51820]\n");
  EXPECT_TRUE(good.problems.empty());
  EXPECT_EQ(to_string(good.policy.open_ports.back().value), "udp/51820");

  const auto said = [&](const string& text) {
    const Parsed parsed = read(text);
    return parsed.problems.empty() ? "" : to_string(parsed.problems[0]);
  };
  EXPECT_EQ(said("[tunnel]\n"),
            "p:1:1: error: [tunnel] lacks listen_port; add e.g. listen_port = [51820]");
  EXPECT_EQ(said("[tunel]\n"), "p:1:2: error: unknown table \"tunel\"; did you mean [tunnel]?");
  EXPECT_EQ(said("[mail]\nlisten_port = [1]\n"),
            "p:2:1: error: unknown key \"listen_port\" in [mail]; it belongs in [tunnel]");
  EXPECT_EQ(said("[tunnel]\nlisten_port = [70000]\n"),
            "p:2:16: error: port 70000 is not between 1 and 65535");
  // And nobody else knows it.
  EXPECT_FALSE(parse_policy("[tunnel]\nlisten_port = [51820]\n", "p").ok());
}

}  // namespace
}  // namespace fw
