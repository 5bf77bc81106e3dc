// The apps that were last discovered.
#include "fw/host/discovered.hpp"

#include "fw/base/limits.hpp"
#include "fw/host/state_file.hpp"
#include "fw/inventory/docker.hpp"

namespace fw {
namespace {

constexpr const char* kInventory = "inventory.json";
constexpr const char* kTrouble = "inventory.trouble";
constexpr std::size_t kTroubleMax = 4096;

std::optional<Inventory> read_inventory_file(const std::string& state_dir) {
  const auto text = read_state_file(state_dir, kInventory, kInventoryBytesMax);
  if (!text) return {};
  auto inventory = read_inventory(*text);
  if (!inventory) return {};
  return std::move(*inventory);
}

/// When a container was seen is no difference.
bool same(Inventory a, Inventory b) {
  for (Inventory* each : {&a, &b}) {
    for (Container& container : each->containers) container.seen = 0;
  }
  return a == b;
}

}  // namespace

std::optional<Remembered> read_remembered(const std::string& state_dir) {
  auto inventory = read_inventory_file(state_dir);
  if (!inventory) return {};
  return Remembered{std::move(*inventory),
                    read_state_file(state_dir, kTrouble, kTroubleMax).value_or("")};
}

Result<bool> remember(const std::string& state_dir, const Inventory& inventory) {
  const auto before = read_inventory_file(state_dir);
  const Inventory now = before ? carry_over(inventory, *before) : inventory;
  const bool changed = !before || !same(now, *before);
  if (changed) {
    if (const auto done = write_state_file(state_dir, kInventory, to_text(now)); !done) {
      return std::unexpected(done.error());
    }
  }
  if (const auto done = remove_state_file(state_dir, kTrouble); !done) {
    return std::unexpected(done.error());
  }
  return changed;
}

Result<void> remember_trouble(const std::string& state_dir, const std::string& why) {
  const std::string text = why.substr(0, kTroubleMax);
  if (read_state_file(state_dir, kTrouble, kTroubleMax) == text) return {};
  return write_state_file(state_dir, kTrouble, text);
}

Discovered with_remembered(Policy policy, const std::string& state_dir) {
  if (policy.discovery.from == Discover::none) return {std::move(policy), {}};
  const auto remembered = read_remembered(state_dir);
  return discover(std::move(policy), remembered ? remembered->inventory : Inventory{});
}

}  // namespace fw
