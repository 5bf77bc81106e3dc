// The plugins, a line for each.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/plugins/table/table.hpp"

#include <array>

#include "fw/plugins/host/plugin.hpp"
#include "fw/plugins/sandbox/plugin.hpp"
#include "fw/plugins/tls/audit/plugin.hpp"
#include "fw/plugins/tls/plugin.hpp"

namespace fw {
namespace {

/// The policy stands on the plugin itself, and is not to stand on OpenSSL with it.
constexpr Plugin with_audit(Plugin plugin, const PluginAudit& audit) {
  plugin.audit = audit;
  return plugin;
}

}  // namespace

std::span<const Plugin> plugins() {
  static constexpr std::array kPlugins = {
      sandbox::kPlugin,  host_audit::kPlugin, with_audit(tls::kPlugin, tls::kAudit),
      tls::kCaddyPlugin, tls::kHaproxyPlugin,
  };
  return kPlugins;
}

}  // namespace fw
