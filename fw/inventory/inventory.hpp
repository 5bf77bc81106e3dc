// Apps and addons as a container engine has them, and the policy that follows from them.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "fw/base/address.hpp"
#include "fw/base/port.hpp"
#include "fw/policy/parse.hpp"
#include "fw/policy/policy.hpp"

namespace fw {

/// The labels that are used; all others are left out of an Inventory.
inline constexpr const char* kAppLabel = "cloudron-fw.app";        ///< its name
inline constexpr const char* kAddonLabel = "cloudron-fw.addon";    ///< its name, and that it is one
inline constexpr const char* kAddonsLabel = "cloudron-fw.addons";  ///< names, by commas
inline constexpr const char* kOpenLabel = "cloudron-fw.open";      ///< ports: "29418, udp/3478"
inline constexpr const char* kProjectLabel = "com.docker.compose.project";
inline constexpr const char* kServiceLabel = "com.docker.compose.service";

/// By their names.
using Labels = std::map<std::string, std::string, std::less<>>;

/// A container as the engine has it. Its texts are a stranger's.
struct Container {
  std::string id;
  std::string name;
  std::string image;                 ///< its id
  Labels labels;                     ///< of those above
  std::vector<Ip> addresses;         ///< none while it does not run
  std::vector<PortRange> exposes;    ///< its own ports
  std::vector<PortRange> publishes;  ///< the host's ports that lead to it
  std::int64_t gone = 0;  ///< since when the engine does not have it, in seconds; 0: it has it

  bool operator==(const Container&) const = default;
};

/// A network of the LAN that containers are in as neighbours: their packets never pass the forward
/// hook.
struct LanNetwork {
  IpRange range;
  std::string driver;  ///< "macvlan" or "ipvlan"

  bool operator==(const LanNetwork&) const = default;
};

struct Inventory {
  std::vector<Container> containers;  ///< sorted by id
  std::vector<IpRange> networks;      ///< that the engine made for containers on this host
  std::vector<LanNetwork> lan;
  std::vector<std::string> left_out;  ///< what could not be taken, for the admin to read

  bool operator==(const Inventory&) const = default;
};

/// Of containers sorted by id, the one with that id; null when there is none.
template <class Containers>
auto find_container(Containers& containers, const std::string& id) -> decltype(containers.data()) {
  const auto it = std::ranges::lower_bound(containers, id, {}, &Container::id);
  return it != containers.end() && it->id == id ? &*it : nullptr;
}

/// The name of the app that a container is: its label, else its compose project and service, else
/// its own name; made short and different from others' where that is no name of the policy.
std::string identity(const Container& container);

/// The part of an engine's inventory that is news.
struct InventoryPart {
  bool everything = false;
  bool networks = false;
  std::set<std::string> containers{};  ///< by their ids
};

struct InventoryChange {
  bool others = false;     ///< networks, or what was left out
  bool forgotten = false;  ///< containers that went long ago
  /// Others, by their ids: what was known of them.
  std::map<std::string, std::optional<Container>> containers{};

  bool empty() const { return !others && !forgotten && containers.empty(); }
  /// And what changed after it.
  void add(InventoryChange more);
};

/// Puts into `all` what the engine has `now` of a part of it. Containers that it does not have any
/// more stay for kGoneKeep without their addresses: what a limit has counted outlives the moment
/// between two containers of one app. `clock` is the wall clock in seconds.
InventoryChange update(Inventory& all, const InventoryPart& part, Inventory now,
                       std::int64_t clock);

/// The policy with what is discovered put in: the engine's networks, and apps and addons with the
/// addresses of their containers. What a table of the policy says of one of them goes first.
/// Unchanged unless the policy asks for discovery. The problems are warnings; each tells what was
/// not done.
struct Discovered {
  Policy policy;
  std::vector<Problem> problems;
  bool contested = false;  ///< two apps or addons claim one address
};
Discovered discover(Policy policy, const Inventory& inventory);

/// The apps that have other addresses after a change of an inventory, and all that is different in
/// what is discovered: `discovered` is of `policy` and of what the inventory was before, and nobody
/// contested an address. `owned` tells which are an app's. Nothing when more may be different, or
/// that cannot be known without looking at all containers.
struct MovedApps {
  std::vector<App> before;
  std::vector<App> after;  ///< alike but for their addresses
};
std::optional<MovedApps> moved_apps(const Policy& policy, const Policy& discovered,
                                    const Inventory& inventory, const InventoryChange& change,
                                    const std::function<bool(Ip)>& owned);

}  // namespace fw
