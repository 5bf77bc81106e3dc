// Rendering for the proxy of the policy.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/plugins/tls/plugin.hpp"

#include <fmt/format.h>

#include "fw/base/suggest.hpp"
#include "fw/plugins/tls/words.hpp"

namespace fw::tls {

Result<std::vector<TextFile>> render(const RenderRequest& request) {
  NginxHost host;
  host.letsencrypt = request.options.find("letsencrypt")->second;
  host.webroot = request.options.find("webroot")->second;
  return nginx_files(request.policy, host);
}

Result<InstallReport> install(const RenderRequest& request) {
  const auto option = [&request](const char* name) { return request.options.find(name)->second; };
  return install_sites(request.policy, {option("nginx"), option("letsencrypt"), option("webroot")});
}

std::string folder_complaint(const std::string& folder) {
  const std::string why = path_complaint(folder);
  return why.empty() ? "" : fmt::format("{} {}", quote(folder), why);
}

}  // namespace fw::tls
