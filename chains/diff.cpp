// The difference between the kernel's rules and a ruleset.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "chains/diff.hpp"

#include <algorithm>
#include <iterator>
#include <set>
#include <string_view>
#include <unordered_map>

#include "chains/compile.hpp"
#include "chains/text.hpp"

namespace chains {
namespace {

const Ruleset kEmptyRuleset;

/// The one of that name in the same table.
template <class T>
const T* find_like(const std::vector<T>& values, const T& like) {
  for (const T& value : values) {
    if (value.name == like.name && value.table == like.table) return &value;
  }
  return nullptr;
}

/// Names of observed things that cannot stay as they are.
class StaleNames {
 public:
  template <class T>
  void insert(const T& thing) {
    names_.emplace(thing.table, thing.name);
  }
  bool contain(Table table, const std::string& name) const {
    return names_.contains({table, name});
  }
  template <class T>
  bool contain(const T& thing) const {
    return contain(thing.table, thing.name);
  }
  std::vector<Named> all() const {
    std::vector<Named> out;
    for (const auto& [table, name] : names_) out.push_back({name, table});
    return out;
  }

 private:
  std::set<std::pair<Table, std::string>> names_;
};

struct Stale {
  StaleNames sets;
  StaleNames objects;
};

/// Objects by name: each app has some of its own, so there are thousands.
class Objects {
 public:
  explicit Objects(const std::vector<Object>& objects) {
    by_name_.reserve(objects.size());
    for (const Object& object : objects) by_name_.emplace(object.name, &object);
  }
  const Object* find(const Object& like) const {
    const auto [first, last] = by_name_.equal_range(like.name);
    for (auto it = first; it != last; ++it) {
      if (it->second->table == like.table) return it->second;
    }
    return nullptr;
  }

 private:
  std::unordered_multimap<std::string_view, const Object*> by_name_;
};

Stale stale(const Ruleset& observed, const Ruleset& desired, Unused unused) {
  const bool keep = unused == Unused::keep;
  Stale out;
  for (const Set& set : observed.sets) {
    const Set* wanted = find_like(desired.sets, set);
    const bool stays =
        wanted != nullptr ? same_definition(set, *wanted) : keep && set.content == Content::learned;
    if (!stays) out.sets.insert(set);
  }
  const Objects wanted_objects(desired.objects);
  for (const Object& object : observed.objects) {
    const Object* wanted = wanted_objects.find(object);
    const bool stays = wanted != nullptr ? object == *wanted : keep;
    if (!stays) out.objects.insert(object);
  }
  return out;
}

bool uses_stale(const Chain& chain, const Stale& stale) {
  for (const Rule& rule : chain.rules) {
    for (const Expr& expr : rule.exprs) {
      const Uses used = uses(expr);
      if (stale.sets.contain(chain.table, used.set) ||
          stale.objects.contain(chain.table, used.object)) {
        return true;
      }
    }
  }
  return false;
}

/// Elements of `from` that `other` does not have alike. Both sorted by key.
std::vector<Element> missing_in(const std::vector<Element>& from,
                                const std::vector<Element>& other) {
  std::vector<Element> out;
  auto it = other.begin();
  for (const Element& element : from) {
    while (it != other.end() && it->key < element.key) ++it;
    if (it == other.end() || !(*it == element)) out.push_back(element);
  }
  return out;
}

void diff_elements(const Set& have, const Set& want, const Stale& stale, Plan& plan) {
  std::vector<Element> remove = missing_in(have.elements, want.elements);
  std::vector<Element> add = missing_in(want.elements, have.elements);
  // An element that holds an object that is recreated must let go of the old one.
  for (const Element& element : have.elements) {
    const auto* object = std::get_if<std::string>(&element.data);
    if (object == nullptr || !stale.objects.contain(want.table, *object)) continue;
    const auto same = [&](const Element& e) { return e.key == element.key; };
    if (std::any_of(remove.begin(), remove.end(), same)) continue;
    remove.push_back(element);
    add.push_back(element);
  }
  auto change = [&want](std::vector<Element> elements) {
    ElementChange out{Set(static_cast<const SetDefinition&>(want))};
    out.set.elements = std::move(elements);
    return out;
  };
  if (!remove.empty()) plan.remove_elements.push_back(change(std::move(remove)));
  if (!add.empty()) plan.add_elements.push_back(change(std::move(add)));
}

void diff_chains(const Ruleset& have, const Ruleset& want, const Stale& stale, Plan& plan) {
  for (const Chain& chain : have.chains) {
    if (find_like(want.chains, chain) != nullptr) continue;
    plan.clear_chains.push_back({chain.name, chain.table});
    plan.remove_chains.push_back({chain.name, chain.table});
  }
  for (const Chain& chain : want.chains) {
    const Chain* old = find_like(have.chains, chain);
    const bool remake = old != nullptr && old->base != chain.base;
    if (old == nullptr || remake)
      plan.add_chains.push_back({chain.name, chain.base, {}, chain.admin, chain.table});
    if (remake) plan.remove_chains.push_back({chain.name, chain.table});
    if (chain.admin) continue;
    const bool dirty =
        old == nullptr || remake || old->rules != chain.rules || uses_stale(*old, stale);
    if (!dirty) continue;
    if (old != nullptr) plan.clear_chains.push_back({chain.name, chain.table});
    if (!chain.rules.empty()) plan.fill_chains.push_back(&chain);
  }
}

/// Lines of a difference; what is beyond the most that are asked for is only counted.
class Lines {
 public:
  explicit Lines(std::size_t most) : most_(most) {}

  template <class Make>
  void add(const Make& make) {
    if (out_.lines.size() < most_) out_.lines.push_back(make());
    ++out_.all;
  }
  Description take() { return std::move(out_); }

 private:
  std::size_t most_;
  Description out_;
};

/// Rules that only one side has, in order, by longest common subsequence (chains are short).
void describe_rules(const Chain& have, const Chain& want, Lines& lines) {
  const auto& a = have.rules;
  const auto& b = want.rules;
  std::vector<std::vector<std::uint32_t>> common(a.size() + 1,
                                                 std::vector<std::uint32_t>(b.size() + 1));
  for (std::size_t i = a.size(); i-- > 0;) {
    for (std::size_t j = b.size(); j-- > 0;) {
      common[i][j] =
          a[i] == b[j] ? common[i + 1][j + 1] + 1 : std::max(common[i + 1][j], common[i][j + 1]);
    }
  }
  const std::string place = "chain " + want.name;
  auto line = [&](char sign, const Rule& rule) {
    lines.add([&] { return DiffLine{sign, place, to_text(rule), rule.id, rule.where}; });
  };
  std::size_t i = 0;
  std::size_t j = 0;
  while (i < a.size() || j < b.size()) {
    if (i < a.size() && j < b.size() && a[i] == b[j]) {
      ++i, ++j;
    } else if (j == b.size() || (i < a.size() && common[i + 1][j] >= common[i][j + 1])) {
      line('-', a[i++]);
    } else {
      line('+', b[j++]);
    }
  }
}

void describe_sets(const Ruleset& have, const Ruleset& want, const Stale& stale, Lines& lines) {
  auto place = [](const Set& set) { return (set.is_map() ? "map " : "set ") + set.name; };
  auto elements = [&](char sign, const Set& set, const std::vector<Element>& list) {
    for (const Element& e : list) {
      lines.add([&] { return DiffLine{sign, place(set), to_text(set, e), {}, e.where}; });
    }
  };
  auto whole = [&](char sign, const Set& set) {
    lines.add([&] { return DiffLine{sign, place(set), to_text(set), {}, set.where}; });
  };
  for (const Set& set : have.sets) {
    if (set.name == kManifest) continue;  // what it says of lists is shown by their own lines
    if (stale.sets.contain(set)) whole('-', set);
  }
  for (const Set& set : want.sets) {
    if (set.name == kManifest) continue;
    const Set* old = find_like(have.sets, set);
    if (old == nullptr || stale.sets.contain(set)) {
      whole('+', set);
      elements('+', set, set.elements);
    } else if (set.content == Content::declared) {
      elements('-', set, missing_in(old->elements, set.elements));
      elements('+', set, missing_in(set.elements, old->elements));
    }
  }
}

}  // namespace

bool Plan::empty() const {
  return !make_table && !wake_table && !make_bridge && !remove_bridge && clear_chains.empty() &&
         remove_elements.empty() && remove_sets.empty() && remove_chains.empty() &&
         remove_objects.empty() && add_objects.empty() && add_chains.empty() && add_sets.empty() &&
         add_elements.empty() && fill_chains.empty();
}

bool Plan::makes_set(const std::string& name) const {
  return std::ranges::any_of(add_sets, [&name](const Set* set) { return set->name == name; });
}

Plan diff(const Ruleset* observed, const Ruleset& desired, Unused unused) {
  const Ruleset& have = observed != nullptr ? *observed : kEmptyRuleset;
  const Stale old = stale(have, desired, unused);
  Plan plan;
  plan.make_table = observed == nullptr;
  plan.wake_table = have.dormant || have.bridge_dormant;
  plan.wants_bridge = desired.bridge;
  plan.make_bridge = desired.bridge && !have.bridge;
  plan.remove_bridge = have.bridge && !desired.bridge;
  plan.remove_sets = old.sets.all();
  for (const Object& object : have.objects) {
    if (old.objects.contain(object)) plan.remove_objects.push_back(object);
  }
  const Objects present_objects(have.objects);
  for (const Object& object : desired.objects) {
    if (present_objects.find(object) == nullptr || old.objects.contain(object)) {
      plan.add_objects.push_back(&object);
    }
  }
  for (const Set& set : desired.sets) {
    const Set* present = find_like(have.sets, set);
    if (present == nullptr || old.sets.contain(set)) {
      plan.add_sets.push_back(&set);
    } else if (set.content == Content::declared) {
      diff_elements(*present, set, old, plan);
    }
  }
  diff_chains(have, desired, old, plan);
  return plan;
}

Description describe(const Ruleset* observed, const Ruleset& desired, Unused unused,
                     std::size_t most) {
  const Ruleset& have = observed != nullptr ? *observed : kEmptyRuleset;
  const Stale old = stale(have, desired, unused);
  Lines lines(most);
  auto line = [&lines](char sign, const std::string& place, const std::string& text) {
    lines.add([&] { return DiffLine{sign, place, text, {}, {}}; });
  };
  if (have.dormant) line('-', name_of(Table::inet), "flags dormant");
  if (have.bridge_dormant) line('-', name_of(Table::bridge), "flags dormant");
  if (have.bridge && !desired.bridge) line('-', name_of(Table::bridge), "");
  if (desired.bridge && !have.bridge) line('+', name_of(Table::bridge), "");
  auto object_line = [&lines](char sign, const Object& object) {
    lines.add([&] {
      return DiffLine{sign, object.limit ? "limit" : "counter", to_text(object), {}, object.where};
    });
  };
  for (const Object& object : have.objects) {
    if (old.objects.contain(object)) object_line('-', object);
  }
  const Objects present_objects(have.objects);
  for (const Object& object : desired.objects) {
    if (present_objects.find(object) == nullptr || old.objects.contain(object)) {
      object_line('+', object);
    }
  }
  describe_sets(have, desired, old, lines);
  for (const Chain& chain : have.chains) {
    if (find_like(desired.chains, chain) != nullptr) continue;
    line('-', "chain " + chain.name, chain.base ? to_text(*chain.base) : "(not of the policy)");
    describe_rules(chain, {chain.name, {}, {}, false, chain.table}, lines);
  }
  for (const Chain& chain : desired.chains) {
    const Chain* present = find_like(have.chains, chain);
    if (chain.base && (present == nullptr || present->base != chain.base)) {
      if (present != nullptr && present->base) {
        line('-', "chain " + chain.name, to_text(*present->base));
      }
      line('+', "chain " + chain.name, to_text(*chain.base));
    }
    if (chain.admin) {
      if (present == nullptr) {
        line('+', "chain " + chain.name, "(empty, for the admin's rules)");
      }
      continue;
    }
    describe_rules(present != nullptr ? *present : Chain{chain.name, {}, {}, false, chain.table},
                   chain, lines);
  }
  return lines.take();
}

}  // namespace chains
