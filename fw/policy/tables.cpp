// From a tree of TOML to a Policy: finds the table and the key that each node is.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/policy/tables.hpp"

#include <algorithm>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "fw/policy/toml.hpp"
#include "fw/policy/vocabulary.hpp"

namespace fw {
namespace {

const toml::table& toml_of(const Value& table) { return *table.node.as_table(); }

class PolicyReader {
 public:
  PolicyReader(const std::string& file, Contributions contributions, std::span<const Table> tables)
      : draft_(file, with_defaults(contributions)),
        contributions_(contributions),
        tables_(tables) {}

  Parsed read(const toml::table& root);

 private:
  void visit_root(const toml::key& key, const toml::node& node);
  void visit_tables(const toml::node& node, const Table& table);
  void visit_table(const toml::node& node, const Table& table);
  void error(const toml::node& node, std::string what) {
    draft_.values.error(place_of(node, draft_.values.file()), std::move(what));
  }
  Policy undoubted() const;

  Draft draft_;
  Contributions contributions_;
  std::span<const Table> tables_;
};

void PolicyReader::visit_root(const toml::key& key, const toml::node& node) {
  const auto table = std::ranges::find(tables_, key.str(), &Table::name);
  if (table == tables_.end()) {
    const bool is_table = node.is_table() || node.is_array_of_tables();
    return draft_.values.error(place_of(key, draft_.values.file()),
                               unknown_table(key.str(), is_table, tables_));
  }
  const std::size_t before = draft_.values.problem_count();
  if (table->repeats())
    visit_tables(node, *table);
  else if (node.is_table())
    visit_table(node, *table);
  else
    error(node, fmt::format("{} can appear only once, as a table: write {}", table->name,
                            table->header()));
  if (draft_.values.problem_count() != before) draft_.doubt(table->doubt);
}

void PolicyReader::visit_table(const toml::node& node, const Table& table) {
  const Value value{node, table.name};
  Section section(draft_, value, table, tables_);
  table.read(section);
}

void PolicyReader::visit_tables(const toml::node& node, const Table& table) {
  const toml::array* all = node.as_array();
  if (all == nullptr) {
    return error(node, fmt::format("{} can appear several times: write {} with two brackets "
                                   "on each side",
                                   table.name, table.header()));
  }
  for (std::size_t i = 0; i < all->size(); ++i) {
    const toml::node& each = (*all)[i];
    if (i == table.max) {
      return error(each, fmt::format("there are at most {} {} tables; leave out the rest",
                                     table.max, table.header()));
    }
    if (each.is_table())
      visit_table(each, table);
    else
      error(each, fmt::format("each {} must be a table: write {}, not {}", table.name,
                              table.header(), type_name(each)));
  }
}

/// The policy with what could not be read taken at its widest, so that check() reports nothing on
/// its account.
Policy PolicyReader::undoubted() const {
  Policy policy = draft_.policy;
  if (draft_.ports_doubtful) {
    for (const Protocol protocol : {Protocol::tcp, Protocol::udp})
      policy.open_ports.push_back({{protocol, 1, 65'535}, {}});
  }
  if (draft_.networks_doubtful) {
    for (App& app : policy.apps) app.addresses.clear();
    for (Addon& addon : policy.addons) addon.addresses.clear();
  }
  return policy;
}

Parsed PolicyReader::read(const toml::table& root) {
  for (const auto& [key, node] : root) visit_root(key, node);
  for (const Table& table : tables_) {
    if (table.finish != nullptr) table.finish(draft_);
  }
  draft_.policy = contributed(std::move(draft_.policy), contributions_);
  const Policy judged = undoubted();
  for (auto& found : {check(judged, draft_.defaults), problems(judged, contributions_)}) {
    for (const Problem& problem : found)
      draft_.values.report(problem.severity, problem.where, problem.what);
  }
  return {std::move(draft_.policy), draft_.values.take_problems()};
}

}  // namespace

Location Section::where() const { return draft_.values.where(table_); }

Location Section::where(std::string_view key) const {
  return place_of(*toml_of(table_).get(key), draft_.values.file());
}

bool Section::has(std::string_view key) const { return toml_of(table_).contains(key); }

void Section::error(std::string what) { draft_.values.error(where(), std::move(what)); }

void Section::error(std::string_view key, std::string what) {
  draft_.values.error(where(key), std::move(what));
}

void Section::each(const std::function<void(std::size_t, const Value&)>& read) {
  for (const auto& [key, node] : toml_of(table_)) {
    const auto known = std::ranges::find(form_.keys, key.str(), &KeyForm::name);
    if (known == form_.keys.end()) {
      draft_.values.error(place_of(key, draft_.values.file()),
                          unknown_key(key.str(), form_, tables_));
      continue;
    }
    read(static_cast<std::size_t>(known - form_.keys.begin()), Value{node, key.str()});
  }
}

void Section::require(const std::function<bool(const KeyForm&)>& may_lack) {
  for (const KeyForm& key : form_.keys) {
    if (key.example.empty() || has(key.name) || (may_lack && may_lack(key))) continue;
    error(fmt::format("{} lacks {}; add e.g. {}", form_.header(), key.name, key.example));
  }
}

std::expected<Parsed, Problem> read_tables(std::string_view text, const std::string& file,
                                           Contributions contributions,
                                           std::span<const Table> tables) {
  const auto root = parse_toml(text, file);
  if (!root) return std::unexpected(root.error());
  return PolicyReader(file, contributions, tables).read(*root);
}

}  // namespace fw
