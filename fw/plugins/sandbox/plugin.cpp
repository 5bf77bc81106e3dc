// The audit of Docker's containers, and profiles of AppArmor for the policy's apps.
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/plugins/sandbox/plugin.hpp"

#include <algorithm>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "fw/base/limits.hpp"
#include "fw/base/suggest.hpp"
#include "fw/docker/container.hpp"
#include "fw/plugins/sandbox/apparmor.hpp"
#include "fw/plugins/sandbox/findings.hpp"

namespace fw::sandbox {
namespace {

Result<docker::Engine> read_engine(const docker::Client& client) {
  const auto info = client.get("/info");
  if (!info) return std::unexpected(info.error());
  return docker::parse_engine(*info);
}

Result<std::vector<std::string>> read_ids(const docker::Client& client, bool all) {
  const auto list = client.get(all ? "/containers/json?all=1" : "/containers/json?all=0");
  if (!list) return std::unexpected(list.error());
  return docker::parse_ids(*list);
}

Result<docker::Container> read_container(const docker::Client& client, const std::string& id) {
  const auto answer = client.get("/containers/" + id + "/json");
  if (!answer) return std::unexpected(answer.error());
  return docker::parse_container(*answer);
}

/// In the order of their names. What could not be read is in the report.
std::vector<docker::Container> read_containers(const docker::Client& client,
                                               const std::vector<std::string>& ids,
                                               AuditReport& report) {
  std::vector<docker::Container> containers;
  for (std::size_t i = 0; i < std::min(ids.size(), kAuditedMax); ++i) {
    auto container = read_container(client, ids[i]);
    if (container) {
      containers.push_back(std::move(*container));
    } else if (container.error().code != ErrorCode::missing) {  // it ended in the meantime
      report.unread.push_back(std::move(container.error()));
      report.complete = false;
    }
  }
  if (ids.size() > kAuditedMax) {
    report.warnings.push_back(
        fmt::format("only {} of {} containers are audited", kAuditedMax, ids.size()));
    report.complete = false;
  }
  std::ranges::sort(containers, {}, &docker::Container::name);
  return containers;
}

/// "1 container", "1,024 containers"
std::string scope_of(std::size_t containers) {
  const std::string count = containers < 1000
                                ? fmt::format("{}", containers)
                                : fmt::format("{},{:03}", containers / 1000, containers % 1000);
  return count + (containers == 1 ? " container" : " containers");
}

}  // namespace

Result<AuditReport> audit(const AuditRequest& request) {
  const auto option = [&request](const char* name) { return request.options.find(name)->second; };
  const docker::Client client(option("docker"), kDockerPatience, "--docker PATH");
  const auto engine = read_engine(client);
  if (!engine) return std::unexpected(engine.error());
  const auto ids = read_ids(client, !option("all").empty());
  if (!ids) return std::unexpected(ids.error());
  AuditReport report;
  report.findings = engine_findings(*engine);
  const auto containers = read_containers(client, *ids, report);
  for (const docker::Container& container : containers) {
    for (Finding& finding : findings(container, *engine, request.policy))
      report.findings.push_back(std::move(finding));
  }
  report.scope = scope_of(containers.size());
  return report;
}

std::string app_name_complaint(const std::string& name) {
  if (name.empty() || is_app_name(name)) return {};
  return fmt::format(
      "{} is not an app name: use at most {} lower-case letters, digits, - and _, a "
      "letter first",
      quote(name), kNameLengthMax);
}

Result<std::vector<TextFile>> render(const RenderRequest& request) {
  const std::string& app = request.options.find("APP")->second;
  std::vector<std::string> apps;
  for (const App& known : request.policy.apps) apps.push_back(known.name);
  if (!app.empty()) {
    if (!apps.empty() && std::ranges::find(apps, app) == apps.end()) {
      const std::vector<std::string_view> known(apps.begin(), apps.end());
      const std::string_view near = nearest(app, known);
      return fail(ErrorCode::policy,
                  fmt::format("the policy names no app {}{}", quote(app),
                              near.empty() ? "" : ", did you mean " + quote(near) + "?"));
    }
    apps = {app};
  }
  if (apps.empty()) apps.emplace_back();
  std::vector<TextFile> files;
  for (const std::string& name : apps)
    files.push_back({name, apparmor_name(name), apparmor_profile(name)});
  return files;
}

}  // namespace fw::sandbox
