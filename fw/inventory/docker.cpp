// Containers and networks from the Docker API.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/inventory/docker.hpp"

#include <algorithm>
#include <array>
#include <limits>
#include <optional>

#include <boost/json/array.hpp>
#include <boost/json/monotonic_resource.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <fmt/format.h>

#include "fw/base/limits.hpp"
#include "fw/base/suggest.hpp"

namespace fw {
namespace {

namespace json = boost::json;

constexpr std::array<const char*, 6> kLabels{kAppLabel,  kAddonLabel,   kAddonsLabel,
                                             kOpenLabel, kProjectLabel, kServiceLabel};
constexpr std::size_t kLeftOutMax = 20;  // lines

const json::value* member(const json::value& value, std::string_view key) {
  const json::object* object = value.if_object();
  return object == nullptr ? nullptr : object->if_contains(key);
}

/// "" when there is no such text.
std::string text(const json::value& value, std::string_view key) {
  const json::value* found = member(value, key);
  const json::string* string = found == nullptr ? nullptr : found->if_string();
  return string == nullptr ? std::string() : std::string(string->data(), string->size());
}

std::int64_t number(const json::value& value, std::string_view key) {
  const json::value* found = member(value, key);
  if (found == nullptr) return 0;
  boost::system::error_code error;
  const auto out = found->to_number<std::int64_t>(error);
  return error ? 0 : out;
}

const json::array& array(const json::value& value) {
  static const json::array none;
  const json::array* found = value.if_array();
  return found == nullptr ? none : *found;
}
const json::array& array(const json::value& value, std::string_view key) {
  static const json::value none;
  const json::value* found = member(value, key);
  return array(found == nullptr ? none : *found);
}

const json::object& object(const json::value& value, std::string_view key) {
  static const json::object none;
  const json::value* found = member(value, key);
  const json::object* out = found == nullptr ? nullptr : found->if_object();
  return out == nullptr ? none : *out;
}

/// Thousands of small values that all go at once.
json::storage_ptr memory_of_one() { return json::make_shared_resource<json::monotonic_resource>(); }

Result<json::value> parse(std::string_view text, std::string_view what,
                          json::storage_ptr memory = memory_of_one()) {
  boost::system::error_code error;
  json::parse_options options;
  options.max_depth = 32;
  json::value value = json::parse(text, error, std::move(memory), options);
  if (!error) return value;
  return fail(ErrorCode::io, fmt::format("{} is not JSON: {}", what, error.message()));
}

bool plain(std::string_view text) {
  return text.size() <= kEngineTextMax && std::ranges::none_of(text, [](char c) {
           const auto byte = static_cast<unsigned char>(c);
           return byte < ' ' || byte == 0x7f;
         });
}

class LeftOut {
 public:
  explicit LeftOut(std::vector<std::string>& lines) : lines_(lines) {}
  void add(std::string_view container, std::string_view what) {
    if (lines_.size() < kLeftOutMax) {
      lines_.push_back(fmt::format("container {}: {}", printable(container), what));
    }
  }

 private:
  std::vector<std::string>& lines_;
};

void read_labels(const json::object& labels, Container& container, LeftOut& left_out) {
  for (const char* key : kLabels) {
    const json::value* value = labels.if_contains(key);
    const json::string* string = value == nullptr ? nullptr : value->if_string();
    if (string == nullptr) continue;
    if (!plain({string->data(), string->size()})) {
      left_out.add(container.name,
                   fmt::format("its label {} is ignored: it has control characters or "
                               "more than {} bytes",
                               key, kEngineTextMax));
      continue;
    }
    container.labels.emplace(key, std::string(string->data(), string->size()));
  }
}

/// Both families of each network that it is in.
void read_addresses(const json::value& each, Container& container, LeftOut& left_out) {
  const json::value* settings = member(each, "NetworkSettings");
  if (settings == nullptr) return;
  for (const auto& network : object(*settings, "Networks")) {
    for (const char* key : {"IPAddress", "GlobalIPv6Address"}) {
      const std::string written = text(network.value(), key);
      if (written.empty()) continue;
      const auto ip = parse_ip(written);
      if (!ip || container.addresses.size() == kAppAddressesMax) {
        left_out.add(container.name, fmt::format("its address {} is ignored", quote(written)));
        continue;
      }
      if (std::ranges::find(container.addresses, *ip) == container.addresses.end()) {
        container.addresses.push_back(*ip);
      }
    }
  }
  std::ranges::sort(container.addresses);
}

void add_port(std::vector<PortRange>& ports, Protocol protocol, std::int64_t port) {
  if (port < 1 || port > 65'535) return;
  const auto at = static_cast<std::uint16_t>(port);
  const PortRange range{protocol, at, at};
  if (std::ranges::find(ports, range) == ports.end()) ports.push_back(range);
}

void read_ports(const json::value& each, Container& container, LeftOut& left_out) {
  for (const json::value& port : array(each, "Ports")) {
    const std::string type = text(port, "Type");
    if (type != "tcp" && type != "udp") continue;  // sctp is no port of a policy
    if (std::max(container.exposes.size(), container.publishes.size()) == kEnginePortsMax) {
      left_out.add(container.name,
                   fmt::format("it has more than {} ports; the rest is ignored", kEnginePortsMax));
      break;
    }
    const Protocol protocol = type == "udp" ? Protocol::udp : Protocol::tcp;
    add_port(container.exposes, protocol, number(port, "PrivatePort"));
    add_port(container.publishes, protocol, number(port, "PublicPort"));
  }
  std::ranges::sort(container.exposes);
  std::ranges::sort(container.publishes);
}

json::array to_json(const std::vector<PortRange>& ports) {
  json::array out;
  for (const PortRange& port : ports) {
    out.push_back({{"udp", port.protocol == Protocol::udp}, {"port", port.first}});
  }
  return out;
}

void read_kept_ports(const json::array& from, std::vector<PortRange>& ports) {
  for (const json::value& port : from) {
    const json::value* udp = member(port, "udp");
    const bool is_udp = udp != nullptr && udp->is_bool() && udp->get_bool();
    add_port(ports, is_udp ? Protocol::udp : Protocol::tcp, number(port, "port"));
  }
}

Container read_kept(const json::value& each) {
  Container container;
  container.id = text(each, "id");
  container.name = text(each, "name");
  container.image = text(each, "image");
  container.gone = number(each, "gone");
  for (const auto& label : object(each, "labels")) {
    if (const json::string* value = label.value().if_string()) {
      container.labels.emplace(label.key(), std::string(value->data(), value->size()));
    }
  }
  for (const json::value& ip : array(each, "addresses")) {
    if (const json::string* written = ip.if_string()) {
      if (const auto read = parse_ip({written->data(), written->size()})) {
        container.addresses.push_back(*read);
      }
    }
  }
  read_kept_ports(array(each, "exposes"), container.exposes);
  read_kept_ports(array(each, "publishes"), container.publishes);
  return container;
}

/// A driver whose networks are the LAN of a card of this host.
bool is_of_lan(std::string_view driver) { return driver == "macvlan" || driver == "ipvlan"; }

}  // namespace

Result<Inventory> read_docker_containers(std::string_view answer) {
  const auto parsed = parse(answer, "the container engine's answer");
  if (!parsed) return std::unexpected(parsed.error());
  if (!parsed->is_array())
    return fail(ErrorCode::io, "the container engine's answer is not a list");
  Inventory out;
  LeftOut left_out(out.left_out);
  for (const json::value& each : parsed->get_array()) {
    Container container;
    container.id = text(each, "Id");
    const json::array& names = array(each, "Names");
    if (!names.empty() && names.front().is_string()) {
      const json::string& name = names.front().get_string();
      container.name.assign(name.data(), name.size());
    }
    if (container.name.starts_with('/')) container.name.erase(0, 1);
    if (!plain(container.name) || !plain(container.id) || container.id.empty()) {
      left_out.add(container.id, "ignored: it has no valid name");
      continue;
    }
    if (out.containers.size() == kContainersMax) {
      left_out.add(container.name,
                   fmt::format("there are more than {}; the rest is ignored", kContainersMax));
      break;
    }
    container.image = text(each, "ImageID");
    const json::value* labels = member(each, "Labels");
    if (labels != nullptr && labels->is_object()) {
      read_labels(labels->get_object(), container, left_out);
    }
    read_addresses(each, container, left_out);
    read_ports(each, container, left_out);
    out.containers.push_back(std::move(container));
  }
  std::ranges::sort(out.containers, {}, &Container::id);
  return out;
}

Result<Inventory> read_docker_networks(std::string_view answer) {
  const auto parsed = parse(answer, "the container engine's answer");
  if (!parsed) return std::unexpected(parsed.error());
  if (!parsed->is_array())
    return fail(ErrorCode::io, "the container engine's answer is not a list");
  Inventory out;
  for (const json::value& each : parsed->get_array()) {
    const std::string driver = text(each, "Driver");
    const json::value* ipam = member(each, "IPAM");
    if (ipam == nullptr || (driver != "bridge" && !is_of_lan(driver))) continue;
    for (const json::value& config : array(*ipam, "Config")) {
      const auto range = parse_ip_range(text(config, "Subnet"));
      if (!range) continue;
      if (driver == "bridge" && out.networks.size() < kEngineNetworksMax)
        out.networks.push_back(*range);
      if (driver != "bridge" && out.lan.size() < kEngineNetworksMax)
        out.lan.push_back({*range, driver});
    }
  }
  out.networks = merged(std::move(out.networks));
  return out;
}

Result<Labels> read_docker_image(std::string_view answer) {
  const auto parsed = parse(answer, "the container engine's answer");
  if (!parsed) return std::unexpected(parsed.error());
  Labels out;
  const json::value* config = member(*parsed, "Config");
  if (config == nullptr) return out;
  const json::object& labels = object(*config, "Labels");
  for (const char* key : kLabels) {
    const json::value* value = labels.if_contains(key);
    if (value == nullptr || !value->is_string()) continue;
    out.emplace(key, std::string(value->get_string().data(), value->get_string().size()));
  }
  return out;
}

void drop_image_labels(Container& container, const Labels& image) {
  std::erase_if(container.labels, [&image](const auto& label) {
    const auto same = image.find(label.first);
    return same != image.end() && same->second == label.second;
  });
}

Touched touched_by(std::string_view event) {
  const auto parsed = parse(event, "the container engine's event");
  if (!parsed) return {true, true, {}};  // better to look once too often
  const std::string type = text(*parsed, "Type");
  const std::string action = text(*parsed, "Action");
  const json::value* actor = member(*parsed, "Actor");
  Touched out;
  if (type == "network") {
    out.networks = action == "create" || action == "destroy";
    out.inventory = out.networks || action == "connect" || action == "disconnect";
    const json::value* attributes = actor == nullptr ? nullptr : member(*actor, "Attributes");
    if (attributes != nullptr) out.container = text(*attributes, "container");
  } else if (type == "container") {
    out.inventory = action == "start" || action == "die" || action == "destroy" ||
                    action == "rename" || action == "update" || action == "create";
    if (actor != nullptr) out.container = text(*actor, "ID");
    // Docker writes down that a container runs, or is no more, before it tells so.
    out.listed = action == "start" || action == "destroy";
  }
  return out;
}

namespace {

void put_line(const Container& container, std::string& text) {
  json::object labels;
  for (const auto& [key, value] : container.labels) labels.emplace(key, value);
  json::array addresses;
  for (const Ip ip : container.addresses) addresses.emplace_back(to_string(ip));
  text += json::serialize(json::object{{"id", container.id},
                                       {"name", container.name},
                                       {"image", container.image},
                                       {"gone", container.gone},
                                       {"labels", std::move(labels)},
                                       {"addresses", std::move(addresses)},
                                       {"exposes", to_json(container.exposes)},
                                       {"publishes", to_json(container.publishes)}});
  text += '\n';
}

void put_others(const Inventory& inventory, std::string& text) {
  json::array networks;
  for (const IpRange& range : inventory.networks) networks.emplace_back(to_string(range));
  json::array left_out;
  for (const std::string& line : inventory.left_out) left_out.emplace_back(line);
  json::array lan;
  for (const LanNetwork& network : inventory.lan) {
    lan.push_back(json::object{{"range", to_string(network.range)}, {"driver", network.driver}});
  }
  text += json::serialize(json::object{{"networks", std::move(networks)},
                                       {"lan", std::move(lan)},
                                       {"left_out", std::move(left_out)}});
  text += '\n';
}

void read_others(const json::value& line, Inventory& out) {
  out.networks.clear();
  out.lan.clear();
  out.left_out.clear();
  for (const json::value& network : array(line, "networks")) {
    if (const json::string* written = network.if_string()) {
      const auto range = parse_ip_range({written->data(), written->size()});
      if (range) out.networks.push_back(*range);
    }
  }
  for (const json::value& network : array(line, "lan")) {
    const auto range = parse_ip_range(text(network, "range"));
    const std::string driver = text(network, "driver");
    if (range && is_of_lan(driver)) out.lan.push_back({*range, driver});
  }
  for (const json::value& each : array(line, "left_out")) {
    if (each.is_string() && out.left_out.size() < kLeftOutMax) {
      out.left_out.emplace_back(each.get_string().data(), each.get_string().size());
    }
  }
}

}  // namespace

std::string to_text(const Inventory& inventory) {
  std::string text;
  put_others(inventory, text);
  for (const Container& container : inventory.containers) put_line(container, text);
  return text;
}

std::string to_text(const Inventory& inventory, const InventoryChange& change) {
  std::string text;
  if (change.others) put_others(inventory, text);
  for (const auto& [id, before] : change.containers) {
    const Container* const now = find_container(inventory.containers, id);
    if (now != nullptr) put_line(*now, text);
  }
  return text;
}

Result<KeptText> read_inventory(std::string_view text) {
  KeptText out;
  std::map<std::string, Container> containers;
  std::array<unsigned char, 16 * 1024> room;
  while (!text.empty()) {
    const auto end = text.find('\n');
    // One for each line: what is released still asks for twice as much the next time.
    json::monotonic_resource memory(room.data(), room.size());
    const auto line = parse(text.substr(0, end), "the remembered inventory", &memory);
    if (end == std::string_view::npos || !line || !line->is_object()) {
      if (out.lines == 0) return fail(ErrorCode::io, "the remembered inventory is not valid");
      out.whole = false;
      break;
    }
    ++out.lines;
    text.remove_prefix(end + 1);
    Container container = read_kept(*line);
    if (container.id.empty()) {
      read_others(*line, out.inventory);
    } else if (containers.size() < kContainersMax || containers.contains(container.id)) {
      containers[container.id] = std::move(container);
    }
  }
  out.inventory.containers.reserve(containers.size());
  for (auto& [id, container] : containers) out.inventory.containers.push_back(std::move(container));
  return out;
}

}  // namespace fw
