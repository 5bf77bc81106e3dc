// The difference between the kernel's rules and a ruleset.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <string>
#include <vector>

#include "chains/ruleset.hpp"

namespace chains {

struct ElementChange {
  Set set;  ///< the definition, with the elements to remove or add
};

/// What a step takes away: of a stranger's thing no more is known.
struct Named {
  std::string name;
  Table table = Table::inet;

  bool operator==(const Named&) const = default;
};

/// Steps in the order in which a transaction makes them. What a plan does not name is not touched:
/// counters, limiter state and timers live on. What it adds is part of the ruleset that is desired,
/// and lives as long as that.
struct Plan {
  bool make_table = false;
  bool wake_table = false;          ///< one of them is dormant
  bool wants_bridge = false;        ///< the ruleset has a table of the family bridge
  bool make_bridge = false;         ///< which is not there; leftovers are removed
  bool remove_bridge = false;       ///< there is one, and the ruleset has none
  std::vector<Named> clear_chains;  ///< lose their rules
  std::vector<ElementChange> remove_elements;
  std::vector<Named> remove_sets;
  std::vector<Named> remove_chains;
  std::vector<Object> remove_objects;
  std::vector<const Object*> add_objects;
  std::vector<Chain> add_chains;     ///< without rules
  std::vector<const Set*> add_sets;  ///< with elements; managed ones are empty
  std::vector<ElementChange> add_elements;
  std::vector<const Chain*> fill_chains;  ///< rules of new and cleared chains

  bool empty() const;
  bool makes_set(const std::string& name) const;
};

/// What becomes of limiter state and counters that the desired ruleset does not use. Kept, they
/// wait unreferenced for a ruleset that uses them again, and are no difference.
enum class Unused { remove, keep };

/// `observed` is null when the table is not there.
Plan diff(const Ruleset* observed, const Ruleset& desired, Unused unused = Unused::remove);
Plan diff(const Ruleset* observed, Ruleset&& desired, Unused unused = Unused::remove) = delete;

/// A line of the difference as an admin reads it.
struct DiffLine {
  char sign = '+';    ///< '+' or '-'
  std::string place;  ///< "chain CLOUDRON", "set open_tcp", "counter", "limit"
  std::string text;   ///< nft syntax
  std::string id;     ///< of a rule
  fw::Location where;

  bool operator==(const DiffLine&) const = default;
};

/// The first lines, and how many there are.
struct Description {
  std::vector<DiffLine> lines;
  std::size_t all = 0;

  bool empty() const { return all == 0; }
};
/// At most `most` lines: of a ruleset that is all new they are thousands, and few are looked at.
Description describe(const Ruleset* observed, const Ruleset& desired, Unused unused,
                     std::size_t most);

}  // namespace chains
