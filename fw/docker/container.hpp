// What Docker says of a container and of itself, as values.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "fw/base/port.hpp"
#include "fw/base/result.hpp"

namespace fw::docker {

struct Mount {
  std::string type;    ///< "bind", "volume", "tmpfs"
  std::string source;  ///< on the host; "" for tmpfs
  std::string destination;
  bool writable = false;
  std::string propagation;  ///< "rprivate", "shared", "rslave" ...; "" for what is no bind mount

  bool operator==(const Mount&) const = default;
};

struct PublishedPort {
  Protocol protocol = Protocol::tcp;
  std::string host_ip;          ///< "" and "0.0.0.0": all of IPv4 (and IPv6); "::": all of IPv6
  std::uint16_t host_port = 0;  ///< 0: Docker chooses one when the container starts
  std::uint16_t container_port = 0;

  bool operator==(const PublishedPort&) const = default;
};

struct Device {
  std::string host_path;
  std::string permissions;  ///< "rwm"

  bool operator==(const Device&) const = default;
};

/// A container as `docker inspect` shows it. All texts are as its maker wrote them: not safe to
/// print. Modes of namespaces: "" and "private" are its own, "host" is the host's,
/// "container:ID" another container's.
struct Container {
  std::string id;
  std::string name;     ///< without the slash
  std::string service;  ///< of Compose, else ""
  std::string image;    ///< as it was asked for: "nginx", "nginx:1.25", "sha256:..."
  bool running = false;

  std::string user;  ///< "" is root
  bool privileged = false;
  bool read_only_root = false;
  std::vector<std::string> cap_add;
  std::vector<std::string> cap_drop;
  std::vector<std::string> security_opt;
  std::string apparmor_profile;  ///< "" where the host has no AppArmor

  std::string network_mode;
  std::string pid_mode;
  std::string ipc_mode;
  std::string uts_mode;
  std::string cgroupns_mode;
  std::string userns_mode;

  std::vector<Mount> mounts;
  std::vector<Device> devices;
  std::vector<std::string> device_rules;  ///< "c 1:3 rwm"
  std::vector<PublishedPort> ports;

  std::int64_t pids_limit = 0;  ///< 0 and less: none
  std::int64_t memory = 0;      ///< bytes; 0: none
  bool cpu_limited = false;     ///< shares, a quota or a set of processors
  std::string restart;          ///< "no", "always", "unless-stopped", "on-failure"
  int restarts_max = 0;         ///< of on-failure; 0: no end
  bool health_check = false;

  bool operator==(const Container&) const = default;
};

/// What protects all containers, as `docker info` shows it.
struct Engine {
  bool apparmor = false;
  bool seccomp = false;
  bool user_namespaces = false;    ///< userns-remap, or rootless
  bool no_new_privileges = false;  ///< for all, by the daemon's settings

  bool operator==(const Engine&) const = default;
};

/// Of GET /containers/ID/json. `io` when it is not understood, or has more of something than
/// kContainerListMax.
Result<Container> parse_container(std::string_view json);
/// Of GET /info.
Result<Engine> parse_engine(std::string_view json);
/// The ids of GET /containers/json; all of them.
Result<std::vector<std::string>> parse_ids(std::string_view json);

}  // namespace fw::docker
