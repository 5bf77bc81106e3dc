// What a table of the policy file is made of: its keys, their readers and their descriptions.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstdint>
#include <functional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "fw/policy/policy.hpp"
#include "fw/policy/values.hpp"

namespace fw {

/// A key as a reader of docs/policy.md meets it; a test compares the two. Texts are Markdown.
struct KeyForm {
  std::string name;
  std::string type;      ///< "array of ports, at most 128"
  std::string fallback;  ///< the default, "`[]`"; or what holds when the key is left out
  std::string meaning;
  std::string example = {};  ///< "rate = \"5/10s\"", of a key that must be there
};

/// "array of ports, at most 4,096", "1 to 1,000,000": what a key takes, from the bound that its
/// reader is given.
std::string at_most(std::string_view type, std::uint64_t most);
std::string from_to(std::int64_t least, std::int64_t most);

/// What check() must not judge since it could not be read: it is taken at its widest there.
enum class Doubt : std::uint8_t { none, ports, networks };

/// A policy while its tables are read, with what is only known at the end.
struct Draft {
  /// An [[app]] or [[addon]] that names no address.
  struct Placeless {
    std::string_view header;
    std::string_view example;
    Location where;
  };

  Draft(const std::string& file, Policy on_top_of)
      : values(file), defaults(std::move(on_top_of)), policy(defaults) {
    policy.file = file;
  }
  void doubt(Doubt what);

  ValueReader values;
  const Policy defaults;
  Policy policy;
  std::vector<Limit> disabled_limits{};
  std::set<std::string> actionless_lists{};  ///< that leave it to how they are used
  std::vector<Placeless> placeless{};
  bool ports_doubtful = false;
  bool networks_doubtful = false;
};

struct Table;

/// One table of the file while it is read.
class Section {
 public:
  Section(Draft& draft, const Value& table, const Table& form, std::span<const Table> tables)
      : draft_(draft), table_(table), form_(form), tables_(tables) {}

  Draft& draft() { return draft_; }
  Location where() const;                      ///< of its header
  Location where(std::string_view key) const;  ///< of that key's value, which must be there
  bool has(std::string_view key) const;
  void error(std::string what);
  void error(std::string_view key, std::string what);

  /// Hands over each value with the place of its key in the table's keys, and reports the others.
  void each(const std::function<void(std::size_t key, const Value& value)>& read);
  /// Reports the keys with an example that are not there, but those that may be left out.
  void require(const std::function<bool(const KeyForm&)>& may_lack);

 private:
  Draft& draft_;
  const Value& table_;
  const Table& form_;
  std::span<const Table> tables_;  // all that there are
};

/// A key of a table that is read into a T.
template <class T>
struct Key : KeyForm {
  std::function<void(ValueReader&, const Value&, T&)> read;
};

/// All keys of a table that is read into a T.
template <class T>
struct Keys {
  std::vector<Key<T>> all;

  void read(Section& section, T& out,
            const std::function<bool(const KeyForm&)>& may_lack = {}) const {
    section.each([&](std::size_t key, const Value& value) {
      all[key].read(section.draft().values, value, out);
    });
    section.require(may_lack);
  }
};

/// A table that a policy may hold.
struct Table {
  std::string_view name;
  std::string_view defines;  ///< for the list of tables in docs/policy.md
  /// How many there may be as [[name]], one for each thing; 0: it is there once, as [name].
  std::size_t max = 0;
  std::string_view max_note = {};    ///< ", the defaults included"
  Doubt doubt = Doubt::none;         ///< when there is a problem in it
  void (*finish)(Draft&) = nullptr;  ///< called once, when all tables are read
  std::vector<KeyForm> keys = {};    ///< these two by with_keys
  std::function<void(Section&)> read = {};

  bool repeats() const { return max != 0; }
  std::string header() const;  ///< "[ports]", "[[app]]"
};

/// A table and its keys, which `read` reads; it reports what shows only when all are seen.
template <class T>
Table with_keys(Table table, std::vector<Key<T>> keys,
                std::function<void(Section&, const Keys<T>&)> read) {
  for (const Key<T>& key : keys) table.keys.push_back(key);
  table.read = [all = Keys<T>{std::move(keys)}, read = std::move(read)](Section& section) {
    read(section, all);
  };
  return table;
}

/// The same of a table whose keys go into the policy, and that is all.
inline Table with_keys(Table table, std::vector<Key<Policy>> keys) {
  return with_keys<Policy>(
      std::move(table), std::move(keys),
      [](Section& section, const Keys<Policy>& all) { all.read(section, section.draft().policy); });
}

/// A key whose value is a whole number.
template <class T, class Of, class Number>
Key<T> number_key(std::string name, Number Of::*member, std::int64_t least, std::int64_t most,
                  std::string fallback, std::string meaning) {
  return {{std::move(name), from_to(least, most), std::move(fallback), std::move(meaning)},
          [=](ValueReader& in, const Value& value, T& out) {
            if (const auto number = in.number(value, least, most))
              out.*member = static_cast<Number>(*number);
          }};
}

}  // namespace fw
