// Kernel settings that weaken what the firewall promises.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/host/settings.hpp"

#include <algorithm>
#include <array>
#include <fstream>

#include <fmt/format.h>

namespace fw {
namespace {

struct Rule {
  SettingHarm harm;
  const char* name;
  bool (*weak)(std::int64_t);
  const char* means;
  std::int64_t better;
};

bool is_on(std::int64_t value) { return value != 0; }
bool is_off(std::int64_t value) { return value == 0; }
/// 0: no bound.
bool is_small_table(std::int64_t value) { return value > 0 && value < 65'536; }
/// sshd's keepalive, and that of every program which asks for it, comes after two hours.
bool is_impatient(std::int64_t value) { return value < 7'200; }

/// Not here: tcp_loose (what does not begin with a SYN is dropped anyway), tcp_fastopen (stripped
/// on limited ports), rp_filter (an app's address is looked up by its route), accept_source_route
/// (the answer takes a way that conntrack does not take for one), nf_conntrack_helper (gone
/// since 6.0).
constexpr std::array kRules{
    Rule{SettingHarm::high, "net.netfilter.nf_conntrack_tcp_be_liberal", is_on,
         "packets with any sequence number complete a handshake, so a few forged ones spend the "
         "budget "
         "of another client and lock it out",
         0},
    Rule{SettingHarm::high, "net.netfilter.nf_conntrack_tcp_ignore_invalid_rst", is_on,
         "forged resets need no sequence number: an attacker who knows the ports of a connection "
         "makes "
         "it stall and count again",
         0},
    Rule{SettingHarm::medium, "net.ipv4.tcp_syncookies", is_off,
         "a flood of forged SYNs fills a server's queue and locks honest clients out", 1},
    Rule{SettingHarm::low, "net.netfilter.nf_conntrack_max", is_small_table,
         "a flood fills the connection table sooner, and honest clients must retry", 262'144},
    Rule{SettingHarm::low, "net.netfilter.nf_conntrack_tcp_timeout_established", is_impatient,
         "connections that are idle for longer are forgotten and then dropped, before a keepalive "
         "(two hours) can keep them alive",
         432'000},
};

std::string path_of(std::string name) {
  std::replace(name.begin(), name.end(), '.', '/');
  return "/proc/sys/" + name;
}

}  // namespace

std::optional<std::int64_t> read_setting(const std::string& name) {
  std::ifstream file(path_of(name));
  std::int64_t value = 0;
  if (!(file >> value)) return {};
  return value;
}

std::vector<WeakSetting> weak_settings(const ReadSetting& read) {
  std::vector<WeakSetting> out;
  for (const Rule& rule : kRules) {
    const auto value = read(rule.name);
    if (!value || !rule.weak(*value)) continue;
    out.push_back({rule.harm, rule.name, *value, rule.means,
                   fmt::format("sysctl -w {}={}, and in /etc/sysctl.d/", rule.name, rule.better)});
  }
  std::ranges::stable_sort(out, std::ranges::greater(), &WeakSetting::harm);
  return out;
}

std::string to_string(const WeakSetting& setting) {
  return fmt::format("{} is {}: {} ({})", setting.name, setting.value, setting.means,
                     setting.remedy);
}

}  // namespace fw
