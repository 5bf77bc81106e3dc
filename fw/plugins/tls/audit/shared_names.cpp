// Apps that share a name.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/plugins/tls/audit/shared_names.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <string_view>

#include <fmt/format.h>

#include "fw/base/limits.hpp"
#include "fw/base/suggest.hpp"

namespace fw::tls {
namespace {

constexpr std::array<std::string_view, 5> kPasses = {"proxy_pass", "fastcgi_pass", "uwsgi_pass",
                                                     "scgi_pass", "grpc_pass"};

/// Paths of a server by the upstream that they lead to.
using PathsOfUpstreams = std::map<std::string, std::string, std::less<>>;

/// "http://127.0.0.1:3000" of "http://127.0.0.1:3000/wiki/": the path is the app's affair.
std::string upstream_of(const std::string& pass) {
  const std::size_t scheme = pass.find("://");
  if (scheme == pass.npos || pass.substr(scheme + 3).starts_with("unix:")) return pass;
  return pass.substr(0, pass.find('/', scheme + 3));
}

bool is_internal(const NginxDirectives& block) {
  return std::ranges::any_of(
      block, [](const NginxDirective& each) { return each.words.front() == "internal"; });
}

void add_upstreams(const NginxDirectives& block, const std::string& path, PathsOfUpstreams& to) {
  for (const NginxDirective& each : block) {
    const std::string& name = each.words.front();
    if (std::ranges::find(kPasses, name) != kPasses.end() && each.words.size() > 1) {
      if (to.size() < kSharedUpstreamsMax) to.emplace(upstream_of(each.words[1]), path);
    } else if (name == "location") {
      if (!is_internal(each.block)) add_upstreams(each.block, each.words.back(), to);
    } else {
      add_upstreams(each.block, path, to);  // if, limit_except
    }
  }
}

void add_servers(const NginxDirectives& block, std::map<std::string, PathsOfUpstreams>& to) {
  for (const NginxDirective& each : block) {
    if (each.words.front() != "server") {
      if (each.words.front() == "http") add_servers(each.block, to);
      continue;
    }
    PathsOfUpstreams paths;
    add_upstreams(each.block, "/", paths);
    for (const NginxDirective& inside : each.block) {
      if (inside.words.front() != "server_name") continue;
      for (std::size_t i = 1; i < inside.words.size(); ++i) {
        PathsOfUpstreams& all = to[inside.words[i]];
        for (const auto& [upstream, path] : paths) {
          if (all.size() < kSharedUpstreamsMax) all.emplace(upstream, path);
        }
      }
    }
  }
}

}  // namespace

std::vector<SharedName> shared_names(const NginxDirectives& config) {
  std::map<std::string, PathsOfUpstreams> servers;
  add_servers(config, servers);
  std::vector<SharedName> shared;
  for (const auto& [name, paths] : servers) {
    if (paths.size() < 2 || shared.size() == kSharedNamesMax) continue;
    SharedName& one = shared.emplace_back(SharedName{name, {}});
    for (const auto& [upstream, path] : paths) one.upstreams.emplace_back(path, upstream);
    std::ranges::sort(one.upstreams);
  }
  return shared;
}

std::vector<Finding> findings_of(const std::vector<SharedName>& names) {
  std::vector<Finding> findings;
  for (const SharedName& each : names) {
    std::string apps;
    for (const auto& [path, upstream] : each.upstreams)
      apps +=
          fmt::format("{}{} is {}", apps.empty() ? "" : ", ", printable(path), printable(upstream));
    findings.push_back({FindingSeverity::medium, "proxy-shared-name", printable(each.name),
                        "upstreams share this name: " + apps,
                        "if these are different apps, who takes over one of them reads the "
                        "cookies and pages of the others in their users' browsers",
                        "give each app a [[site]] with a name of its own", ""});
  }
  return findings;
}

}  // namespace fw::tls
