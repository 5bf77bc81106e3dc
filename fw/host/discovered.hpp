// The apps that were last discovered: kept in the state folder, so that they stay in force while
// the engine does not answer.
#pragma once

#include <optional>
#include <string>

#include "fw/inventory/inventory.hpp"

namespace fw {

struct Remembered {
  Inventory inventory;
  std::string trouble;  ///< why it may be out of date; "" when the engine answered last
};

/// Nothing when none was remembered, or what was is damaged.
std::optional<Remembered> read_remembered(const std::string& state_dir);

/// The inventory of a state folder; its file is read again when it is another one.
class KeptInventory {
 public:
  explicit KeptInventory(std::string state_dir) : state_dir_(std::move(state_dir)) {}

  /// Null when none was remembered, or what was is damaged; valid until the next call.
  const Inventory* read();
  /// Remembers it, and the containers that went lately beside; true when it is another than before.
  Result<bool> remember(const Inventory& inventory);

 private:
  std::string state_dir_;
  std::string file_;  ///< which file that was, and how it was
  std::optional<Inventory> inventory_;
};

/// Keeps the inventory, and notes why it may be out of date.
Result<void> remember_trouble(const std::string& state_dir, const std::string& why);

/// discover() with what is remembered; a policy that does not discover is left as it is.
Discovered with_remembered(Policy policy, KeptInventory& kept);

}  // namespace fw
