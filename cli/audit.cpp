// cloudron-fw audit
#include <algorithm>
#include <array>
#include <chrono>
#include <memory>

#include <CLI/CLI.hpp>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <fmt/format.h>

#include "cli/commands.hpp"
#include "fw/docker/client.hpp"
#include "fw/docker/container.hpp"
#include "fw/plugins/host/facts.hpp"
#include "fw/plugins/host/findings.hpp"
#include "fw/plugins/sandbox/findings.hpp"

namespace cli {
namespace {

namespace json = boost::json;
using fw::Finding;
using fw::FindingSeverity;
using Style = Context::Style;

constexpr std::array kSeverities = {FindingSeverity::critical, FindingSeverity::high,
                                    FindingSeverity::medium, FindingSeverity::low};

/// What was audited, and what came of it.
struct Audit {
  std::string of;     ///< "sandbox", "host"
  std::string scope;  ///< "3 containers", "the host"
  std::vector<Finding> findings;
  bool partly = false;  ///< something could not be looked at, and that was said
};

Style style_of(FindingSeverity severity) {
  switch (severity) {
    case FindingSeverity::critical:
    case FindingSeverity::high:
      return Style::red;
    case FindingSeverity::medium:
      return Style::yellow;
    case FindingSeverity::low:
      return Style::dim;
  }
  return Style::plain;
}

int exit_of(const Audit& audit) {
  FindingSeverity worst = FindingSeverity::low;
  for (const Finding& finding : audit.findings) worst = std::max(worst, finding.severity);
  switch (worst) {
    case FindingSeverity::critical:
      return kFoundCritical;
    case FindingSeverity::high:
      return kFoundHigh;
    case FindingSeverity::medium:
      return kFoundMedium;
    case FindingSeverity::low:
      break;
  }
  return audit.partly ? kPartly : kOk;
}

std::size_t count(const Audit& audit, FindingSeverity severity) {
  return static_cast<std::size_t>(
      std::count_if(audit.findings.begin(), audit.findings.end(),
                    [&](const Finding& finding) { return finding.severity == severity; }));
}

void print_text(const Context& context, const Audit& audit) {
  constexpr const char* kIndent = "            ";
  std::string subject;
  for (const Finding& finding : audit.findings) {
    if (finding.subject != subject) {
      subject = finding.subject;
      context.say(context.styled(Style::bold, subject));
    }
    const std::string severity = fmt::format("{:<8}", to_string(finding.severity));
    context.say("  " + context.styled(style_of(finding.severity), severity) + "  " + finding.what +
                context.styled(Style::dim, "  [" + finding.rule + "]"));
    for (const auto& [name, text] : {std::pair{"attacker", &finding.impact},
                                     std::pair{audit.of == "host" ? "fix" : "docker", &finding.fix},
                                     std::pair{"compose", &finding.compose}}) {
      if (text->empty()) continue;
      context.say(kIndent + context.styled(Style::dim, fmt::format("{:<10}", name)) + *text);
    }
  }
  std::string counts;
  for (const FindingSeverity severity : kSeverities) {
    const std::size_t n = count(audit, severity);
    if (n > 0) counts += fmt::format("{}{} {}", counts.empty() ? "" : ", ", n, to_string(severity));
  }
  context.say(fmt::format("{}: {}", audit.scope, counts.empty() ? "nothing found" : counts));
}

void print_json(const Context& context, const Audit& audit) {
  json::array findings;
  for (const Finding& finding : audit.findings) {
    findings.push_back(json::object{{"severity", to_string(finding.severity)},
                                    {"rule", finding.rule},
                                    {"subject", finding.subject},
                                    {"what", finding.what},
                                    {"impact", finding.impact},
                                    {"fix", finding.fix},
                                    {"compose", finding.compose}});
  }
  json::object counts;
  for (const FindingSeverity severity : kSeverities)
    counts[to_string(severity)] = count(audit, severity);
  context.print(json::object{{"audited", audit.of},
                             {"complete", !audit.partly},
                             {"counts", std::move(counts)},
                             {"findings", std::move(findings)}});
}

int report(const Context& context, const Audit& audit) {
  if (context.json) {
    print_json(context, audit);
  } else {
    print_text(context, audit);
  }
  return exit_of(audit);
}

fw::Result<fw::docker::Engine> read_engine(const fw::docker::Client& client) {
  const auto info = client.get("/info");
  if (!info) return std::unexpected(info.error());
  return fw::docker::parse_engine(*info);
}

enum class Which { running, all };

fw::Result<std::vector<std::string>> read_ids(const fw::docker::Client& client, Which which) {
  const auto list =
      client.get(which == Which::all ? "/containers/json?all=1" : "/containers/json?all=0");
  if (!list) return std::unexpected(list.error());
  return fw::docker::parse_ids(*list);
}

fw::Result<fw::docker::Container> read_container(const fw::docker::Client& client,
                                                 const std::string& id) {
  const auto answer = client.get("/containers/" + id + "/json");
  if (!answer) return std::unexpected(answer.error());
  return fw::docker::parse_container(*answer);
}

/// Adds what is found in each container; gives how many were looked at.
std::size_t add_containers(const Context& context, const fw::docker::Client& client,
                           const std::vector<std::string>& ids, const fw::docker::Engine& engine,
                           const fw::Policy& policy, Audit& audit) {
  std::vector<fw::docker::Container> containers;
  for (std::size_t i = 0; i < std::min(ids.size(), fw::kAuditedMax); ++i) {
    auto container = read_container(client, ids[i]);
    if (container) {
      containers.push_back(std::move(*container));
    } else if (container.error().code != fw::ErrorCode::missing) {  // it ended meanwhile
      context.error(container.error());
      audit.partly = true;
    }
  }
  if (ids.size() > fw::kAuditedMax) {
    context.warn(fmt::format("only {} of {} containers are audited", fw::kAuditedMax, ids.size()));
    audit.partly = true;
  }
  std::sort(containers.begin(), containers.end(),
            [](const auto& a, const auto& b) { return a.name < b.name; });
  for (const fw::docker::Container& container : containers) {
    for (Finding& finding : fw::sandbox::findings(container, engine, policy)) {
      audit.findings.push_back(std::move(finding));
    }
  }
  return containers.size();
}

int run_sandbox(const Context& context, const std::string& socket, Which which) {
  const auto loaded = load_policy(context);
  if (!loaded) return kError;
  const fw::docker::Client client(socket, fw::kDockerPatience, "--docker PATH");
  const auto engine = read_engine(client);
  if (!engine) {
    context.error(engine.error());
    return kError;
  }
  const auto ids = read_ids(client, which);
  if (!ids) {
    context.error(ids.error());
    return kError;
  }
  Audit audit{"sandbox", {}, fw::sandbox::engine_findings(*engine), false};
  const std::size_t n = add_containers(context, client, *ids, *engine, loaded->policy, audit);
  audit.scope = plural(n, "container");
  return report(context, audit);
}

int run_host(const Context& context, const std::string& root) {
  const auto loaded = load_policy(context);
  if (!loaded) return kError;
  const auto facts = fw::host_audit::read_facts(root);
  if (!facts) {
    context.error(facts.error());
    return facts.error().code == fw::ErrorCode::usage ? kUsage : kError;
  }
  const auto now = std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
  return report(context, Audit{"host", root == "/" ? "the host" : root,
                               fw::host_audit::findings(*facts, loaded->policy, now),
                               !facts->unread.empty()});
}

constexpr const char* kExitCodes =
    "Exit codes: 0 nothing, or low only; 10 medium; 11 high; 12 critical (the worst that was "
    "found); 3: some could not be checked; the rest is at most low; 1 error. They only look: "
    "nothing "
    "is changed.";

}  // namespace

void add_audit(CLI::App& program, Context& context, int& exit) {
  CLI::App* command = program.add_subcommand(
      "audit", std::string("Find weaknesses in how containers are confined, or in the host. Each "
                           "finding says what an attacker gains by it, and the remedy. ") +
                   kExitCodes);
  command->require_subcommand(1);
  command->fallthrough();

  auto socket = std::make_shared<std::string>(fw::docker::kSocket);
  auto all = std::make_shared<bool>(false);
  CLI::App* sandbox = command->add_subcommand(
      "sandbox",
      std::string("The running containers of Docker, beside the policy: privileges, users, mounts, "
                  "namespaces, published ports, limits. ") +
          kExitCodes);
  sandbox->add_option("--docker", *socket, "Docker's socket")
      ->type_name("PATH")
      ->check(not_empty)
      ->capture_default_str();
  sandbox->add_flag("--all,-a", *all, "Also containers that do not run");
  sandbox->callback([&context, &exit, socket, all] {
    exit = run_sandbox(context, *socket, *all ? Which::all : Which::running);
  });

  auto root = std::make_shared<std::string>("/");
  CLI::App* host = command->add_subcommand(
      "host",
      std::string("The host: upgrades that come by themselves, root's password over SSH, programs "
                  "that listen where the policy opens nothing, forwarding, sysctls that weaken the "
                  "firewall, a "
                  "reboot that is due. ") +
          kExitCodes);
  host->add_option("--root", *root,
                   "Another system's folder (a chroot, a mounted disk): its files only")
      ->type_name("DIR")
      ->check(not_empty)
      ->capture_default_str();
  host->callback([&context, &exit, root] { exit = run_host(context, *root); });
}

}  // namespace cli
