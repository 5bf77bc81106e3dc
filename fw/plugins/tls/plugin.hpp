// The plugin "tls": nginx's configuration for the sites of the policy.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <array>

#include "fw/plugins/plugin.hpp"
#include "fw/plugins/tls/nginx.hpp"

namespace fw::tls {

/// Files for nginx, as if every site had its certificate.
Result<std::vector<TextFile>> render(const RenderRequest& request);

/// The same for whoever knows where: see install() below.
struct InstallPlaces {
  std::string nginx = "/etc/nginx";
  std::string letsencrypt = kLetsEncrypt;
  std::string webroot = kWebroot;
};
enum class Reload : std::uint8_t { when_changed, always };
Result<InstallReport> install_sites(const Policy& policy, const InstallPlaces& places,
                                    Reload reload = Reload::when_changed);

/// Puts them in --nginx DIR: all of them at once, or none when nginx refuses. Sites that lack their
/// certificate answer by HTTP only. Reloads nginx when something changed and it runs.
Result<InstallReport> install(const RenderRequest& request);

/// Why this is no folder for nginx's configuration; "" when it is one.
std::string folder_complaint(const std::string& folder);

inline constexpr std::array kRenderOptions = {
    PluginOption{PluginOption::Form::value, "nginx", 0,
                 "nginx's folder, for --install: files go into DIR/cloudron-fw", "DIR",
                 "/etc/nginx"},
    PluginOption{PluginOption::Form::value, "letsencrypt", 0, "certbot's folder", "DIR",
                 kLetsEncrypt, folder_complaint},
    PluginOption{PluginOption::Form::value, "webroot", 0,
                 "Folder with the answers to a CA's challenges", "DIR", kWebroot,
                 folder_complaint}};

inline constexpr Plugin kPlugin{
    .name = "tls",
    .render = {.name = "nginx",
               .about = "nginx as reverse proxy of the sites: HTTPS only, security headers, limits "
                        "of requests. Include http.conf and sites/*.conf in its block http.",
               .subject_key = "site",
               .text_key = "text",
               .options = kRenderOptions,
               .run = render,
               .install = install}};

}  // namespace fw::tls
