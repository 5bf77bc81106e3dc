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

/// Remembers it, and the containers that went lately beside; true when it is another than before.
Result<bool> remember(const std::string& state_dir, const Inventory& inventory);
/// Keeps the inventory, and notes why it may be out of date.
Result<void> remember_trouble(const std::string& state_dir, const std::string& why);

/// discover() with what is remembered; a policy that does not discover is left as it is.
Discovered with_remembered(Policy policy, const std::string& state_dir);

}  // namespace fw
