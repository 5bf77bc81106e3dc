// Reading Docker's JSON. What is absent or null has its default; what has another type is an error.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/docker/container.hpp"

#include <algorithm>
#include <charconv>
#include <stdexcept>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <fmt/format.h>

#include "fw/base/limits.hpp"
#include "fw/docker/client.hpp"

namespace fw::docker {
namespace {

namespace json = boost::json;

/// Thrown within this file only.
struct NotUnderstood : std::runtime_error {
  using std::runtime_error::runtime_error;
};

const json::value& at(const json::object& object, std::string_view key) {
  static const json::value kNull;
  const json::value* const value = object.if_contains(key);
  return value == nullptr ? kNull : *value;
}

[[noreturn]] void strange(std::string_view key) {
  throw NotUnderstood(fmt::format("'{}' has the wrong type", key));
}

std::string text(const json::object& object, std::string_view key) {
  const json::value& value = at(object, key);
  if (value.is_null()) return {};
  if (!value.is_string()) strange(key);
  return std::string(value.get_string());
}

bool truth(const json::object& object, std::string_view key) {
  const json::value& value = at(object, key);
  if (value.is_null()) return false;
  if (!value.is_bool()) strange(key);
  return value.get_bool();
}

std::int64_t number(const json::object& object, std::string_view key) {
  const json::value& value = at(object, key);
  if (value.is_null()) return 0;
  json::error_code error;
  const auto integer = value.to_number<std::int64_t>(error);
  if (error) strange(key);
  return integer;
}

const json::object& object_of(const json::object& object, std::string_view key) {
  static const json::object kNone;
  const json::value& value = at(object, key);
  if (value.is_null()) return kNone;
  if (!value.is_object()) strange(key);
  return value.get_object();
}

const json::array& array_of(const json::object& object, std::string_view key) {
  static const json::array kNone;
  const json::value& value = at(object, key);
  if (value.is_null()) return kNone;
  if (!value.is_array()) strange(key);
  if (value.get_array().size() > kContainerListMax) {
    throw NotUnderstood(fmt::format("'{}' has more than {} entries", key, kContainerListMax));
  }
  return value.get_array();
}

const json::object& as_object(const json::value& value, std::string_view key) {
  if (!value.is_object()) strange(key);
  return value.get_object();
}

std::vector<std::string> texts(const json::object& object, std::string_view key) {
  std::vector<std::string> all;
  for (const json::value& value : array_of(object, key)) {
    if (!value.is_string()) strange(key);
    all.emplace_back(value.get_string());
  }
  return all;
}

std::uint16_t port_number(std::string_view digits, std::string_view key) {
  std::uint16_t port = 0;
  if (digits.empty()) return 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
  if (error != std::errc{} || end != digits.data() + digits.size()) strange(key);
  return port;
}

/// {"80/tcp": [{"HostIp": "", "HostPort": "8080"}], "53/udp": null}
void read_ports(const json::object& ports, std::vector<PublishedPort>& out) {
  for (const auto& [key, bindings] : ports) {
    const std::string_view name = key;
    const auto slash = name.find('/');
    const std::string_view protocol = slash == name.npos ? "tcp" : name.substr(slash + 1);
    if (protocol != "tcp" && protocol != "udp") continue;  // SCTP: the firewall opens none
    if (bindings.is_null()) continue;
    if (!bindings.is_array()) strange("Ports");
    for (const json::value& binding : bindings.get_array()) {
      const json::object& host = as_object(binding, "Ports");
      if (out.size() >= kContainerListMax) throw NotUnderstood("it publishes too many ports");
      out.push_back({protocol == "udp" ? Protocol::udp : Protocol::tcp, text(host, "HostIp"),
                     port_number(text(host, "HostPort"), "HostPort"),
                     port_number(name.substr(0, slash), "Ports")});
    }
  }
}

void read_host_config(const json::object& host, Container& container) {
  container.privileged = truth(host, "Privileged");
  container.read_only_root = truth(host, "ReadonlyRootfs");
  container.cap_add = texts(host, "CapAdd");
  container.cap_drop = texts(host, "CapDrop");
  container.security_opt = texts(host, "SecurityOpt");
  container.network_mode = text(host, "NetworkMode");
  container.pid_mode = text(host, "PidMode");
  container.ipc_mode = text(host, "IpcMode");
  container.uts_mode = text(host, "UTSMode");
  container.cgroupns_mode = text(host, "CgroupnsMode");
  container.userns_mode = text(host, "UsernsMode");
  for (const json::value& value : array_of(host, "Devices")) {
    const json::object& device = as_object(value, "Devices");
    container.devices.push_back({text(device, "PathOnHost"), text(device, "CgroupPermissions")});
  }
  container.device_rules = texts(host, "DeviceCgroupRules");
  container.pids_limit = number(host, "PidsLimit");
  container.memory = number(host, "Memory");
  container.cpu_limited = number(host, "NanoCpus") > 0 || number(host, "CpuQuota") > 0 ||
                          number(host, "CpuShares") > 0 || !text(host, "CpusetCpus").empty();
  const json::object& restart = object_of(host, "RestartPolicy");
  container.restart = text(restart, "Name");
  container.restarts_max = static_cast<int>(
      std::clamp<std::int64_t>(number(restart, "MaximumRetryCount"), 0, 1'000'000));
}

void read_config(const json::object& config, Container& container) {
  container.image = text(config, "Image");
  container.user = text(config, "User");
  container.service = text(object_of(config, "Labels"), "com.docker.compose.service");
  const auto test = texts(object_of(config, "Healthcheck"), "Test");
  container.health_check = !test.empty() && test.front() != "NONE";
}

Container read_container(const json::object& all) {
  Container container;
  container.id = text(all, "Id");
  if (!is_id(container.id)) strange("Id");
  container.name = text(all, "Name");
  if (container.name.starts_with('/')) container.name.erase(0, 1);
  container.running = truth(object_of(all, "State"), "Running");
  container.apparmor_profile = text(all, "AppArmorProfile");
  read_host_config(object_of(all, "HostConfig"), container);
  read_config(object_of(all, "Config"), container);
  for (const json::value& value : array_of(all, "Mounts")) {
    const json::object& mount = as_object(value, "Mounts");
    container.mounts.push_back({text(mount, "Type"), text(mount, "Source"),
                                text(mount, "Destination"), truth(mount, "RW"),
                                text(mount, "Propagation")});
  }
  // What is in force, with the ports that Docker chose; of one that does not run, what was asked.
  read_ports(object_of(object_of(all, "NetworkSettings"), "Ports"), container.ports);
  if (container.ports.empty()) {
    read_ports(object_of(object_of(all, "HostConfig"), "PortBindings"), container.ports);
  }
  return container;
}

Engine read_engine(const json::object& info) {
  Engine engine;
  for (const std::string& option : texts(info, "SecurityOptions")) {
    // "name=seccomp,profile=default"
    const std::string name = option.substr(0, option.find(','));
    if (name == "name=apparmor") engine.apparmor = true;
    if (name == "name=seccomp") engine.seccomp = !option.ends_with("profile=unconfined");
    if (name == "name=userns" || name == "name=rootless") engine.user_namespaces = true;
    if (name == "name=no-new-privileges") engine.no_new_privileges = true;
  }
  return engine;
}

/// Parses, and hands the value over; what is thrown becomes an error that names `what`.
template <class T, class Read>
Result<T> reading(std::string_view bytes, const char* what, Read read) {
  try {
    json::error_code error;
    const json::value value = json::parse(bytes, error);
    if (error) throw NotUnderstood(error.message());
    return read(value);
  } catch (const NotUnderstood& problem) {
    return fail(ErrorCode::io, fmt::format("cannot understand Docker's answer about {}: {}", what,
                                           problem.what()));
  }
}

}  // namespace

Result<Container> parse_container(std::string_view bytes) {
  return reading<Container>(bytes, "a container", [](const json::value& value) {
    return read_container(as_object(value, "the answer"));
  });
}

Result<Engine> parse_engine(std::string_view bytes) {
  return reading<Engine>(bytes, "itself", [](const json::value& value) {
    return read_engine(as_object(value, "the answer"));
  });
}

Result<std::vector<std::string>> parse_ids(std::string_view bytes) {
  return reading<std::vector<std::string>>(bytes, "its containers", [](const json::value& value) {
    if (!value.is_array()) strange("the answer");
    std::vector<std::string> ids;
    for (const json::value& container : value.get_array()) {
      ids.push_back(text(as_object(container, "a container"), "Id"));
      if (!is_id(ids.back())) strange("Id");
    }
    return ids;
  });
}

}  // namespace fw::docker
