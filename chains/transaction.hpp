// What one commit does to the kernel, as a value: rules, and the elements of sets that lists,
// blocks and old flows fill. It prints as nft text.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "chains/diff.hpp"
#include "chains/ruleset.hpp"
#include "chains/text.hpp"
#include "fw/base/address.hpp"

namespace chains {

/// Takes the elements of a set one by one. Ascending order is cheapest for the kernel.
class ElementSink {
 public:
  /// `timeout` absent: the element stays. first == last in a set without intervals.
  virtual void put(fw::U128 first, fw::U128 last,
                   std::optional<std::chrono::milliseconds> timeout = std::nullopt) = 0;

 protected:
  ~ElementSink() = default;
};

/// All elements of a set go.
struct FlushSet {
  std::string set;
};

/// Elements that come or go. They can be millions, so they stay where they are: `each` hands them
/// out whenever it is called.
struct StreamElements {
  enum class Do : std::uint8_t { add, remove };
  Do what = Do::add;
  std::string set;
  Field key = Field::ip_saddr;  ///< or ip6_saddr, or ct_id
  bool interval = false;
  std::function<void(ElementSink&)> each;
};

/// A few elements come, each with its comment.
struct AddElements {
  Set set;  ///< its name and key, and the elements
};

/// What happens to the elements of one set of the table inet.
using SetUpdate = std::variant<FlushSet, StreamElements, AddElements>;

/// The plan, then the updates in their order, at once or not at all. The plan points into the
/// desired ruleset, which outlives it.
struct Transaction {
  std::uint32_t generation = 0;  ///< the kernel refuses it at another one
  Plan plan;
  std::vector<SetUpdate> updates;

  bool empty() const { return plan.empty() && updates.empty(); }
};

/// What `nft -f` takes to do the same, at any generation, in pieces to `write`.
void write_nft(const Transaction& transaction, const std::function<void(std::string_view)>& write);
std::string to_text(const Transaction& transaction);

/// The streamed elements that the updates add, for write_nft of a whole ruleset.
ManagedElements managed_elements(std::vector<SetUpdate> updates);

}  // namespace chains
