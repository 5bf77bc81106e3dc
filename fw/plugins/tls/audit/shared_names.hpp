// Apps that share a name: a browser keeps apart what has names of its own, and nothing else.
// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "fw/plugins/finding.hpp"
#include "fw/plugins/tls/audit/nginx_file.hpp"

namespace fw::tls {

/// A name of a server with paths that lead to different upstreams.
struct SharedName {
  std::string name;
  /// "/wiki", "http://127.0.0.1:3000": one path of each upstream, at most kSharedUpstreamsMax.
  std::vector<std::pair<std::string, std::string>> upstreams;

  bool operator==(const SharedName&) const = default;
};

/// By name, at most kSharedNamesMax. Locations that are internal to nginx do not count: no client
/// asks for them.
std::vector<SharedName> shared_names(const NginxDirectives& config);

std::vector<Finding> findings_of(const std::vector<SharedName>& names);

}  // namespace fw::tls
