// The text of the AppArmor profile.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/plugins/sandbox/apparmor.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "fw/base/digit.hpp"
#include "fw/base/limits.hpp"

namespace fw::sandbox {
namespace {

// {0}: the profile's name. A deny wins over whatever allows, whichever comes first.
constexpr const char* kProfile = R"(# AppArmor profile {0}, made by: cloudron-fw render apparmor{1}
#
#   cloudron-fw render apparmor{1} | sudo tee /etc/apparmor.d/{0}
#   sudo apparmor_parser -r /etc/apparmor.d/{0}
#   docker run --security-opt apparmor={0} ...
#   Compose: security_opt: [apparmor:{0}]

abi <abi/3.0>,
include <tunables/global>

profile {0} flags=(attach_disconnected,mediate_deleted) {{
  include <abstractions/base>

  file,
  capability,
  network inet stream,
  network inet dgram,
  network inet6 stream,
  network inet6 dgram,
  network netlink raw,
  unix,

  # Raw sockets forge packets. ping works without: by ICMP datagrams.
  deny network inet raw,
  deny network inet6 raw,
  deny network packet,
  deny capability net_raw,

  deny mount,
  deny umount,
  deny remount,
  deny pivot_root,
  deny capability sys_admin,
  deny capability sys_module,
  deny capability sys_rawio,
  deny capability mac_admin,
  deny capability mac_override,

  # Its own processes it may trace and signal; the container engine ends them.
  ptrace (trace, read, tracedby, readby) peer={0},
  signal (send, receive) peer={0},
  signal (receive) peer=unconfined,
  signal (receive) peer=runc,
  signal (receive) peer=crun,

  # Below /proc a digit begins what belongs to a process; all else is the kernel's.
  deny @{{PROC}}/[^0-9]** wkl,
  deny @{{PROC}}/{{kcore,kmem,mem}} rwklx,
  deny /sys/** wkl,
  deny /sys/firmware/** rwklx,
  deny /sys/kernel/security/** rwklx,
}}
)";

}  // namespace

bool is_app_name(std::string_view name) {
  const auto letter = [](char c) { return c >= 'a' && c <= 'z'; };
  return !name.empty() && name.size() <= kNameLengthMax && letter(name[0]) &&
         std::all_of(name.begin(), name.end(),
                     [&](char c) { return letter(c) || is_digit(c) || c == '-' || c == '_'; });
}

std::string apparmor_name(std::string_view app) {
  return app.empty() ? "cloudron-fw-app" : fmt::format("cloudron-fw-app-{}", app);
}

std::string apparmor_profile(std::string_view app) {
  return fmt::format(kProfile, apparmor_name(app), app.empty() ? "" : fmt::format(" {}", app));
}

}  // namespace fw::sandbox
