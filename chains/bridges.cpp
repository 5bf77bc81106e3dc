// Which bridges belong to containers.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "chains/bridges.hpp"

#include <algorithm>
#include <array>
#include <string_view>

namespace chains {
namespace {

bool all_of(std::string_view text, std::string_view letters) {
  return !text.empty() && text.find_first_not_of(letters) == std::string_view::npos;
}

/// "podman0": the beginning, then a number.
bool is_numbered(std::string_view name, std::string_view begin) {
  return name.starts_with(begin) && all_of(name.substr(begin.size()), "0123456789");
}

/// As Docker names the bridges of its networks, unless it is given another name.
bool is_dockers(std::string_view name) {
  constexpr std::size_t kIdLetters = 12;
  return name == "docker0" || name == "docker_gwbridge" ||
         (name.starts_with("br-") && name.size() == 3 + kIdLetters &&
          all_of(name.substr(3), "0123456789abcdef"));
}

/// As Docker, Podman, nerdctl and Kubernetes name theirs.
bool is_engines(std::string_view name) {
  return is_dockers(name) || is_numbered(name, "podman") || is_numbered(name, "cni-podman") ||
         is_numbered(name, "nerdctl") || is_numbered(name, "cni");
}

/// As libvirt, Incus, LXD and LXC name theirs: their guests are often reached from outside.
bool is_guests(std::string_view name) {
  return std::ranges::any_of(std::array{"virbr", "incusbr", "lxdbr", "lxcbr"},
                             [&name](std::string_view begin) { return is_numbered(name, begin); });
}

/// A name that ends in "*" stands for all that begin so.
bool is_named(std::string_view name, const std::vector<std::string>& names) {
  return std::ranges::any_of(names, [name](std::string_view each) {
    if (!each.ends_with('*')) return each == name;
    return name.starts_with(each.substr(0, each.size() - 1));
  });
}

}  // namespace

bool has_address_in(const Bridge& bridge, const fw::IpRange& network) {
  return std::ranges::any_of(bridge.addresses, [&network](fw::Ip ip) {
    return network.contains({ip.family, ip.bits, ip.bits});
  });
}

bool is_of_apps(const Bridge& bridge, const fw::Policy& policy) {
  if (bridge.others == Bridge::Others::uplink) return false;
  const bool discovered = policy.discovery.from == fw::Discover::docker;
  if (discovered && is_dockers(bridge.name)) return true;
  return std::ranges::any_of(policy.app_networks, [&bridge](const auto& network) {
    return has_address_in(bridge, network.value);
  });
}

bool is_of_containers(const Bridge& bridge, const fw::Policy& policy) {
  if (bridge.others == Bridge::Others::uplink || is_named(bridge.name, policy.routed)) {
    return false;
  }
  if (is_of_apps(bridge, policy) || is_engines(bridge.name)) return true;
  return bridge.others == Bridge::Others::none && !bridge.ports.empty() && !is_guests(bridge.name);
}

}  // namespace chains
