// Apps and addons as a container engine has them.
#include "fw/inventory/inventory.hpp"

#include <algorithm>
#include <charconv>
#include <optional>
#include <set>
#include <string_view>
#include <unordered_map>

#include <fmt/format.h>

#include "fw/base/limits.hpp"
#include "fw/base/name.hpp"
#include "fw/base/suggest.hpp"

namespace fw {
namespace {

std::string label(const Container& container, const char* key) {
  const auto it = container.labels.find(key);
  return it == container.labels.end() ? std::string() : it->second;
}

/// FNV-1a, for telling long names apart: the same on every host and at every start.
std::uint32_t digest(std::string_view text) {
  std::uint32_t hash = 2166136261u;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 16777619u;
  return hash;
}

std::string name_from(const std::string& text) {
  if (valid_name(text)) return text;
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

/// "29418", "udp/3478", "tcp/8000-8100".
std::optional<PortRange> read_port(std::string_view text) {
  PortRange range;
  if (text.starts_with("udp/")) range.protocol = Protocol::udp;
  if (text.starts_with("udp/") || text.starts_with("tcp/")) text.remove_prefix(4);
  const auto take = [&text](std::uint16_t& port) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
    if (error != std::errc{} || port == 0) return false;
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    return true;
  };
  if (!take(range.first)) return {};
  range.last = range.first;
  if (text.empty()) return range;
  if (text.front() != '-') return {};
  text.remove_prefix(1);
  if (!take(range.last) || !text.empty() || range.last < range.first) return {};
  return range;
}

/// Puts an inventory into a policy.
class Merge {
 public:
  Merge(Policy& policy, std::vector<Problem>& problems) : policy_(policy), problems_(problems) {
    take_up(policy.apps, apps_);
    take_up(policy.addons, addons_);
  }

  void networks(const std::vector<IpRange>& engine);
  void container(const Container& container);
  void addon_names();

 private:
  using Places = std::unordered_map<std::string, std::size_t>;

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
  std::vector<PortRange> opened(const Container& container);
  std::vector<std::string> bound(const Container& container);

  Policy& policy_;
  std::vector<Problem>& problems_;
  Places apps_;    // by their names
  Places addons_;  // by theirs
  std::set<Ip> owned_;
  std::set<std::string> written_;  // whose addresses the policy says
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
    warn(container, fmt::format("is no app: there are {} already", kAppsMax));
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
    warn(container, fmt::format("is no addon: there are {} already", kAppsMax));
    return nullptr;
  }
  Addon addon;
  addon.name = name;
  addon.ports = container.exposes;
  addon.where = where(container);
  if (addon.ports.empty()) {
    warn(container,
         fmt::format("addon {} exposes no port, so nothing reaches it; name its ports in "
                     "an [[addon]] table",
                     quote(name)));
  }
  addons_.emplace(name, policy_.addons.size());
  policy_.addons.push_back(std::move(addon));
  return &policy_.addons.back();
}

void Merge::place(const Container& container, const std::string& name, std::vector<Ip>& addresses) {
  if (written_.contains(name)) return;
  for (const Ip ip : container.addresses) {
    const IpRange range{ip.family, ip.bits, ip.bits};
    const bool inside = std::ranges::any_of(policy_.app_networks, [&range](const auto& network) {
      return network.value.contains(range);
    });
    if (!inside) {
      warn(container, fmt::format("{} is outside the app networks, so it is not filtered as an "
                                  "app's; add its network to [apps] network",
                                  to_string(ip)));
    } else if (!owned_.insert(ip).second) {
      warn(container, fmt::format("{} belongs to another app or addon already", to_string(ip)));
    } else if (addresses.size() == kAppAddressesMax) {
      warn(container, fmt::format("{} is left out: {} has {} addresses already", to_string(ip),
                                  quote(name), kAppAddressesMax));
    } else {
      addresses.push_back(ip);
    }
  }
}

std::vector<PortRange> Merge::opened(const Container& container) {
  std::vector<PortRange> ports;
  const std::string text = label(container, kOpenLabel);
  if (text.empty()) return ports;
  if (!policy_.discovery.labels_open) {
    warn(container, fmt::format("its label {} opens nothing: say labels_open = true in [apps], or "
                                "name the ports in publishes of its [[app]]",
                                kOpenLabel));
    return ports;
  }
  for (const std::string_view word : words(text)) {
    const auto port = read_port(word);
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
  const std::string text = label(container, kAddonsLabel);
  for (const std::string_view word : words(text)) {
    std::string name(word);
    if (std::ranges::find(names, name) == names.end()) names.push_back(std::move(name));
  }
  return names;
}

void Merge::container(const Container& container) {
  std::string name = label(container, kAddonLabel);
  const bool labelled = !name.empty();
  name = labelled ? name_from(name) : identity(container);
  if (labelled || known_addon(name) != nullptr) {
    if (Addon* const addon = addon_of(container, name)) place(container, name, addon->addresses);
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

}  // namespace

std::string identity(const Container& container) {
  if (const std::string name = label(container, kAppLabel); !name.empty()) return name_from(name);
  const std::string project = label(container, kProjectLabel);
  const std::string service = label(container, kServiceLabel);
  if (!service.empty()) return name_from(project.empty() ? service : project + "-" + service);
  return name_from(container.name);
}

Inventory carry_over(Inventory now, const Inventory& before, std::int64_t clock) {
  std::set<std::string_view> ids;
  for (const Container& container : now.containers) ids.insert(container.id);
  std::vector<Container> gone;
  for (const Container& container : before.containers) {
    if (ids.contains(container.id)) continue;
    // A clock that was set back makes nobody wait longer.
    const std::int64_t since = container.gone == 0 ? clock : std::min(container.gone, clock);
    if (since + kGoneKeep.count() < clock) continue;
    if (now.containers.size() + gone.size() == kContainersMax) break;
    gone.push_back(container);
    gone.back().gone = since;
    gone.back().addresses.clear();
  }
  now.containers.insert(now.containers.end(), gone.begin(), gone.end());
  return now;
}

Discovered discover(Policy policy, const Inventory& inventory) {
  Discovered out{std::move(policy), {}};
  if (out.policy.discovery.from == Discover::none) return out;
  for (const std::string& what : inventory.left_out) {
    out.problems.push_back({Severity::warning, what, {}});
  }
  Merge merge(out.policy, out.problems);
  merge.networks(inventory.networks);
  // In the order of their names, so that the same containers always make the same policy.
  std::vector<const Container*> containers;
  for (const Container& container : inventory.containers) containers.push_back(&container);
  std::ranges::sort(containers, [](const Container* a, const Container* b) {
    return std::tie(a->name, a->id) < std::tie(b->name, b->id);
  });
  for (const Container* container : containers) merge.container(*container);
  merge.addon_names();
  return out;
}

}  // namespace fw
