// Kernel settings (sysctls) that weaken what the firewall promises.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace fw {

/// high: a promise is broken by whoever tries. medium: by who can send much. low: now and then.
enum class SettingHarm : std::uint8_t { low, medium, high };

constexpr const char* to_string(SettingHarm harm) {
  return harm == SettingHarm::high ? "high" : harm == SettingHarm::medium ? "medium" : "low";
}

struct WeakSetting {
  SettingHarm harm = SettingHarm::low;
  std::string name;        ///< "net.ipv4.tcp_syncookies"
  std::int64_t value = 0;  ///< as it is
  std::string means;       ///< what an attacker, or the admin, has of it
  std::string remedy;      ///< "sysctl -w net.ipv4.tcp_syncookies=1"

  bool operator==(const WeakSetting&) const = default;
};

/// The value of a setting in this network namespace; nothing when this kernel has none such.
using ReadSetting = std::function<std::optional<std::int64_t>(const std::string& name)>;
std::optional<std::int64_t> read_setting(const std::string& name);

/// Those that weaken a promise, the worst first. The kernel's defaults are none, but for a table of
/// connections that is small because the machine is.
std::vector<WeakSetting> weak_settings(const ReadSetting& read = read_setting);

/// "net.ipv4.tcp_syncookies is 0: ...; sysctl -w ...", for people.
std::string to_string(const WeakSetting& setting);

}  // namespace fw
