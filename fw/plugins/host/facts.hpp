// Looking at the host: its files below a folder, and what runs on it.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <string>

#include "fw/plugins/host/findings.hpp"

namespace fw::host_audit {

/// What lies below `root`; "/" is the running system, of which sockets and forwarding are looked at
/// too, and any other folder is that of a system that does not run (a chroot, a mounted disk).
/// `usage` when there is no such folder. Files that are not there are no error.
Result<Facts> read_facts(const std::string& root);

/// The sockets of this network namespace that wait for strangers: at most kListenersMax. Names of
/// programs need root. UDP that is connected to somebody is left out.
std::vector<Listener> read_listeners();

}  // namespace fw::host_audit
