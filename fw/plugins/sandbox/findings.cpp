// How a container is confined: privileges, namespaces, ports, limits.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/plugins/sandbox/findings.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <set>
#include <string_view>
#include <utility>

#include <fmt/format.h>

#include "fw/base/address.hpp"
#include "fw/base/limits.hpp"
#include "fw/base/suggest.hpp"
#include "fw/plugins/sandbox/mounts.hpp"

namespace fw::sandbox {
namespace {

using docker::Container;
using docker::Engine;

/// Collects the findings of one container.
using Out = std::vector<Finding>;

void add(Out& out, FindingSeverity severity, const char* rule, std::string what, std::string impact,
         std::string fix, std::string compose) {
  out.push_back(
      {severity, rule, {}, std::move(what), std::move(impact), std::move(fix), std::move(compose)});
}

/// "CAP_SYS_ADMIN", "sys_admin" and "SYS_ADMIN" are one.
std::string capability_name(std::string_view text) {
  std::string name(text);
  std::transform(name.begin(), name.end(), name.begin(),
                 [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  if (name.starts_with("CAP_")) name.erase(0, 4);
  return name;
}

struct Capability {
  std::string_view name;
  FindingSeverity severity;
  const char* impact;
};

/// Those that Docker does not give by itself. The list: capabilities(7).
constexpr std::array kCapabilities = {
    Capability{"ALL", FindingSeverity::critical,
               "loads kernel modules and mounts disks: root on the host"},
    Capability{"SYS_ADMIN", FindingSeverity::critical,
               "mounts anything and escapes from the container"},
    Capability{"SYS_MODULE", FindingSeverity::critical, "loads a module into the kernel"},
    Capability{"SYS_RAWIO", FindingSeverity::critical,
               "reads and writes the machine's memory and disks"},
    Capability{"DAC_READ_SEARCH", FindingSeverity::critical,
               "opens any file on the host's disk by its handle (open_by_handle_at)"},
    Capability{"BPF", FindingSeverity::high, "loads programs into the kernel and reads its memory"},
    Capability{"PERFMON", FindingSeverity::high,
               "reads kernel memory through performance counters"},
    Capability{"SYS_PTRACE", FindingSeverity::high,
               "takes over other processes of the container, and with the host's processes the "
               "host"},
    Capability{"SYS_BOOT", FindingSeverity::high, "reboots the host, possibly into another kernel"},
    Capability{"SYS_TIME", FindingSeverity::high,
               "sets the host's clock: certificates and logs go wrong"},
    Capability{"MAC_ADMIN", FindingSeverity::high, "removes AppArmor's rules"},
    Capability{"MAC_OVERRIDE", FindingSeverity::high, "is not confined by AppArmor"},
    Capability{"SYSLOG", FindingSeverity::medium, "reads the kernel's log, with kernel addresses"},
    Capability{"NET_ADMIN", FindingSeverity::high,
               "changes addresses, routes and firewall rules of its network"},
    Capability{"SYS_RESOURCE", FindingSeverity::medium,
               "exceeds the limits of processes and files"},
    Capability{"SYS_NICE", FindingSeverity::medium, "takes the CPU from all other processes"},
    Capability{"IPC_LOCK", FindingSeverity::low, "locks memory that others need"},
    Capability{"WAKE_ALARM", FindingSeverity::low, "wakes the machine"},
};

/// Docker's own fourteen, from its documentation of `--cap-add`.
constexpr std::array<std::string_view, 14> kGivenByDefault = {
    "AUDIT_WRITE",      "CHOWN",   "DAC_OVERRIDE", "FOWNER", "FSETID",  "KILL",   "MKNOD",
    "NET_BIND_SERVICE", "NET_RAW", "SETFCAP",      "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT"};

void add_capability(const Container& container, const std::string& name, Out& out) {
  if (std::find(kGivenByDefault.begin(), kGivenByDefault.end(), name) != kGivenByDefault.end()) {
    return;
  }
  const auto known = std::find_if(kCapabilities.begin(), kCapabilities.end(),
                                  [&](const Capability& c) { return c.name == name; });
  FindingSeverity severity =
      known == kCapabilities.end() ? FindingSeverity::medium : known->severity;
  std::string impact =
      known == kCapabilities.end() ? "does what only the host's root should do" : known->impact;
  const bool all_networks = container.network_mode == "host";
  if (name == "NET_ADMIN" && all_networks) {
    severity = FindingSeverity::critical;
    impact = "opens the firewall: with the host's network this is the host's";
  }
  if (name == "SYS_PTRACE" && container.pid_mode == "host") {
    severity = FindingSeverity::critical;
    impact = "takes over any process of the host, even root's";
  }
  const std::string shown = printable(name, 32);
  add(out, severity, "capability", fmt::format("has the capability {}", shown), std::move(impact),
      fmt::format("without --cap-add {}", shown), fmt::format("cap_add: without {}", shown));
}

void add_capabilities(const Container& container, Out& out) {
  std::set<std::string> added;
  for (const std::string& text : container.cap_add) added.insert(capability_name(text));
  for (const std::string& name : added) add_capability(container, name, out);
  std::set<std::string> dropped;
  for (const std::string& text : container.cap_drop) dropped.insert(capability_name(text));
  if (dropped.contains("ALL")) return;
  const bool forges = !dropped.contains("NET_RAW");
  add(out, FindingSeverity::low, "capabilities-kept",
      forges ? "keeps Docker's default capabilities, NET_RAW among them"
             : "keeps Docker's default capabilities",
      forges ? "sends forged packets to its neighbours on the bridge (ARP, DNS)"
             : "its root has more ways into the kernel than the app needs",
      "--cap-drop ALL, and --cap-add for the few that it needs", "cap_drop: [ALL]");
}

bool has_option(const Container& container, std::string_view name, std::string_view value) {
  return std::any_of(
      container.security_opt.begin(), container.security_opt.end(), [&](std::string_view option) {
        if (!option.starts_with(name)) return false;
        option.remove_prefix(name.size());
        return option.empty() ? value == "true"
                              : (option[0] == '=' || option[0] == ':') && option.substr(1) == value;
      });
}

void add_profiles(const Container& container, const Engine& engine, Out& out) {
  if (has_option(container, "seccomp", "unconfined")) {
    add(out, FindingSeverity::high, "seccomp", "runs without a seccomp filter",
        "reaches every system call of the kernel, vulnerable ones too",
        "without --security-opt seccomp=unconfined", "security_opt: without seccomp:unconfined");
  }
  // A privileged container has no profile unless it is given one; that is said once.
  const bool without_profile =
      container.apparmor_profile == "unconfined" ||
      (engine.apparmor && container.running && container.apparmor_profile.empty());
  const bool unconfined =
      has_option(container, "apparmor", "unconfined") || (without_profile && !container.privileged);
  if (unconfined) {
    add(out, engine.apparmor ? FindingSeverity::high : FindingSeverity::medium, "apparmor",
        "runs without an AppArmor profile",
        "writes to /proc and /sys, and mounts, where its rights allow",
        "--security-opt apparmor=docker-default, or its own profile: cloudron-fw render "
        "apparmor",
        "security_opt: [apparmor:docker-default]");
  }
  if (!engine.no_new_privileges && !has_option(container, "no-new-privileges", "true")) {
    add(out, FindingSeverity::medium, "new-privileges",
        "may impact privileges by programs with setuid",
        "becomes root in the container through a weak setuid program",
        "--security-opt no-new-privileges", "security_opt: [no-new-privileges:true]");
  }
}

bool is_root(std::string user) {
  user = user.substr(0, user.find(':'));
  if (user.empty() || user == "root") return true;
  return user.find_first_not_of('0') == std::string::npos;
}

void add_user(const Container& container, const Engine& engine, Out& out) {
  const bool mapped = engine.user_namespaces && container.userns_mode != "host";
  if (engine.user_namespaces && !mapped) {
    add(out, FindingSeverity::high, "user-namespace", "is taken out of Docker's user namespace",
        "is the host's root to the kernel, where other containers are unprivileged",
        "without --userns=host", "userns_mode: without host");
  }
  if (!is_root(container.user)) return;
  add(out, mapped ? FindingSeverity::low : FindingSeverity::medium, "root-user",
      container.user.empty() ? "runs as root (no user is set)"
                             : fmt::format("runs as root (user {})", quote(container.user)),
      mapped ? "owns every file of the container"
             : "is root on the host once it escapes from the container",
      "--user 10001:10001", "user: \"10001:10001\"");
}

struct Shared {
  std::string Container::*mode;
  const char* rule;
  FindingSeverity severity;
  const char* what;
  const char* impact;
  const char* fix;
  const char* compose;
};

const std::array kShared = {
    Shared{&Container::network_mode, "host-network", FindingSeverity::high,
           "shares the host's network",
           "listens on any port, reaches services on the host's loopback, and no limit of an "
           "app applies to it",
           "--network NAME instead of host, with -p for its ports",
           "network_mode: without host; ports: [...]"},
    Shared{&Container::pid_mode, "host-processes", FindingSeverity::high,
           "sees the host's processes",
           "reads their command lines and, as root, their environment and files (/proc/PID/root)",
           "without --pid=host", "pid: without host"},
    Shared{&Container::ipc_mode, "host-ipc", FindingSeverity::medium,
           "shares the host's memory segments",
           "reads and changes shared memory of the host's programs (databases, desktops)",
           "without --ipc=host", "ipc: private"},
    Shared{&Container::uts_mode, "host-name", FindingSeverity::low, "shares the host's name",
           "renames the host, once it has SYS_ADMIN", "without --uts=host", "uts: without host"},
    Shared{&Container::cgroupns_mode, "host-cgroups", FindingSeverity::low,
           "sees the host's control groups", "learns the names of all containers and services",
           "--cgroupns=private", "cgroup: private"},
};

void add_namespaces(const Container& container, Out& out) {
  for (const Shared& shared : kShared) {
    if (container.*shared.mode != "host") continue;
    add(out, shared.severity, shared.rule, shared.what, shared.impact, shared.fix, shared.compose);
  }
  if (container.network_mode == "default" || container.network_mode == "bridge") {
    add(out, FindingSeverity::low, "default-bridge", "is on Docker's default bridge",
        "talks to every other container there, whatever app it belongs to",
        "--network NAME, after docker network create NAME", "networks: [NAME]");
  }
}

/// Services that trust whoever reaches them, or guard themselves with a password alone.
constexpr std::array<std::uint16_t, 13> kInternalPorts = {
    2375, 2376, 3306, 5432, 5984, 6379, 8086, 9200, 9300, 11211, 15672, 27017, 5672};

bool is_all_addresses(const std::string& ip) { return ip.empty() || ip == "0.0.0.0" || ip == "::"; }

void add_ports(const Container& container, const Policy& policy, Out& out) {
  const auto open = all_open_ports(policy);
  std::set<std::pair<Protocol, std::uint16_t>> seen;
  for (const docker::PublishedPort& port : container.ports) {
    if (!is_all_addresses(port.host_ip) || port.host_port == 0) continue;
    if (!seen.emplace(port.protocol, port.host_port).second) continue;  // its IPv6 twin
    const std::string name = fmt::format("{}/{}", to_string(port.protocol), port.host_port);
    const auto opened = std::find_if(open.begin(), open.end(), [&](const auto& range) {
      return range.value.contains(port.protocol, port.host_port);
    });
    const std::string udp = port.protocol == Protocol::udp ? "/udp" : "";
    const std::string fix =
        fmt::format("-p 127.0.0.1:{}:{}{}", port.host_port, port.container_port, udp);
    const std::string compose =
        fmt::format("ports: [\"127.0.0.1:{}:{}{}\"]", port.host_port, port.container_port, udp);
    if (opened == open.end()) {
      add(out, FindingSeverity::low, "port-closed",
          fmt::format("publishes {} on all addresses, but the policy does not open it", name),
          "reaches it from other containers, and from anywhere while no firewall is in force", fix,
          compose);
      continue;
    }
    const bool internal = std::find(kInternalPorts.begin(), kInternalPorts.end(),
                                    port.container_port) != kInternalPorts.end();
    const std::string where = to_string(opened->where);
    add(out, internal ? FindingSeverity::high : FindingSeverity::low, "port-open",
        fmt::format("publishes {} on all addresses, and the policy opens it ({})", name,
                    where.empty() ? "by default" : printable(where, 128)),
        internal ? "guesses the password of a database or a broker from anywhere"
                 : "reaches the app without the reverse proxy, if there is one",
        fix, compose);
  }
}

void add_limits(const Container& container, Out& out) {
  if (container.pids_limit <= 0) {
    add(out, FindingSeverity::medium, "pids", "may start any number of processes",
        "stops the host with a fork bomb", "--pids-limit 256", "pids_limit: 256");
  }
  if (container.memory <= 0) {
    add(out, FindingSeverity::medium, "memory", "may use all memory",
        "makes the kernel kill processes of other apps and the host", "--memory 512m",
        "mem_limit: 512m");
  }
  if (!container.cpu_limited) {
    add(out, FindingSeverity::low, "cpu", "may use every processor",
        "slows all others down (mining)", "--cpus 1", "cpus: 1.0");
  }
  const bool endless = container.restart == "always" || container.restart == "unless-stopped" ||
                       (container.restart == "on-failure" && container.restarts_max == 0);
  if (endless) {
    add(out, FindingSeverity::low, "restart",
        fmt::format("restarts without a limit ({})", printable(container.restart, 20)),
        "retries a crashing exploit until it works", "--restart on-failure:5",
        "restart: on-failure:5");
  }
  if (!container.health_check) {
    add(out, FindingSeverity::low, "health-check", "has no health check", "makes it hang unnoticed",
        "--health-cmd 'COMMAND'", "healthcheck: { test: [CMD, COMMAND] }");
  }
}

void add_image(const Container& container, Out& out) {
  const std::string& image = container.image;
  if (image.find('@') != std::string::npos || image.starts_with("sha256:")) return;
  const auto name = image.rfind('/') == std::string::npos ? 0 : image.rfind('/') + 1;
  const auto colon = image.find(':', name);
  if (colon != std::string::npos && image.substr(colon) != ":latest") return;
  const std::string shown = printable(image.substr(0, colon), 100);
  add(out, FindingSeverity::low, "image-latest",
      fmt::format("runs whatever {} currently is", shown),
      "reaches you with the next pull, if the image's name is taken over",
      fmt::format("{}:VERSION or {}@sha256:DIGEST", shown, shown),
      fmt::format("image: {}:VERSION", shown));
}

void add_privileged(Out& out) {
  add(out, FindingSeverity::critical, "privileged", "is privileged",
      "has every capability and device, no seccomp, no AppArmor: root on the host",
      "without --privileged; --cap-add for what it needs", "privileged: false");
}

}  // namespace

std::vector<Finding> findings(const Container& container, const Engine& engine,
                              const Policy& policy) {
  Out out;
  if (container.privileged) {
    add_privileged(out);  // which is more than all that these could say
  } else {
    add_capabilities(container, out);
    add_devices(container, out);
  }
  add_mounts(container, out);
  add_profiles(container, engine, out);
  add_user(container, engine, out);
  add_namespaces(container, out);
  if (!container.read_only_root) {
    add(out, FindingSeverity::medium, "root-writable", "may write to its root file system",
        "replaces the app's programs and persists after the hole is fixed",
        "--read-only --tmpfs /tmp", "read_only: true");
  }
  add_ports(container, policy, out);
  add_limits(container, out);
  add_image(container, out);
  sort_findings(out);
  if (out.size() > kFindingsMax) {
    const std::size_t more = out.size() - kFindingsMax;
    const FindingSeverity severity = out[kFindingsMax].severity;
    out.resize(kFindingsMax);
    add(out, severity, "more", fmt::format("{} more findings are not shown", more), "", "", "");
  }
  const std::string subject =
      printable(container.name.empty() ? container.id.substr(0, 12) : container.name);
  const std::string service =
      container.service.empty() ? "" : fmt::format("in {}: ", printable(container.service));
  for (Finding& finding : out) {
    finding.subject = subject;
    if (!finding.compose.empty()) finding.compose.insert(0, service);
  }
  return out;
}

std::vector<Finding> engine_findings(const Engine& engine) {
  Out out;
  if (!engine.seccomp) {
    add(out, FindingSeverity::high, "engine-seccomp", "has no seccomp filter for containers",
        "reaches every system call of the kernel from any container",
        "remove \"seccomp-profile\": \"unconfined\" from /etc/docker/daemon.json", "");
  }
  if (!engine.apparmor) {
    add(out, FindingSeverity::medium, "engine-apparmor", "has no AppArmor on this host",
        "faces one layer less in every container",
        "apt install apparmor, then reboot (kernel command line: apparmor=1 security=apparmor)",
        "");
  }
  if (!engine.user_namespaces) {
    add(out, FindingSeverity::medium, "engine-user-namespaces",
        "gives containers the host's user ids",
        "is root on the host once root escapes from a container",
        "\"userns-remap\": \"default\" in /etc/docker/daemon.json; images and containers "
        "must be recreated",
        "");
  }
  sort_findings(out);
  for (Finding& finding : out) finding.subject = "Docker";
  return out;
}

}  // namespace fw::sandbox
