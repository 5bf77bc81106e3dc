// The plugin "sandbox": an audit of Docker's containers, and AppArmor profiles for them.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <array>

#include "fw/docker/client.hpp"
#include "fw/plugins/plugin.hpp"

namespace fw::sandbox {

/// Asks the engine at --docker for its containers, up to kAuditedMax. One that cannot be read is
/// among the report's `unread`; one that ended in the meantime is no error.
Result<AuditReport> audit(const AuditRequest& request);

/// Profiles for the app APP, where the policy has it or knows of none; without APP for each app of
/// the policy, and without apps one for all.
Result<std::vector<TextFile>> render(const RenderRequest& request);

/// Why this is no app's name; "" when it is one, or empty.
std::string app_name_complaint(const std::string& name);

inline constexpr std::array kAuditOptions = {
    PluginOption{PluginOption::Form::value, "docker", 0, "Docker's socket", "PATH",
                 docker::kSocket},
    PluginOption{PluginOption::Form::flag, "all", 'a', "Audit stopped containers too"}};

inline constexpr std::array kRenderOptions = {
    PluginOption{PluginOption::Form::positional, "APP", 0,
                 "The app's name (default: one profile for each app of the policy, and without "
                 "apps one for all)",
                 "", "", app_name_complaint}};

inline constexpr Plugin kPlugin{
    .name = "sandbox",
    .audit = {.about = "The running containers of Docker: privileges, users, "
                       "mounts, namespaces, published ports (compared with the policy), limits. ",
              .fix_label = "docker",
              .options = kAuditOptions,
              .run = audit},
    .render = {.name = "apparmor",
               .about = "An AppArmor profile for an app's containers: no writing to /proc and "
                        "/sys, no mounting, no tracing of others, no raw sockets. Its first lines "
                        "say how to load it and give it to a container. Needs no root.",
               .subject_key = "app",
               .text_key = "profile",
               .options = kRenderOptions,
               .run = render}};

}  // namespace fw::sandbox
