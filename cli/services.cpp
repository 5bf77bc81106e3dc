// cloudron-fw services
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/services/services.hpp"

#include <algorithm>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "cli/commands.hpp"
#include "fw/base/limits.hpp"
#include "fw/effective/policy.hpp"
#include "fw/ops/daemon_client.hpp"

namespace cli {
namespace {

struct ServicesPaths {
  std::string runtime_dir = fw::services::kDefaultRuntimeDir;
  std::string tokens = "/etc/cloudron-fw/services.tokens";
};

fw::Result<fw::HttpRules> limits_of_file(const std::string& path) {
  const fw::Parsed parsed = fw::read_policy(path);
  for (const fw::Problem& problem : parsed.problems) {
    if (problem.severity == fw::Severity::error)
      return fw::fail(fw::ErrorCode::policy, problem.what, problem.where);
  }
  return fw::http_rules(parsed.policy);
}

int run_services(const Context& context, const ServicesPaths& paths) {
  fw::services::ServicesOptions options;
  options.runtime_dir = std::filesystem::absolute(paths.runtime_dir).lexically_normal().string();
  options.tokens = paths.tokens;
  const fw::ops::Environment env = context.environment();
  options.rules = [&context, env] {
    return context.policy_path.empty() ? fw::ops::limits_of_daemon(env)
                                       : limits_of_file(context.policy_path);
  };
  options.block = [env](const fw::services::WantedBlock& wanted) -> fw::Result<void> {
    fw::ops::BlockRequest request;
    request.addresses = {{wanted.client.family, wanted.client.bits, wanted.client.bits}};
    request.lasts = std::min(wanted.lasts, fw::kServiceBlockMax);
    request.reason = wanted.reason;
    request.origin = "services/" + (wanted.site.empty() ? "-" : wanted.site);
    request.prefix6 = wanted.prefix6;
    const auto done = fw::ops::block_of_service(env, request);
    return done ? fw::Result<void>() : std::unexpected(done.error());
  };
  options.blocked = [env](const std::vector<fw::Ip>& clients) {
    return fw::ops::blocked_of_daemon(env, clients, fw::kBlockedPatience);
  };
  options.fallback = fw::http_rules(fw::default_policy());
  const auto done = fw::services::run_services(options);
  if (!done) context.error(done.error());
  return done ? kOk : kError;
}

}  // namespace

void add_services(CLI::App& program, Context& context, int& exit) {
  CLI::App* command = program.add_subcommand(
      "services",
      "Answer reverse proxies that ask whether a request is within its [[limit]] (layer = "
      "\"http\"). Run by systemd: cloudron-fw-services.service, a process without capabilities. It "
      "takes the limits in force from the daemon, or those of --policy.");
  auto paths = std::make_shared<ServicesPaths>();
  command->add_option("--runtime-dir", paths->runtime_dir, "Folder of limit.sock and the budgets")
      ->type_name("DIR")
      ->check(not_empty)
      ->capture_default_str();
  command->add_option("--tokens", paths->tokens, "File of the sites that may report offences")
      ->type_name("FILE")
      ->check(not_empty)
      ->capture_default_str();
  command->callback([&context, &exit, paths] { exit = run_services(context, *paths); });
}

}  // namespace cli
