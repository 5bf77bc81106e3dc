// The apps that were last discovered.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/host/discovered.hpp"

#include <algorithm>

#include "fw/base/limits.hpp"
#include "fw/host/host_facts.hpp"
#include "fw/host/state_file.hpp"
#include "fw/inventory/docker.hpp"

namespace fw {
namespace {

constexpr const char* kInventory = "inventory";
constexpr const char* kTrouble = "inventory.trouble";
constexpr std::size_t kTroubleMax = 4096;

}  // namespace

const Inventory* KeptInventory::read() {
  if (std::string file = identity_of_state_file(state_dir_, kInventory); file != file_) {
    inventory_.reset();
    unsaved_ = {};
    anew_ = true;
    file_ = std::move(file);
    const auto text = read_state_file(state_dir_, kInventory, kInventoryBytesMax);
    auto kept = text ? read_inventory(*text) : Result<KeptText>(std::unexpect);
    if (kept) {
      inventory_ = std::move(kept->inventory);
      lines_ = kept->lines;
      bytes_ = text->size();
      anew_ = !kept->whole;
    }
  }
  return inventory_ ? &*inventory_ : nullptr;
}

bool KeptInventory::is_others() const {
  return identity_of_state_file(state_dir_, kInventory) != file_;
}

InventoryChange KeptInventory::take(const InventoryPart& part, Inventory now) {
  const bool first = read() == nullptr;
  if (first) {
    inventory_.emplace();
    anew_ = true;
  }
  InventoryChange change = update(*inventory_, part, std::move(now), wall_seconds());
  change.others = change.others || first;
  unsaved_.add(change);
  return change;
}

Result<void> KeptInventory::save() {
  if (const auto done = remove_state_file(state_dir_, kTrouble); !done) return done;
  if (!inventory_ || (unsaved_.empty() && !anew_)) return {};
  std::string text = to_text(*inventory_, unsaved_);
  // Half of the file at most is out of date.
  const bool anew = anew_ || unsaved_.forgotten || is_others() ||
                    lines_ + unsaved_.containers.size() > 2 * inventory_->containers.size() + 64 ||
                    bytes_ + text.size() > kInventoryBytesMax;
  anew_ = true;  // unless it comes to its end
  if (anew) text = to_text(*inventory_);
  const auto done = anew ? write_state_file(state_dir_, kInventory, text)
                         : append_state_file(state_dir_, kInventory, text);
  if (!done) return done;
  anew_ = false;
  unsaved_ = {};
  lines_ = (anew ? 0 : lines_) + static_cast<std::size_t>(std::ranges::count(text, '\n'));
  bytes_ = (anew ? 0 : bytes_) + text.size();
  file_ = identity_of_state_file(state_dir_, kInventory);
  return {};
}

std::string read_engine_trouble(const std::string& state_dir) {
  return read_state_file(state_dir, kTrouble, kTroubleMax).value_or("");
}

Result<void> remember_trouble(const std::string& state_dir, const std::string& why) {
  const std::string text = why.substr(0, kTroubleMax);
  if (read_state_file(state_dir, kTrouble, kTroubleMax) == text) return {};
  return write_state_file(state_dir, kTrouble, text);
}

Discovered with_remembered(Policy policy, KeptInventory& kept) {
  if (policy.discovery.from == Discover::none) return {std::move(policy), {}, false};
  const Inventory* const inventory = kept.read();
  return discover(std::move(policy), inventory != nullptr ? *inventory : Inventory{});
}

}  // namespace fw
