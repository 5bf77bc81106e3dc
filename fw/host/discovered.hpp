// The apps that were last discovered: kept in the state folder, so that they stay in force while
// the engine does not answer.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstddef>
#include <optional>
#include <string>

#include "fw/inventory/inventory.hpp"

namespace fw {

/// The inventory of a state folder; its file is read again when it is another one.
class KeptInventory {
 public:
  explicit KeptInventory(std::string state_dir) : state_dir_(std::move(state_dir)) {}

  /// With what was taken in. Null when none was remembered, or what was is damaged; valid until the
  /// next call.
  const Inventory* read();
  /// Is the file another than the one that was read or saved last?
  bool is_others() const;
  /// Takes in what the engine has now of a part of it. Not remembered yet. Returns what is another
  /// than before.
  InventoryChange take(const InventoryPart& part, Inventory now);
  /// Remembers what was taken since the last time; when it fails, the next one does all of it.
  Result<void> save();

 private:
  std::string state_dir_;
  std::string file_;       ///< which file that was, and how it was
  std::size_t lines_ = 0;  ///< of that file
  std::size_t bytes_ = 0;
  bool anew_ = true;  ///< the next save writes all of it
  InventoryChange unsaved_;
  std::optional<Inventory> inventory_;
};

/// Why the inventory may be out of date; "" when the engine answered last.
std::string read_engine_trouble(const std::string& state_dir);
/// Keeps the inventory, and notes why it may be out of date.
Result<void> remember_trouble(const std::string& state_dir, const std::string& why);

/// discover() with what is remembered; a policy that does not discover is left as it is.
Discovered with_remembered(Policy policy, KeptInventory& kept);

}  // namespace fw
