// The plugin "tls": configuration of reverse proxies for the sites of the policy.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "fw/plugins/plugin.hpp"
#include "fw/plugins/tls/caddy.hpp"
#include "fw/plugins/tls/nginx.hpp"

namespace fw::tls {

/// Files for nginx, as if every site had its certificate.
Result<std::vector<TextFile>> render(const RenderRequest& request);

/// Snippets for a Caddyfile.
Result<std::vector<TextFile>> render_caddy(const RenderRequest& request);

/// Backends for HAProxy.
Result<std::vector<TextFile>> render_haproxy(const RenderRequest& request);

/// The same for whoever knows where: see install() below.
struct InstallPlaces {
  std::string nginx = "/etc/nginx";
  std::string letsencrypt = kLetsEncrypt;
  std::string webroot = kWebroot;
  std::string limiter_socket = kLimiterSocket;
};
enum class Reload : std::uint8_t { when_changed, always };
Result<InstallReport> install_sites(const Policy& policy, const InstallPlaces& places,
                                    Reload reload = Reload::when_changed);
/// What that would change. Errors: as nginx_files().
Result<InstallDifference> compare_sites(const Policy& policy, const InstallPlaces& places);

/// How the sites in nginx's folder were installed; nothing where they never were.
std::optional<InstallPlaces> installed_sites(const std::string& nginx);

// A trial keeps what it replaces beside the files, where root alone writes.

/// Copies what is installed, or remembers that nothing is, in the name of a trial (one line). On
/// disk when it returns. Errors: what an earlier trial kept is there.
Result<void> keep_sites(const std::string& nginx, const std::string& trial);
/// The trial that something is kept of.
std::optional<std::string> kept_sites(const std::string& nginx);
/// The trial was confirmed. That nothing is kept is no error.
Result<void> forget_kept_sites(const std::string& nginx);
/// Puts back what was kept, whatever nginx says of it, and reloads an nginx that accepts it. May be
/// done again at any time until it is done.
Result<InstallReport> bring_back_sites(const std::string& nginx);

/// Puts them in --nginx DIR: all of them at once, or none when nginx refuses. Sites that lack their
/// certificate answer by HTTP only. Reloads nginx when something changed and it runs.
/// Errors: a trial has replaced them, and has not ended.
Result<InstallReport> install(const RenderRequest& request);

/// What that would change.
Result<InstallDifference> compare(const RenderRequest& request);

/// Why this is no folder for nginx's configuration; "" when it is one.
std::string folder_complaint(const std::string& folder);

/// Why this is no path of a socket that a configuration can name; "" when it is one.
std::string socket_complaint(const std::string& path);

inline constexpr std::array kRenderOptions = {
    PluginOption{PluginOption::Form::value, "nginx", 0,
                 "nginx's folder, for --install: files go into DIR/cloudron-fw", "DIR",
                 "/etc/nginx"},
    PluginOption{PluginOption::Form::value, "letsencrypt", 0, "certbot's folder", "DIR",
                 kLetsEncrypt, folder_complaint},
    PluginOption{PluginOption::Form::value, "webroot", 0,
                 "Folder with the answers to a CA's challenges", "DIR", kWebroot, folder_complaint},
    PluginOption{PluginOption::Form::value, "limiter", 0,
                 "Socket of the limiter's service, for [tls] limiter = \"services\"", "PATH",
                 kLimiterSocket, socket_complaint}};

inline constexpr std::array kCaddyOptions = {PluginOption{PluginOption::Form::value, "limiter", 0,
                                                          "Socket of the limiter's service", "PATH",
                                                          kLimiterSocket, socket_complaint}};

inline constexpr Plugin kPlugin{
    .name = "tls",
    .render = {.name = "nginx",
               .about = "nginx as reverse proxy of the sites: HTTPS only, security headers, limits "
                        "of requests. Include http.conf and sites/*.conf in its block http.",
               .subject_key = "site",
               .text_key = "text",
               .options = kRenderOptions,
               .run = render,
               .install = install,
               .compare = compare}};

inline constexpr Plugin kCaddyPlugin{
    .name = "caddy",
    .render = {.name = "caddy",
               .about = "Snippets for Caddy in front of the sites: security headers, limits of "
                        "password tries by the limiter's service, the app. For each site, "
                        "`import cloudron_fw_NAME` in your Caddyfile.",
               .subject_key = "site",
               .text_key = "text",
               .options = kCaddyOptions,
               .run = render_caddy}};

inline constexpr Plugin kHaproxyPlugin{
    .name = "haproxy",
    .render = {.name = "haproxy",
               .about = "Backends for HAProxy in front of the sites: security headers, limits of "
                        "requests, the app. Use them from frontends in a file of your own.",
               .subject_key = "site",
               .text_key = "text",
               .options = {},
               .run = render_haproxy}};

}  // namespace fw::tls
