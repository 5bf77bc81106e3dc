// nginx's configuration, which an admin or another program wrote.
// SPDX-License-Identifier: GPL-2.0-or-later
#include <cstdint>
#include <string_view>

#include "fw/base/limits.hpp"
#include "fw/plugins/tls/audit/nginx_file.hpp"
#include "fw/plugins/tls/audit/shared_names.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto all = fw::tls::parse_nginx({reinterpret_cast<const char*>(data), size});
  if (!all) return 0;
  const auto shared = fw::tls::shared_names(*all);
  if (shared.size() > fw::kSharedNamesMax) __builtin_trap();
  for (const auto& each : shared) {
    if (each.upstreams.size() < 2 || each.upstreams.size() > fw::kSharedUpstreamsMax)
      __builtin_trap();
  }
  (void)fw::tls::findings_of(shared);
  return 0;
}
