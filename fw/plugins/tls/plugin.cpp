// Rendering for reverse proxies.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/plugins/tls/plugin.hpp"

#include <fmt/format.h>

#include "fw/base/suggest.hpp"
#include "fw/plugins/tls/haproxy.hpp"
#include "fw/plugins/tls/words.hpp"

namespace fw::tls {

Result<std::vector<TextFile>> render(const RenderRequest& request) {
  NginxHost host;
  host.letsencrypt = request.options.find("letsencrypt")->second;
  host.webroot = request.options.find("webroot")->second;
  host.limiter_socket = request.options.find("limiter")->second;
  return nginx_files(request.policy, host);
}

Result<std::vector<TextFile>> render_caddy(const RenderRequest& request) {
  return caddy_files(request.policy, request.options.find("limiter")->second);
}

Result<std::vector<TextFile>> render_haproxy(const RenderRequest& request) {
  return haproxy_files(request.policy);
}

Result<InstallReport> install(const RenderRequest& request) {
  const auto option = [&request](const char* name) { return request.options.find(name)->second; };
  return install_sites(request.policy, {option("nginx"), option("letsencrypt"), option("webroot"),
                                        option("limiter")});
}

std::string folder_complaint(const std::string& folder) {
  const std::string why = path_complaint(folder);
  return why.empty() ? "" : fmt::format("{} {}", quote(folder), why);
}

std::string socket_complaint(const std::string& path) {
  if (path.starts_with('/') && upstream_complaint("http://unix:" + path).empty()) return "";
  return fmt::format("{} is not the path of a socket; use letters, digits and \"/._-\"",
                     quote(path));
}

}  // namespace fw::tls
