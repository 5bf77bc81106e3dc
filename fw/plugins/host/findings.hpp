// Weaknesses of the host itself. Pure: facts in, findings out.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "fw/host/settings.hpp"
#include "fw/host/tcp_sockets.hpp"
#include "fw/plugins/finding.hpp"
#include "fw/plugins/host/apt_conf.hpp"
#include "fw/plugins/host/sshd_config.hpp"
#include "fw/policy/policy.hpp"

namespace fw::host_audit {

using FileTime = std::chrono::sys_seconds;

/// Who listens on a port.
struct Listener {
  Protocol protocol = Protocol::tcp;
  Ip ip;  ///< all zero: on all addresses
  std::uint16_t port = 0;
  std::string program;  ///< as the kernel names it; "" when it is not known
  int pid = 0;

  bool operator==(const Listener&) const = default;
};

/// Of the running system; absent when another root than / is looked at.
struct Running {
  bool forwards4 = false;
  bool forwards6 = false;
  std::vector<Listener> listeners;
  std::vector<WeakSetting> settings;
};

struct Facts {
  bool has_unattended_upgrades = false;  ///< /usr/bin/unattended-upgrade
  AptConf apt;
  std::optional<FileTime> upgrades_ran;  ///< the latest sign of it
  bool has_sshd = false;                 ///< /usr/sbin/sshd
  SshdConfig sshd;
  bool reboot_required = false;
  std::vector<std::string> reboot_packages;
  std::optional<Running> running;
  std::vector<std::string> unread;  ///< files that are there and could not be read, and why
};

/// The gravest first; at most kFindingsMax, and then one that says how many more.
std::vector<Finding> findings(const Facts& facts, const Policy& policy, FileTime now);

}  // namespace fw::host_audit
