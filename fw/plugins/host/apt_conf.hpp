// apt's configuration, as far as it decides whether upgrades are automatic.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <map>
#include <string>
#include <string_view>

namespace fw::host_audit {

/// Values by their whole name in lower case ("apt::periodic::unattended-upgrade"); apt does not
/// care for case. The last wins.
using AptConf = std::map<std::string, std::string>;

/// Reads one file of apt.conf(5) on top of what was read before: `A::B "c";`, `A { B "c"; };` and
/// the three kinds of comments. Entries of lists (`A:: "x";`), #clear and #include are passed over.
void read_apt_conf(std::string_view text, AptConf& into);

}  // namespace fw::host_audit
