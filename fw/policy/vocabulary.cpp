// What to say of a table or key that nobody knows: the nearest one, or the place of its own.
#include "fw/policy/vocabulary.hpp"

#include <algorithm>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "fw/base/suggest.hpp"

namespace fw {
namespace {

/// Where a key belongs that was found in another table; "" when it has no one place.
std::string_view home_of(std::string_view key) {
  constexpr std::array<std::pair<std::string_view, std::string_view>, 23> kHomes{{
      {"tcp", "[ports]"},
      {"udp", "[ports]"},
      {"protocols", "[[open]]"},
      {"interfaces", "[[open]]"},
      {"bridges", "[guests]"},
      {"networks", "[trusted]"},
      {"network", "[apps]"},
      {"routed", "[apps]"},
      {"rate", "[[limit]]"},
      {"burst", "[[limit]]"},
      {"concurrent", "[[limit]]"},
      {"action", "[[list]]"},
      {"publishes", "[[app]]"},
      {"addons", "[[app]]"},
      {"after", "[[offender]]"},
      {"closed_ports", "[[offender]]"},
      {"limits", "[[offender]]"},
      {"keep", "[activity]"},
      {"size", "[activity]"},
      {"listen", "[metrics]"},
      {"ct_label_bit", "[advanced]"},
      {"nflog_group", "[advanced]"},
      {"translated", "[advanced]"},
  }};
  for (const auto& [name, home] : kHomes) {
    if (name == key) return home;
  }
  return {};
}

}  // namespace

std::string TableForm::header() const {
  return repeats ? fmt::format("[[{}]]", name) : fmt::format("[{}]", name);
}

std::string unknown_key(std::string_view key, std::string_view header,
                        std::span<const std::string_view> known) {
  const std::string_view home = home_of(key);
  const std::string_view guess = nearest(key, known);
  std::string remedy;
  if (!guess.empty())
    remedy = fmt::format("did you mean {}?", quote(guess));
  else if (!home.empty())
    remedy = fmt::format("it belongs in {}", home);
  else
    remedy = fmt::format("known are {}", fmt::join(known, ", "));
  return fmt::format("unknown key {} in {}; {}", quote(key), header, remedy);
}

std::string unknown_table(std::string_view key, bool is_table) {
  std::vector<std::string_view> names;
  std::string headers;
  for (const TableForm& form : kTables) {
    names.push_back(form.name);
    headers += (headers.empty() ? "" : ", ") + form.header();
  }
  const std::string_view guess = nearest(key, names);
  const auto form = std::ranges::find(kTables, guess, &TableForm::name);
  std::string remedy = "known are " + headers;
  if (form != kTables.end())
    remedy = fmt::format("did you mean {}?", form->header());
  else if (const auto home = home_of(key); !home.empty() && !is_table)
    remedy = fmt::format("it belongs in {}", home);
  return fmt::format("unknown {} {}; {}", is_table ? "table" : "key", quote(key), remedy);
}

}  // namespace fw
