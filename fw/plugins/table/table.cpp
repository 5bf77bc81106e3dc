// The plugins, a line for each.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/plugins/table/table.hpp"

#include <array>

#include "fw/plugins/host/plugin.hpp"
#include "fw/plugins/sandbox/plugin.hpp"
#include "fw/plugins/tls/plugin.hpp"

namespace fw {

std::span<const Plugin> plugins() {
  static constexpr std::array kPlugins = {
      sandbox::kPlugin,
      host_audit::kPlugin,
      tls::kPlugin,
  };
  return kPlugins;
}

}  // namespace fw
