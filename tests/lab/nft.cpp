// What the kernel holds, asked of nft.
#include "tests/lab/nft.hpp"

#include <cerrno>
#include <regex>
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

std::string listing(const Namespace& where, const std::string& what) {
  return must_run(where, {"nft", "-a", "list " + what});
}

std::string rules_only(const Namespace& where, const std::string& what) {
  const std::string text = must_run(where, {"nft", "-s", "list " + what});
  static const std::regex set_begin("^\\tset .*");
  static const std::regex flags("^\\t\\tflags .*dynamic.*");
  std::istringstream lines(text);
  std::string out;
  bool learned = false;   // inside a set that packets fill
  bool elements = false;  // inside its elements
  for (std::string line; std::getline(lines, line);) {
    if (std::regex_match(line, set_begin)) learned = false;
    if (std::regex_match(line, flags)) learned = true;
    if (line == "\t}") learned = elements = false;
    if (learned && line.starts_with("\t\telements = ")) elements = true;
    if (!elements) {
      out += line + "\n";
    } else if (line.ends_with("}")) {
      elements = false;
    }
  }
  return out;
}

}  // namespace lab
