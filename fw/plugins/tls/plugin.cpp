// Rendering for reverse proxies.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/plugins/tls/plugin.hpp"

#include <fmt/format.h>

#include "fw/base/suggest.hpp"
#include "fw/plugins/tls/haproxy.hpp"
#include "fw/plugins/tls/words.hpp"

namespace fw::tls {
namespace {

InstallPlaces places_of(const RenderRequest& request) {
  const auto option = [&request](const char* name) { return request.options.find(name)->second; };
  return {option("nginx"), option("letsencrypt"), option("webroot"), option("limiter")};
}

}  // namespace

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
  const InstallPlaces places = places_of(request);
  if (kept_sites(places.nginx)) {
    return fail(ErrorCode::usage,
                "the sites are on trial, and nothing was changed; first keep them (cloudron-fw "
                "confirm) or go back (cloudron-fw rollback)");
  }
  return install_sites(request.policy, places);
}

Result<InstallDifference> compare(const RenderRequest& request) {
  return compare_sites(request.policy, places_of(request));
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
