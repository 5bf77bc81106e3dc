// What the kernel holds, asked of nft.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/lab/nft.hpp"

#include <algorithm>
#include <cerrno>
#include <istream>
#include <map>
#include <sstream>

#include <boost/json.hpp>

#include "tests/lab/process.hpp"

namespace lab {
namespace {

namespace json = boost::json;

/// The object of a kind and name in what "nft -j list WHAT" prints.
json::object ask(const Namespace& where, const std::string& what, const std::string& kind,
                 const std::string& name) {
  // Terse, a listing of a table does not read the sets.
  const bool terse = what.starts_with("table ");
  const json::value all =
      json::parse(must_run(where, {"nft", terse ? "-tj" : "-j", "list " + what}));
  for (const json::value& item : all.at("nftables").as_array()) {
    const json::value* found = item.as_object().if_contains(kind);
    if (found != nullptr && found->at("name").as_string() == name) return found->as_object();
  }
  errno = 0;
  fail("nft lists no " + kind + " " + name);
}

/// Reads on until the elements' end and gives them one a line, sorted.
std::string sorted_elements(std::string text, std::istream& more) {
  for (std::string line; !text.ends_with("}") && std::getline(more, line);) text += line;
  const auto begin = text.find('{') + 1;
  std::istringstream items(text.substr(begin, text.rfind('}') - begin));
  std::vector<std::string> sorted;
  for (std::string item; std::getline(items, item, ',');) {
    const auto first = item.find_first_not_of(" \t");
    if (first != std::string::npos) sorted.push_back(item.substr(first));
  }
  std::sort(sorted.begin(), sorted.end());
  std::string out;
  for (const std::string& item : sorted) {
    out += "\t\t" + item.substr(0, item.find_last_not_of(' ') + 1) + "\n";
  }
  return out;
}

}  // namespace

std::uint64_t counter(const Namespace& where, const std::string& name, const std::string& table) {
  return ask(where, "table " + table, "counter", name).at("packets").to_number<std::uint64_t>();
}

std::vector<std::string> elements(const Namespace& where, const std::string& set) {
  const Output found = run(where, {"nft", "-j", "list set inet cloudron " + set});
  const json::object object = found.ok() ? ask(where, "set inet cloudron " + set, "set", set)
                                         : ask(where, "map inet cloudron " + set, "map", set);
  std::vector<std::string> out;
  if (const json::value* list = object.if_contains("elem")) {
    for (const json::value& element : list->as_array()) out.push_back(json::serialize(element));
  }
  return out;
}

void nft(const Namespace& where, const std::string& commands) {
  must_run(where, {"nft", "-f", "-"}, commands);
}

void track_connections(const Namespace& where) {
  nft(where, R"(
table inet somebody {
  chain input {
    type filter hook input priority 10;
    ct state invalid drop
  }
}
)");
}

std::string listing(const Namespace& where, const std::string& what) {
  return must_run(where, {"nft", "-a", "list " + what});
}

std::string rules_only(const Namespace& where, const std::string& table) {
  std::istringstream lines(must_run(where, {"nft", "-s", "list table " + table}));
  std::map<std::string, std::string> sections;
  std::string* section = nullptr;
  bool learned = false;  // or of the store's own: elements that differ from run to run
  for (std::string line; std::getline(lines, line);) {
    const bool inner = line.starts_with("\t\t");
    if (line.starts_with("\t") && !inner && line.ends_with("{")) {
      section = &sections[line];
      learned = line == "\tset block_versions {";
    }
    if (section == nullptr || !inner) continue;
    if (line.starts_with("\t\tflags ") && line.find("dynamic") != std::string::npos) learned = true;
    if (line.starts_with("\t\telements = ")) {
      const std::string sorted = sorted_elements(line, lines);
      if (!learned) *section += sorted;
    } else {
      *section += line + "\n";
    }
  }
  std::string out;
  for (const auto& [name, body] : sections) out += name + "\n" + body + "\t}\n";
  return out;
}

}  // namespace lab
