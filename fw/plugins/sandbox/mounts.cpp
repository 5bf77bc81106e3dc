// Bind mounts and devices, graded by what they expose.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/plugins/sandbox/mounts.hpp"

#include <algorithm>
#include <array>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include <fmt/format.h>

#include "fw/base/suggest.hpp"

namespace fw::sandbox {
namespace {

constexpr std::size_t kPathShown = 128;

/// One name for each file: "/var/run//docker.sock/" is "/run/docker.sock".
std::string normal(const std::string& path) {
  std::string text = std::filesystem::path(path).lexically_normal().string();
  while (text.size() > 1 && text.ends_with('/')) text.pop_back();
  if (text == "/var/run" || text.starts_with("/var/run/")) text.erase(0, 4);
  return text;
}

bool is_or_below(std::string_view path, std::string_view folder) {
  return path == folder ||
         (path.starts_with(folder) && path.size() > folder.size() && path[folder.size()] == '/');
}

/// Who may write to one of them has the host.
constexpr std::array<std::string_view, 6> kEngineSockets = {
    "/run/docker.sock",
    "/run/containerd/containerd.sock",
    "/run/podman/podman.sock",
    "/run/crio/crio.sock",
    "/run/docker/containerd.sock",
    "/run/docker/containerd/containerd.sock"};

bool has_engine_socket(const std::string& path) {
  if (path.ends_with("/docker.sock") || path.ends_with("/containerd.sock")) return true;
  return path != "/" && std::any_of(kEngineSockets.begin(), kEngineSockets.end(),
                                    [&](auto socket) { return is_or_below(socket, path); });
}

struct Folder {
  std::string_view path;
  FindingSeverity writable;
  FindingSeverity readable;
  const char* write_gain;
  const char* read_gain;
};

constexpr const char* kReadsSecrets = "reads keys, password hashes and settings of the host";
constexpr const char* kReplaces = "replaces programs that the host's root runs";

/// Whole trees; the first that fits counts.
constexpr std::array kFolders = {
    Folder{"/dev", FindingSeverity::critical, FindingSeverity::high,
           "writes to the host's disks and memory", "reads the host's devices"},
    Folder{"/proc", FindingSeverity::critical, FindingSeverity::high,
           "sets a program that the kernel runs as the host's root (core_pattern)",
           "sees the host's processes with their environment and the secrets in it"},
    Folder{"/sys", FindingSeverity::critical, FindingSeverity::medium,
           "runs programs as the host's root through kernel settings (uevent_helper, cgroups)",
           "learns the host's hardware and kernel addresses"},
    Folder{"/etc", FindingSeverity::critical, FindingSeverity::high,
           "adds a user, a cron job or a service to the host", kReadsSecrets},
    Folder{"/root", FindingSeverity::critical, FindingSeverity::high,
           "adds its own SSH key to root's", "reads root's SSH keys and history"},
    Folder{"/home", FindingSeverity::high, FindingSeverity::medium,
           "adds its own SSH key to a user's", "reads users' SSH keys and files"},
    Folder{"/boot", FindingSeverity::critical, FindingSeverity::medium,
           "changes the kernel that boots next",
           "reads the kernel and the hash of a boot password"},
    Folder{"/usr", FindingSeverity::critical, FindingSeverity::low, kReplaces,
           "learns which programs are out of date"},
    Folder{"/bin", FindingSeverity::critical, FindingSeverity::low, kReplaces,
           "learns which programs are out of date"},
    Folder{"/sbin", FindingSeverity::critical, FindingSeverity::low, kReplaces,
           "learns which programs are out of date"},
    Folder{"/lib", FindingSeverity::critical, FindingSeverity::low, kReplaces,
           "learns which programs are out of date"},
    Folder{"/lib64", FindingSeverity::critical, FindingSeverity::low, kReplaces,
           "learns which programs are out of date"},
    Folder{"/opt", FindingSeverity::high, FindingSeverity::low, kReplaces,
           "learns which programs are out of date"},
    Folder{"/run", FindingSeverity::critical, FindingSeverity::high,
           "talks to the host's services through their sockets",
           "talks to the host's services through their sockets, even read-only"},
    Folder{"/var/lib/docker", FindingSeverity::critical, FindingSeverity::high,
           "changes files of every container and image", "reads files of every container"},
    Folder{"/var/lib/containerd", FindingSeverity::critical, FindingSeverity::high,
           "changes files of every container and image", "reads files of every container"},
    Folder{"/var/lib/cloudron-fw", FindingSeverity::critical, FindingSeverity::medium,
           "lifts blocks and changes the firewall at the next boot",
           "reads which addresses you block"},
    Folder{"/var/spool/cron", FindingSeverity::critical, FindingSeverity::medium,
           "runs anything as root", "learns what runs when"},
    Folder{"/var/log", FindingSeverity::medium, FindingSeverity::low, "wipes its traces",
           "reads names, addresses and secrets logged by mistake"},
};

/// What containers are often given of these trees, and learn nothing from when it is read-only.
constexpr std::array<std::string_view, 8> kHarmlessToRead = {"/etc/localtime",
                                                             "/etc/timezone",
                                                             "/etc/ssl/certs",
                                                             "/etc/ca-certificates",
                                                             "/etc/hostname",
                                                             "/usr/share/zoneinfo",
                                                             "/usr/share/ca-certificates",
                                                             "/etc/machine-id"};

/// A folder that holds such trees: "/", "/var", "/var/lib".
const Folder* inside_of(const std::string& path) {
  for (const Folder& folder : kFolders) {
    if (path == "/" || (is_or_below(folder.path, path) && folder.path != path)) return &folder;
  }
  return nullptr;
}

const Folder* sensitive(const std::string& path) {
  for (const Folder& folder : kFolders) {
    if (is_or_below(path, folder.path)) return &folder;
  }
  return inside_of(path);
}

std::string shown(const std::string& path) { return printable(path, kPathShown); }

Finding found(FindingSeverity severity, const char* rule, std::string what, std::string impact) {
  return {severity, rule, {}, std::move(what), std::move(impact), {}, {}};
}

void add_tree(const docker::Mount& mount, std::vector<Finding>& out) {
  const std::string path = normal(mount.source);
  const std::string pair = shown(mount.source) + ":" + shown(mount.destination);
  if (has_engine_socket(path)) {
    Finding finding = found(FindingSeverity::critical, "docker-socket",
                            fmt::format("has the container engine's socket: {}", pair),
                            "starts a privileged container and is root on the host; a read-only "
                            "mount does not prevent that");
    finding.fix = fmt::format("without -v {}; for read access, use a filtering proxy", pair);
    finding.compose = fmt::format("volumes: without \"{}\"", pair);
    out.push_back(std::move(finding));
    return;
  }
  const bool whole = path == "/";
  const Folder* const folder = sensitive(path);
  if (folder == nullptr) return;
  if (!mount.writable && std::any_of(kHarmlessToRead.begin(), kHarmlessToRead.end(),
                                     [&](auto harmless) { return is_or_below(path, harmless); })) {
    return;
  }
  const FindingSeverity severity =
      whole ? FindingSeverity::critical : (mount.writable ? folder->writable : folder->readable);
  Finding finding =
      found(severity, mount.writable ? "host-files-writable" : "host-files",
            fmt::format("{} the host's {}", mount.writable ? "writes to" : "reads", shown(path)),
            whole ? "has the host's sockets, keys and programs: root on the host"
                  : (mount.writable ? folder->write_gain : folder->read_gain));
  if (mount.writable && folder->readable < FindingSeverity::high && !whole) {
    finding.fix = fmt::format("-v {}:ro", pair);
    finding.compose = fmt::format("volumes: [\"{}:ro\"]", pair);
  } else {
    finding.fix = fmt::format(
        "without -v {}; give it a volume, or the one file that it needs with "
        ":ro",
        pair);
    finding.compose = fmt::format("volumes: without \"{}\"", pair);
  }
  out.push_back(std::move(finding));
}

void add_propagation(const docker::Mount& mount, std::vector<Finding>& out) {
  if (mount.propagation != "shared" && mount.propagation != "rshared") return;
  Finding finding = found(FindingSeverity::medium, "mount-propagation",
                          fmt::format("its mounts below {} appear on the host too ({})",
                                      shown(mount.destination), mount.propagation),
                          "covers the host's files with its own, once it may mount");
  finding.fix = fmt::format("--mount type=bind,src={},dst={},bind-propagation=rprivate",
                            shown(mount.source), shown(mount.destination));
  finding.compose = "bind: { propagation: rprivate }";
  out.push_back(std::move(finding));
}

/// Disks and memory: who has them has every file.
bool is_everything(const std::string& device) {
  constexpr std::array<std::string_view, 14> kBegin = {
      "/dev/mem",    "/dev/kmem", "/dev/port", "/dev/sd",    "/dev/hd",
      "/dev/vd",     "/dev/xvd",  "/dev/nvme", "/dev/dm-",   "/dev/md",
      "/dev/mapper", "/dev/disk", "/dev/loop", "/dev/mmcblk"};
  return device == "/dev" || std::any_of(kBegin.begin(), kBegin.end(),
                                         [&](auto begin) { return device.starts_with(begin); });
}

}  // namespace

void add_mounts(const docker::Container& container, std::vector<Finding>& out) {
  for (const docker::Mount& mount : container.mounts) {
    if (mount.type != "bind") continue;
    add_tree(mount, out);
    add_propagation(mount, out);
  }
}

void add_devices(const docker::Container& container, std::vector<Finding>& out) {
  for (const docker::Device& device : container.devices) {
    const std::string path = normal(device.host_path);
    const bool everything = is_everything(path);
    Finding finding = found(
        everything ? FindingSeverity::critical : FindingSeverity::medium, "device",
        fmt::format("has the host's device {} ({})", shown(path), printable(device.permissions, 8)),
        everything ? "reads and writes every file of the host, past its "
                     "permissions"
                   : "attacks the kernel's driver");
    finding.fix = fmt::format("without --device {}", shown(device.host_path));
    finding.compose = fmt::format("devices: without \"{}\"", shown(device.host_path));
    out.push_back(std::move(finding));
  }
  for (const std::string& rule : container.device_rules) {
    const bool all = rule.find('*') != std::string::npos;
    Finding finding =
        found(all ? FindingSeverity::high : FindingSeverity::medium, "device-rule",
              fmt::format("may use devices by the rule {}", quote(printable(rule))),
              "makes the device file itself and uses it: CAP_MKNOD is among Docker's defaults");
    finding.fix = fmt::format("without --device-cgroup-rule {}", quote(printable(rule)));
    finding.compose = "device_cgroup_rules: without it";
    out.push_back(std::move(finding));
  }
}

}  // namespace fw::sandbox
