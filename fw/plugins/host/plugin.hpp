// The plugin "host": an audit of the host itself.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <array>

#include "fw/plugins/plugin.hpp"

namespace fw::host_audit {

/// Reads the files below --root, and of "/" what runs.
Result<AuditReport> audit(const AuditRequest& request);

inline constexpr std::array kAuditOptions = {PluginOption{
    PluginOption::Form::value, "root", 0,
    "Audit only the files of the system in this folder (a chroot, a mounted disk)", "DIR", "/"}};

inline constexpr Plugin kPlugin{
    .name = "host",
    .audit = {
        .about = "The host: automatic upgrades, root's password over SSH, "
                 "programs that listen on ports that the policy does not open, forwarding, sysctls "
                 "that weaken the firewall, a pending reboot. ",
        .fix_label = "fix",
        .options = kAuditOptions,
        .run = audit}};

}  // namespace fw::host_audit
