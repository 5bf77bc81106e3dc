// A whole table as plain values: what the compiler makes, what the kernel is read into, what is
// compared and printed.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "chains/expr.hpp"
#include "fw/base/result.hpp"

namespace chains {

inline constexpr const char* kTable = "cloudron";
inline constexpr const char* kStandInTable = "cloudron_stand_in";
/// Names of what is in our tables are never the same.
enum class Table : std::uint8_t {
  inet,
  bridge,    ///< frames between the ports of bridges; there only while apps are kept apart
  stand_in,  ///< the daemon's, for a while after another program removed the others:
             ///< compile_stand_in.hpp
};
constexpr const char* nft_name(Table table) {
  return table == Table::stand_in ? kStandInTable : kTable;
}
/// "table inet cloudron"
std::string name_of(Table table);
/// Objects in our table whose names begin so belong to the admin: never compared, never touched.
inline constexpr const char* kAdminPrefix = "admin_";

struct Rule {
  std::string id;      ///< stable name of the rule; nft shows it as the rule's comment
  fw::Location where;  ///< the policy line that asked for it (file empty: built in)
  std::vector<Expr> exprs;

  /// A rule that only moved in the policy file is the same rule.
  bool operator==(const Rule& o) const { return id == o.id && exprs == o.exprs; }
};

enum class Hook : std::uint8_t { ingress, prerouting, input, forward, output, postrouting };

struct BaseHook {
  Hook hook{};
  std::int32_t priority = 0;
  VerdictKind policy = VerdictKind::accept;
  std::vector<std::string> devices;  ///< of an ingress hook, sorted

  bool operator==(const BaseHook&) const = default;
};

struct Chain {
  std::string name;
  std::optional<BaseHook> base;
  std::vector<Rule> rules;
  bool admin = false;  ///< made once if absent; its rules are the admin's
  Table table = Table::inet;

  bool operator==(const Chain&) const = default;
};

/// What an element of a map leads to: nothing, a verdict, or the name of an object.
using ElementData = std::variant<std::monostate, Verdict, std::string>;

struct Element {
  Bytes key;
  Bytes key_last;  ///< of an interval set: the last value, included; else empty
  ElementData data;
  std::string comment;
  fw::Location where;  ///< the policy line that asked for it

  /// An element that only moved in the policy file is the same element.
  bool operator==(const Element& o) const {
    return key == o.key && key_last == o.key_last && data == o.data && comment == o.comment;
  }
};

enum class Content : std::uint8_t {
  declared,  ///< the elements are part of the value
  learned,   ///< packets add them; left alone
  managed,   ///< lists and blocks: too many to compare, their version stands in the manifest
};

/// A set without its elements.
struct SetDefinition {
  std::string name;
  std::vector<Field> key;
  std::variant<std::monostate, Verdict, ObjectKind> data;  ///< a map's kind (Verdict: any verdict)
  Content content = Content::declared;
  bool interval = false;
  bool dynamic = false;
  bool timeout = false;
  bool counter = false;    ///< every element counts packets
  std::uint32_t size = 0;  ///< 0: unbounded
  std::chrono::milliseconds timeout_default{0};
  std::chrono::milliseconds gc_interval{0};
  std::string comment;  ///< for the reader; with another it is another set
  fw::Location where;
  Table table = Table::inet;

  bool is_map() const { return !std::holds_alternative<std::monostate>(data); }
};

struct Set : SetDefinition {
  Set() = default;
  explicit Set(SetDefinition definition) : SetDefinition(std::move(definition)) {}

  std::vector<Element> elements;  ///< sorted by key
};

/// Same kind of set, wherever it was asked for?
bool same_definition(const SetDefinition& a, const SetDefinition& b);

struct Object {
  std::string name;
  std::optional<RateLimit> limit;  ///< absent: a counter
  std::string comment;             ///< none of ours has one: with one it is another object
  fw::Location where;
  Table table = Table::inet;

  bool operator==(const Object& o) const {
    return name == o.name && limit == o.limit && comment == o.comment && table == o.table;
  }
};

struct Ruleset {
  bool dormant = false;  ///< another program switched the table inet off: never compiled, observed
  bool bridge = false;   ///< there is a table of the family bridge
  bool bridge_dormant = false;  ///< and that is off
  std::vector<Object> objects;
  std::vector<Set> sets;
  std::vector<Chain> chains;
};

/// Names of the sets and objects that an expression uses, and of the chain it leads to.
struct Uses {
  std::string set;
  std::string object;
  std::string chain;
};
Uses uses(const Expr& expr);

template <class T>
const T* find(const std::vector<T>& values, const std::string& name) {
  for (const T& value : values) {
    if (value.name == name) return &value;
  }
  return nullptr;
}

}  // namespace chains
