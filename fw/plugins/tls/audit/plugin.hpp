// The audit of the plugin "tls": how servers speak TLS, with a grade.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <array>

#include "fw/plugins/plugin.hpp"

namespace fw::tls {

/// Connects to each HOST (a line each), without one to the sites of the policy, and to nobody else.
/// Also looks for apps that share a name in the configuration of this host's nginx.
/// One that cannot be audited is among the report's `unread`; when none can, that is the error.
Result<AuditReport> audit(const AuditRequest& request);

/// Why a value cannot be meant; "" when it can, or is empty.
std::string hosts_complaint(const std::string& lines);
std::string rules_complaint(const std::string& name);
std::string address_complaint(const std::string& text);
std::string starttls_complaint(const std::string& name);

inline constexpr std::array kAuditOptions = {
    PluginOption{
        PluginOption::Form::positionals, "HOST", 0,
        "Names or addresses, each with :PORT if it is not 443 (default: the policy's sites)", "",
        "", hosts_complaint},
    PluginOption{PluginOption::Form::value, "ca", 0,
                 "Trust the certificates in this file too (PEM)", "FILE"},
    PluginOption{PluginOption::Form::value, "rules", 0,
                 "Version of SSL Labs' rating guide: 2009r or 2009q", "NAME", "2009r",
                 rules_complaint},
    PluginOption{PluginOption::Form::value, "address", 0,
                 "Connect to this address, and ask it for HOST", "IP", "", address_complaint},
    PluginOption{PluginOption::Form::value, "starttls", 0,
                 "Ask for TLS in the protocol smtp, lmtp, imap, pop3 or sieve first; no grade",
                 "PROTOCOL", "", starttls_complaint},
    PluginOption{PluginOption::Form::value, "nginx", 0,
                 "Look in nginx's folder for apps that share a name (default: /etc/nginx, without "
                 "HOST)",
                 "DIR"}};

inline constexpr PluginAudit kAudit{
    .about =
        "Servers that speak TLS: versions, suites, certificates, headers; graded as SSL "
        "Labs does. ",
    .fix_label = "fix",
    .options = kAuditOptions,
    .run = audit};

}  // namespace fw::tls
