// The host's facts, judged.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/plugins/host/findings.hpp"

#include <algorithm>
#include <set>
#include <utility>

#include <fmt/format.h>

#include "fw/base/endpoint.hpp"
#include "fw/base/limits.hpp"
#include "fw/base/suggest.hpp"

namespace fw::host_audit {
namespace {

using Out = std::vector<Finding>;
using std::chrono::days;

/// An upgrade is due each day; a host may be off for a weekend and a mirror for a day.
constexpr days kUpgradesLate{7};
constexpr std::size_t kPackagesShown = 8;

void add(Out& out, FindingSeverity severity, const char* rule, std::string what, std::string impact,
         std::string fix) {
  out.push_back({severity, rule, "host", std::move(what), std::move(impact), std::move(fix), {}});
}

/// "0" and nothing are off; "1", "7", "1d" and "always" are on.
bool is_on(const AptConf& conf, const char* key) {
  const auto found = conf.find(key);
  return found != conf.end() && !found->second.empty() &&
         found->second.find_first_not_of('0') != std::string::npos;
}

void add_upgrades(const Facts& facts, FileTime now, Out& out) {
  const char* const impact = "uses a known vulnerability that an update fixes";
  if (!facts.has_unattended_upgrades) {
    add(out, FindingSeverity::high, "upgrades-missing", "unattended-upgrades is not installed",
        impact, "apt install unattended-upgrades");
    return;
  }
  const auto enable = facts.apt.find("apt::periodic::enable");
  if (enable != facts.apt.end() && enable->second == "0") {
    add(out, FindingSeverity::high, "upgrades-off", "apt's periodic work is switched off", impact,
        "remove APT::Periodic::Enable \"0\" from /etc/apt/apt.conf.d");
    return;
  }
  for (const auto& [key, name] :
       {std::pair{"apt::periodic::update-package-lists", "APT::Periodic::Update-Package-Lists"},
        std::pair{"apt::periodic::unattended-upgrade", "APT::Periodic::Unattended-Upgrade"}}) {
    if (is_on(facts.apt, key)) continue;
    add(out, FindingSeverity::high, "upgrades-off",
        fmt::format("upgrades are not automatic: {} is "
                    "not set",
                    name),
        impact, fmt::format("{} \"1\"; in /etc/apt/apt.conf.d/20auto-upgrades", name));
  }
  if (!out.empty()) return;
  if (!facts.upgrades_ran) {
    add(out, FindingSeverity::medium, "upgrades-never-ran", "unattended-upgrades has never run",
        impact, "systemctl enable --now apt-daily.timer apt-daily-upgrade.timer");
  } else if (now - *facts.upgrades_ran > kUpgradesLate) {
    const auto age = std::chrono::floor<days>(now - *facts.upgrades_ran).count();
    add(out, FindingSeverity::medium, "upgrades-late",
        fmt::format("unattended-upgrades last ran {} days ago", age), impact,
        "journalctl -u apt-daily-upgrade; /var/log/unattended-upgrades says why");
  }
}

void add_ssh(const Facts& facts, Out& out) {
  if (!facts.has_sshd) return;
  const auto how = root_by_password(facts.sshd);
  if (!how) return;
  const std::string where = to_string(how->where);
  add(out, how->match.empty() ? FindingSeverity::high : FindingSeverity::medium,
      "ssh-root-password",
      fmt::format("root may log in over SSH with a password{} ({})",
                  how->match.empty() ? "" : fmt::format(" (Match {})", printable(how->match)),
                  printable(where, 128)),
      "guesses one password and controls the host",
      "PermitRootLogin prohibit-password in /etc/ssh/sshd_config, then systemctl reload ssh");
}

bool is_loopback_only(const Listener& listener) { return is_loopback(listener.ip); }

void add_listeners(const Running& running, const Policy& policy, Out& out) {
  const auto open = all_open_ports(policy);
  std::set<std::tuple<Protocol, std::uint16_t, std::string>> seen;
  for (const Listener& listener : running.listeners) {
    if (is_loopback_only(listener)) continue;
    if (std::any_of(open.begin(), open.end(), [&](const auto& range) {
          return range.value.contains(listener.protocol, listener.port);
        })) {
      continue;
    }
    if (!seen.emplace(listener.protocol, listener.port, listener.program).second) continue;
    const std::string who =
        listener.program.empty()
            ? "an unknown program"
            : fmt::format("{} (process {})", printable(listener.program, 32), listener.pid);
    add(out, FindingSeverity::low, "listener",
        fmt::format("{} listens on {}/{}, which the policy does not open", who,
                    to_string(listener.protocol), listener.port),
        "reaches it from app networks that you trust, and from anywhere while no firewall is "
        "in force",
        "let it listen only on 127.0.0.1 and ::1, or stop it; or open the port in [ports]");
  }
}

void add_forwarding(const Running& running, const Policy& policy, Out& out) {
  if (!policy.apps.empty() || (!running.forwards4 && !running.forwards6)) return;
  const std::string families = running.forwards4 && running.forwards6 ? "IPv4 and IPv6"
                               : running.forwards4                    ? "IPv4"
                                                                      : "IPv6";
  std::string fix;
  if (running.forwards4) fix += "net.ipv4.ip_forward=0";
  if (running.forwards6)
    fix += std::string(fix.empty() ? "" : ", ") + "net.ipv6.conf.all.forwarding=0";
  add(out, FindingSeverity::low, "forwarding",
      fmt::format("forwards {} although the policy names no app", families),
      "goes through this host into networks behind it",
      fmt::format("name the apps in [[app]]; without containers and VPNs: sysctl {}", fix));
}

void add_settings(const Running& running, Out& out) {
  for (const WeakSetting& setting : running.settings) {
    const FindingSeverity severity = setting.harm == SettingHarm::high     ? FindingSeverity::high
                                     : setting.harm == SettingHarm::medium ? FindingSeverity::medium
                                                                           : FindingSeverity::low;
    add(out, severity, "sysctl", fmt::format("{} is {}", setting.name, setting.value),
        setting.means, setting.remedy);
  }
}

void add_reboot(const Facts& facts, Out& out) {
  if (!facts.reboot_required) return;
  std::string packages;
  const std::size_t shown = std::min(facts.reboot_packages.size(), kPackagesShown);
  for (std::size_t i = 0; i < shown; ++i) {
    packages += (i > 0 ? ", " : "") + printable(facts.reboot_packages[i], 48);
  }
  if (facts.reboot_packages.size() > shown) packages += ", ...";
  add(out, FindingSeverity::medium, "reboot",
      packages.empty() ? "needs a reboot" : fmt::format("needs a reboot: {}", packages),
      "uses the hole that the upgrade fixes: the old kernel or library still runs",
      "reboot; Unattended-Upgrade::Automatic-Reboot \"true\"; does it at night");
}

}  // namespace

std::vector<Finding> findings(const Facts& facts, const Policy& policy, FileTime now) {
  Out out;
  add_upgrades(facts, now, out);
  add_ssh(facts, out);
  add_reboot(facts, out);
  if (facts.running) {
    add_settings(*facts.running, out);
    add_forwarding(*facts.running, policy, out);
    add_listeners(*facts.running, policy, out);
  }
  for (const std::string& file : facts.unread) {
    add(out, FindingSeverity::low, "unread", fmt::format("could not read everything: {}", file), "",
        "sudo cloudron-fw audit host");
  }
  sort_findings(out);
  if (out.size() > kFindingsMax) {
    const std::size_t more = out.size() - kFindingsMax;
    const FindingSeverity severity = out[kFindingsMax].severity;
    out.resize(kFindingsMax);
    add(out, severity, "more", fmt::format("{} more findings are not shown", more), "", "");
  }
  return out;
}

}  // namespace fw::host_audit
