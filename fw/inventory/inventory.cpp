// Apps and addons as a container engine has them.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/inventory/inventory.hpp"

#include <algorithm>
#include <optional>
#include <set>
#include <string_view>

#include <boost/unordered/unordered_flat_map.hpp>
#include <boost/unordered/unordered_flat_set.hpp>
#include <fmt/format.h>

#include "fw/base/limits.hpp"
#include "fw/base/name.hpp"
#include "fw/base/suggest.hpp"

namespace fw {
namespace {

/// "" when there is none. Lives as long as the container.
std::string_view label(const Container& container, std::string_view key) {
  const auto it = container.labels.find(key);
  return it == container.labels.end() ? std::string_view() : it->second;
}

/// FNV-1a, for telling long names apart: the same on every host and at every start.
std::uint32_t digest(std::string_view text) {
  std::uint32_t hash = 2166136261u;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 16777619u;
  return hash;
}

std::string name_from(std::string_view text) {
  if (valid_name(text)) return std::string(text);
  const std::string suffix = fmt::format("-{:08x}", digest(text));
  std::string mended = mended_name(text);
  mended.resize(std::min(mended.size(), kNameLengthMax - suffix.size()));
  return (mended.empty() ? "app" : mended) + suffix;
}

std::vector<std::string_view> words(std::string_view text) {
  std::vector<std::string_view> out;
  while (!text.empty()) {
    const auto comma = text.find(',');
    std::string_view word = text.substr(0, comma);
    text = comma == std::string_view::npos ? std::string_view() : text.substr(comma + 1);
    while (!word.empty() && word.front() == ' ') word.remove_prefix(1);
    while (!word.empty() && word.back() == ' ') word.remove_suffix(1);
    if (!word.empty()) out.push_back(word);
  }
  return out;
}

/// Puts an inventory into a policy.
class Merge {
 public:
  /// Of so many containers.
  Merge(Policy& policy, std::vector<Problem>& problems, const std::vector<LanNetwork>& lan,
        std::size_t containers)
      : policy_(policy), problems_(problems), lan_(lan) {
    policy.apps.reserve(policy.apps.size() + containers);
    apps_.reserve(policy.apps.size() + containers);
    owned_.reserve(2 * containers);
    take_up(policy.apps, apps_);
    take_up(policy.addons, addons_);
  }

  void networks(const std::vector<IpRange>& engine);
  void container(const Container& container);
  void addon_names();
  bool contested() const { return contested_; }

 private:
  using Places = boost::unordered_flat_map<std::string, std::size_t>;

  template <class Peer>
  void take_up(const std::vector<Peer>& peers, Places& places) {
    for (const Peer& peer : peers) {
      places.emplace(peer.name, places.size());
      owned_.insert(peer.addresses.begin(), peer.addresses.end());
      if (!peer.addresses.empty()) written_.insert(peer.name);
    }
  }
  void warn(const Container& container, std::string what) {
    problems_.push_back({Severity::warning, std::move(what), where(container)});
  }
  static Location where(const Container& container) {
    return {"container " + printable(container.name), 0, 0};
  }
  App* known_app(const std::string& name) {
    const auto it = apps_.find(name);
    return it == apps_.end() ? nullptr : &policy_.apps[it->second];
  }
  Addon* known_addon(const std::string& name) {
    const auto it = addons_.find(name);
    return it == addons_.end() ? nullptr : &policy_.addons[it->second];
  }
  App* app_of(const Container& container, const std::string& name);
  Addon* addon_of(const Container& container, const std::string& name);
  void place(const Container& container, const std::string& name, std::vector<Ip>& addresses);
  void warn_outside(const Container& container, Ip ip);
  std::vector<PortRange> opened(const Container& container);
  std::vector<std::string> bound(const Container& container);

  Policy& policy_;
  std::vector<Problem>& problems_;
  const std::vector<LanNetwork>& lan_;
  Places apps_;    // by their names
  Places addons_;  // by theirs
  boost::unordered_flat_set<Ip, IpHash> owned_;
  std::set<std::string> written_;  // whose addresses the policy says
  bool contested_ = false;
};

/// What the policy says of the networks stays; of its built-in default nothing does.
void Merge::networks(const std::vector<IpRange>& engine) {
  if (engine.empty()) return;
  std::vector<IpRange> all = engine;
  for (const auto& network : policy_.app_networks) {
    if (!network.where.file.empty() || network.where.line != 0) all.push_back(network.value);
  }
  const auto written = policy_.app_networks;
  policy_.app_networks.clear();
  for (const IpRange& range : merged(std::move(all))) {
    const auto same = std::ranges::find(written, range, &Located<IpRange>::value);
    policy_.app_networks.push_back({range, same == written.end() ? Location{} : same->where});
  }
}

App* Merge::app_of(const Container& container, const std::string& name) {
  if (App* const app = known_app(name)) return app;
  if (policy_.apps.size() == kAppsMax) {
    warn(container, fmt::format("is ignored: there are already {} apps", kAppsMax));
    return nullptr;
  }
  App app;
  app.name = name;
  app.publishes = opened(container);
  app.addons = bound(container);
  app.where = where(container);
  apps_.emplace(name, policy_.apps.size());
  policy_.apps.push_back(std::move(app));
  return &policy_.apps.back();
}

Addon* Merge::addon_of(const Container& container, const std::string& name) {
  if (Addon* const addon = known_addon(name)) return addon;
  if (policy_.addons.size() == kAppsMax) {
    warn(container, fmt::format("is ignored: there are already {} addons", kAppsMax));
    return nullptr;
  }
  Addon addon;
  addon.name = name;
  addon.ports = container.exposes;
  addon.where = where(container);
  if (addon.ports.empty()) {
    warn(container, fmt::format("addon {} exposes no port, so no app reaches it; name its ports in "
                                "an [[addon]] table",
                                quote(name)));
  }
  addons_.emplace(name, policy_.addons.size());
  policy_.addons.push_back(std::move(addon));
  return &policy_.addons.back();
}

void Merge::place(const Container& container, const std::string& name, std::vector<Ip>& addresses) {
  if (!written_.empty() && written_.contains(name)) return;
  addresses.reserve(addresses.size() + container.addresses.size());
  for (const Ip ip : container.addresses) {
    const IpRange range{ip.family, ip.bits, ip.bits};
    const bool inside = std::ranges::any_of(policy_.app_networks, [&range](const auto& network) {
      return network.value.contains(range);
    });
    if (!inside) {
      warn_outside(container, ip);
    } else if (!owned_.insert(ip).second) {
      warn(container, fmt::format("{} already belongs to another app or addon", to_string(ip)));
      contested_ = true;
    } else if (addresses.size() == kAppAddressesMax) {
      warn(container, fmt::format("{} is ignored: {} already has {} addresses", to_string(ip),
                                  quote(name), kAppAddressesMax));
    } else {
      addresses.push_back(ip);
    }
  }
}

void Merge::warn_outside(const Container& container, Ip ip) {
  const auto network = std::ranges::find_if(lan_, [ip](const LanNetwork& each) {
    return each.range.contains({ip.family, ip.bits, ip.bits});
  });
  if (network == lan_.end()) {
    return warn(container,
                fmt::format("{} is outside the app networks, so it does not count as an app's: add "
                            "its network to [apps] network, if that is a bridge of this host",
                            to_string(ip)));
  }
  warn(container,
       fmt::format("{} is in {} {} network, so it is a neighbour in the LAN, not an app: it has no "
                   "limits, addons or published ports; only new connections from blocked addresses "
                   "are dropped. To filter it as an app, put it into a bridge network",
                   to_string(ip), network->driver == "ipvlan" ? "an" : "a", network->driver));
}

std::vector<PortRange> Merge::opened(const Container& container) {
  std::vector<PortRange> ports;
  const std::string_view text = label(container, kOpenLabel);
  if (text.empty()) return ports;
  if (!policy_.discovery.labels_open) {
    warn(container, fmt::format("its label {} opens nothing: set labels_open = true in [apps], or "
                                "name the ports in publishes of its [[app]]",
                                kOpenLabel));
    return ports;
  }
  for (const std::string_view word : words(text)) {
    const auto port = parse_ports(word);
    const bool again = port && std::ranges::any_of(ports, [&port](const PortRange& other) {
                         return other.overlaps(*port);
                       });
    if (!port || ports.size() == kEnginePortsMax) {
      warn(container, fmt::format("{} of its label {} opens nothing: write ports like 29418, "
                                  "udp/3478 or 8000-8100",
                                  quote(word), kOpenLabel));
    } else if (!again) {
      ports.push_back(*port);
    }
  }
  return ports;
}

std::vector<std::string> Merge::bound(const Container& container) {
  std::vector<std::string> names;
  const std::string_view text = label(container, kAddonsLabel);
  for (const std::string_view word : words(text)) {
    std::string name(word);
    if (std::ranges::find(names, name) == names.end()) names.push_back(std::move(name));
  }
  return names;
}

void Merge::container(const Container& container) {
  const std::string_view addon = label(container, kAddonLabel);
  const bool labelled = !addon.empty();
  const std::string name = labelled ? name_from(addon) : identity(container);
  if (labelled || known_addon(name) != nullptr) {
    if (Addon* const known = addon_of(container, name)) place(container, name, known->addresses);
    return;
  }
  if (App* const app = app_of(container, name)) place(container, name, app->addresses);
}

/// Addons that labels name and nobody is.
void Merge::addon_names() {
  std::set<std::string_view> names;
  for (const Addon& addon : policy_.addons) names.insert(addon.name);
  for (App& app : policy_.apps) {
    if (!app.addons) continue;
    std::erase_if(*app.addons, [&](const std::string& wanted) {
      if (names.contains(wanted)) return false;
      problems_.push_back(
          {Severity::warning,
           fmt::format("app {}: there is no addon {}; label its container {}={}, or "
                       "describe it in an [[addon]] table",
                       quote(app.name), quote(wanted), kAddonLabel, printable(wanted)),
           app.where});
      return true;
    });
  }
}

/// The engine does not have it any more.
void goes(Container& container, std::int64_t clock, InventoryChange& change) {
  if (container.gone != 0) return;
  change.containers.emplace(container.id, container);
  container.gone = clock;
  container.addresses.clear();
}

bool went_long_ago(const Container& container, std::int64_t clock) {
  return container.gone != 0 && container.gone + kGoneKeep.count() < clock;
}

void put(std::vector<Container>& all, Container container, InventoryChange& change) {
  const auto it = std::ranges::lower_bound(all, container.id, {}, &Container::id);
  const bool known = it != all.end() && it->id == container.id;
  if (known && *it == container) return;
  change.containers.emplace(container.id, known ? std::optional(*it) : std::nullopt);
  if (known) {
    *it = std::move(container);
  } else {
    all.insert(it, std::move(container));
  }
}

void update_containers(std::vector<Container>& all, const InventoryPart& part,
                       std::vector<Container> now, std::int64_t clock, InventoryChange& change) {
  if (part.everything) {
    for (Container& container : all) {
      if (find_container(now, container.id) == nullptr) goes(container, clock, change);
    }
  } else {
    for (const std::string& id : part.containers) {
      Container* const container = find_container(all, id);
      if (container != nullptr && find_container(now, id) == nullptr)
        goes(*container, clock, change);
    }
  }
  // A clock that was set back makes nobody wait longer.
  for (Container& container : all) container.gone = std::min(container.gone, clock);
  const auto forget = [&](auto which) {
    change.forgotten = std::erase_if(all, which) != 0 || change.forgotten;
  };
  forget([clock](const Container& container) { return went_long_ago(container, clock); });
  for (Container& container : now) put(all, std::move(container), change);
  if (all.size() <= kContainersMax) return;
  std::size_t left = all.size() - kContainersMax;
  forget([&left](const Container& container) {
    return container.gone != 0 && left != 0 && left-- != 0;
  });
}

}  // namespace

std::string identity(const Container& container) {
  if (const auto name = label(container, kAppLabel); !name.empty()) return name_from(name);
  const std::string_view project = label(container, kProjectLabel);
  const std::string_view service = label(container, kServiceLabel);
  if (!service.empty()) {
    return project.empty() ? name_from(service) : name_from(fmt::format("{}-{}", project, service));
  }
  return name_from(container.name);
}

void InventoryChange::add(InventoryChange more) {
  others = others || more.others;
  forgotten = forgotten || more.forgotten;
  containers.merge(std::move(more.containers));
}

InventoryChange update(Inventory& all, const InventoryPart& part, Inventory now,
                       std::int64_t clock) {
  InventoryChange change;
  if ((part.everything || part.networks) && (all.networks != now.networks || all.lan != now.lan)) {
    all.networks = std::move(now.networks);
    all.lan = std::move(now.lan);
    change.others = true;
  }
  if (part.everything && all.left_out != now.left_out) {
    all.left_out = std::move(now.left_out);
    change.others = true;
  }
  if (part.everything || !part.containers.empty()) {
    update_containers(all.containers, part, std::move(now.containers), clock, change);
  }
  return change;
}

Discovered discover(Policy policy, const Inventory& inventory) {
  Discovered out{std::move(policy), {}, false};
  if (out.policy.discovery.from == Discover::none) return out;
  for (const std::string& what : inventory.left_out) {
    out.problems.push_back({Severity::warning, what, {}});
  }
  Merge merge(out.policy, out.problems, inventory.lan, inventory.containers.size());
  merge.networks(inventory.networks);
  // In the order of their names, so that the same containers always make the same policy.
  std::vector<const Container*> containers;
  for (const Container& container : inventory.containers) containers.push_back(&container);
  std::ranges::sort(containers, [](const Container* a, const Container* b) {
    return std::tie(a->name, a->id) < std::tie(b->name, b->id);
  });
  for (const Container* container : containers) merge.container(*container);
  merge.addon_names();
  out.contested = merge.contested();
  return out;
}

namespace {

/// What moved_apps() finds out, app by app.
class Move {
 public:
  Move(const Policy& policy, const Policy& discovered, const std::function<bool(Ip)>& owned)
      : policy_(policy), discovered_(discovered), owned_(owned) {}

  /// False when it is not that simple.
  bool container(const std::optional<Container>& before, const Container& after) {
    const bool alike = !before || (before->name == after.name && before->labels == after.labels &&
                                   before->exposes == after.exposes);
    if (!alike || !label(after, kAddonLabel).empty()) return false;
    const std::string name = identity(after);
    const auto app = std::ranges::find(discovered_.apps, name, &App::name);
    if (app == discovered_.apps.end() || is_of_policy(name)) return false;
    // Of its containers the first says what it opens and is bound to: that may be this one.
    const bool bare = app->publishes.empty() && app->addons && app->addons->empty() &&
                      label(after, kOpenLabel).empty() && label(after, kAddonsLabel).empty();
    if (!before && !bare) return false;
    auto [it, first] = apps_.try_emplace(name, Addresses{&*app, {}, {}});
    Addresses& addresses = it->second;
    if (before) add(before->addresses, addresses.before);
    if (after.addresses.empty()) return true;
    const bool only = addresses.after.empty();  // else they have an order
    add(after.addresses, addresses.after);
    return only && addresses.after.size() <= kAppAddressesMax;
  }

  std::optional<MovedApps> take() {
    MovedApps out;
    for (auto& [name, addresses] : apps_) {
      // Others of its containers have some, or not all of them were taken.
      if (addresses.before != addresses.app->addresses) return {};
      if (addresses.before == addresses.after) continue;
      out.before.push_back(*addresses.app);
      out.after.push_back(*addresses.app);
      out.after.back().addresses = std::move(addresses.after);
    }
    for (const App& app : out.before) freed_.insert(app.addresses.begin(), app.addresses.end());
    std::set<Ip> taken;
    for (const App& app : out.after) {
      for (const Ip ip : app.addresses) {
        if (!is_free(ip) || !taken.insert(ip).second) return {};
      }
    }
    return out;
  }

 private:
  struct Addresses {
    const App* app;
    std::vector<Ip> before;
    std::vector<Ip> after;
  };

  static void add(const std::vector<Ip>& more, std::vector<Ip>& to) {
    to.insert(to.end(), more.begin(), more.end());
  }
  /// Its addresses may be, then.
  bool is_of_policy(const std::string& name) const {
    return std::ranges::find(policy_.apps, name, &App::name) != policy_.apps.end() ||
           std::ranges::find(policy_.addons, name, &Addon::name) != policy_.addons.end() ||
           std::ranges::find(discovered_.addons, name, &Addon::name) != discovered_.addons.end();
  }
  bool is_free(Ip ip) const {
    const IpRange range{ip.family, ip.bits, ip.bits};
    const bool inside = std::ranges::any_of(
        discovered_.app_networks,
        [&range](const auto& network) { return network.value.contains(range); });
    const bool of_addon = std::ranges::any_of(discovered_.addons, [ip](const Addon& addon) {
      return std::ranges::find(addon.addresses, ip) != addon.addresses.end();
    });
    return inside && !of_addon && (freed_.contains(ip) || !owned_(ip));
  }

  const Policy& policy_;
  const Policy& discovered_;
  const std::function<bool(Ip)>& owned_;
  std::map<std::string, Addresses> apps_;  // by their names
  std::set<Ip> freed_;
};

}  // namespace

std::optional<MovedApps> moved_apps(const Policy& policy, const Policy& discovered,
                                    const Inventory& inventory, const InventoryChange& change,
                                    const std::function<bool(Ip)>& owned) {
  if (policy.discovery.from == Discover::none || change.others || change.forgotten) return {};
  Move move(policy, discovered, owned);
  for (const auto& [id, before] : change.containers) {
    const Container* const after = find_container(inventory.containers, id);
    if (after == nullptr || !move.container(before, *after)) return {};
  }
  return move.take();
}

}  // namespace fw
