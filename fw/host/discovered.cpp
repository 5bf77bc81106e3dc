// The apps that were last discovered.
#include "fw/host/discovered.hpp"

#include <fmt/format.h>
#include <sys/stat.h>

#include "fw/base/limits.hpp"
#include "fw/host/state_file.hpp"
#include "fw/host/surroundings.hpp"
#include "fw/inventory/docker.hpp"

namespace fw {
namespace {

constexpr const char* kInventory = "inventory.json";
constexpr const char* kTrouble = "inventory.trouble";
constexpr std::size_t kTroubleMax = 4096;

/// Tells one file from the next, which is always a new one (see write_state_file); "": there is
/// none.
std::string identity_of_file(const std::string& state_dir) {
  struct ::stat status {};
  if (::stat((state_dir + "/" + kInventory).c_str(), &status) != 0) return {};
  return fmt::format("{} {} {} {} {}", status.st_dev, status.st_ino, status.st_size,
                     status.st_ctim.tv_sec, status.st_ctim.tv_nsec);
}

}  // namespace

std::optional<Remembered> read_remembered(const std::string& state_dir) {
  KeptInventory kept(state_dir);
  const Inventory* const inventory = kept.read();
  if (inventory == nullptr) return {};
  return Remembered{*inventory, read_state_file(state_dir, kTrouble, kTroubleMax).value_or("")};
}

const Inventory* KeptInventory::read() {
  const std::string file = identity_of_file(state_dir_);
  if (file.empty()) return nullptr;
  if (file != file_) {
    inventory_.reset();
    file_ = file;
    if (const auto text = read_state_file(state_dir_, kInventory, kInventoryBytesMax)) {
      if (auto inventory = read_inventory(*text)) inventory_ = std::move(*inventory);
    }
  }
  return inventory_ ? &*inventory_ : nullptr;
}

Result<bool> KeptInventory::remember(const Inventory& inventory) {
  const Inventory* const before = read();
  Inventory now = before != nullptr ? carry_over(inventory, *before, wall_seconds()) : inventory;
  const bool changed = before == nullptr || now != *before;
  if (changed) {
    if (const auto done = write_state_file(state_dir_, kInventory, to_text(now)); !done) {
      return std::unexpected(done.error());
    }
    file_ = identity_of_file(state_dir_);
    inventory_ = std::move(now);
  }
  if (const auto done = remove_state_file(state_dir_, kTrouble); !done) {
    return std::unexpected(done.error());
  }
  return changed;
}

Result<void> remember_trouble(const std::string& state_dir, const std::string& why) {
  const std::string text = why.substr(0, kTroubleMax);
  if (read_state_file(state_dir, kTrouble, kTroubleMax) == text) return {};
  return write_state_file(state_dir, kTrouble, text);
}

Discovered with_remembered(Policy policy, KeptInventory& kept) {
  if (policy.discovery.from == Discover::none) return {std::move(policy), {}};
  const Inventory* const inventory = kept.read();
  return discover(std::move(policy), inventory != nullptr ? *inventory : Inventory{});
}

}  // namespace fw
