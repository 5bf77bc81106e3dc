// From text to a tree of TOML: what toml++ must not see is refused first. toml++ is compiled here.
// SPDX-License-Identifier: GPL-2.0-or-later
#define TOML_IMPLEMENTATION
#include "fw/policy/toml.hpp"

#include <algorithm>
#include <cstddef>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "fw/base/limits.hpp"
#include "fw/base/suggest.hpp"

namespace fw {
namespace {

/// The index behind the string that begins at `at`, or of the end of its line when it is not closed
/// there.
std::size_t skip_string(std::string_view text, std::size_t at) {
  const char quotes = text[at];
  const std::string three(3, quotes);
  const bool multiline = text.substr(at).starts_with(three);
  at += multiline ? 3 : 1;
  while (at < text.size()) {
    if (text[at] == '\\' && quotes == '"') {
      at += 2;
    } else if (multiline && text.substr(at).starts_with(three)) {
      at += 3;
      // Up to two more quotes belong to the string.
      for (int i = 0; i < 2 && at < text.size() && text[at] == quotes; ++i) ++at;
      return at;
    } else if (!multiline && text[at] == quotes) {
      return at + 1;
    } else if (!multiline && text[at] == '\n') {
      return at;
    } else {
      ++at;
    }
  }
  return text.size();
}

/// toml++ 3.3 bounds the depth of values but not of dotted keys, and frees tables recursively: a
/// key of a million names would overflow the stack. So long keys are refused beforehand.
std::optional<std::size_t> find_long_key(std::string_view text) {
  std::size_t dots = 0;
  for (std::size_t at = 0; at < text.size();) {
    const char c = text[at];
    if (c == '"' || c == '\'') {
      at = skip_string(text, at);
      continue;
    }
    if (c == '#') {
      at = std::min(text.find('\n', at), text.size());
      continue;
    }
    if (c == '.') {
      if (++dots >= kPolicyDottedMax) return at;
    } else if (std::string_view("\n=,[]{}").find(c) != std::string_view::npos) {
      dots = 0;
    }
    ++at;
  }
  return {};
}

/// Columns count characters, as toml++ does.
Location place_at(std::string_view text, std::size_t at, const std::string& file) {
  const std::string_view before = text.substr(0, at);
  const std::size_t line_begin = before.rfind('\n') + 1;  // npos + 1 is 0
  const auto column =
      std::ranges::count_if(before.substr(line_begin), [](char c) { return (c & 0xc0) != 0x80; });
  return {file, static_cast<int>(std::ranges::count(before, '\n')) + 1,
          static_cast<int>(column) + 1};
}

std::string describe(const toml::parse_error& error) {
  std::string what(error.description());
  const bool repeated = what.find("cannot redefine existing") != std::string::npos;
  if (what.starts_with("Error while ")) what.replace(0, 6, "");
  what = "not valid TOML: " + printable(what, 200);
  return repeated ? what + "; remove one of the two" : what;
}

}  // namespace

std::expected<toml::table, Problem> parse_toml(std::string_view text, const std::string& file) {
  const auto broken = [](std::string what, Location where) {
    return std::unexpected(Problem{Severity::error, std::move(what), std::move(where)});
  };
  if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);  // byte order mark
  if (const auto at = find_long_key(text)) {
    return broken(
        fmt::format("a key of more than {} names; write e.g. tcp under [ports]", kPolicyDottedMax),
        place_at(text, *at, file));
  }
  toml::parse_result parsed = toml::parse(text);
  if (!parsed) return broken(describe(parsed.error()), place_of(parsed.error(), file));
  return std::move(parsed).table();
}

std::string_view type_name(const toml::node& node) {
  switch (node.type()) {
    case toml::node_type::table:
      return "a table";
    case toml::node_type::array:
      return "an array";
    case toml::node_type::string:
      return "a string";
    case toml::node_type::integer:
      return "an integer";
    case toml::node_type::floating_point:
      return "a number with a fraction";
    case toml::node_type::boolean:
      return "true or false";
    case toml::node_type::date:
      return "a date";
    case toml::node_type::time:
      return "a time of day";
    case toml::node_type::date_time:
      return "a date and time";
    case toml::node_type::none:
      break;
  }
  return "nothing";
}

}  // namespace fw
