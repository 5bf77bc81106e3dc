// cloudron-fw audit
// SPDX-License-Identifier: GPL-2.0-or-later
#include <algorithm>
#include <array>
#include <chrono>
#include <string_view>
#include <utility>

#include <CLI/CLI.hpp>
#include <boost/json/object.hpp>
#include <fmt/format.h>

#include "cli/commands.hpp"
#include "cli/plugin_options.hpp"
#include "fw/plugins/table/table.hpp"
#include "fw/wire/wire.hpp"

namespace cli {
namespace {

namespace json = boost::json;
using fw::Finding;
using fw::FindingSeverity;
using Style = Context::Style;

constexpr std::array kSeverities = {FindingSeverity::critical, FindingSeverity::high,
                                    FindingSeverity::medium, FindingSeverity::low};

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

int exit_of(const fw::AuditReport& audit) {
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
  return audit.complete ? kOk : kPartly;
}

std::size_t count(const fw::AuditReport& audit, FindingSeverity severity) {
  return static_cast<std::size_t>(
      std::count_if(audit.findings.begin(), audit.findings.end(),
                    [&](const Finding& finding) { return finding.severity == severity; }));
}

/// The values of a row, one after the other in lines of at most 80 columns.
std::vector<std::string> wrapped(const std::vector<std::string>& values, std::size_t width) {
  std::vector<std::string> lines(1);
  for (const std::string& value : values) {
    std::string& line = lines.back();
    if (line.empty()) {
      line = value;
    } else if (line.size() + 2 + value.size() <= width) {
      line += ", " + value;
    } else {
      line += ',';
      lines.push_back(value);
    }
  }
  return lines;
}

void print_sheet(const Context& context, const fw::AuditSheet& sheet) {
  constexpr std::size_t kColumn = 16;
  constexpr std::size_t kWidth = 80;
  std::size_t shown = 0;
  for (const fw::AuditRow& row : sheet.rows) shown = std::max(shown, row.name.size());
  const std::size_t column = std::max(kColumn, shown + 4);
  const std::string grade = sheet.grade.empty() ? "" : "grade " + sheet.grade;
  context.say(context.styled(Style::bold, sheet.subject + (grade.empty() ? "" : "  " + grade)));
  for (const fw::AuditRow& row : sheet.rows) {
    std::string name = row.name;
    for (const std::string& line : wrapped(row.values, kWidth - column - 1)) {
      const std::string label = fmt::format("  {:<{}}", name, column - 2);
      context.say(context.styled(Style::dim, label) + line);
      name.clear();
    }
  }
  context.say("");
}

void print_text(const Context& context, const fw::Plugin& plugin, const fw::AuditReport& audit) {
  constexpr const char* kIndent = "            ";
  for (const fw::AuditSheet& sheet : audit.sheets) print_sheet(context, sheet);
  std::string subject;
  for (const Finding& finding : audit.findings) {
    if (finding.subject != subject) {
      subject = finding.subject;
      context.say(context.styled(Style::bold, subject));
    }
    const std::string severity = fmt::format("{:<8}", to_string(finding.severity));
    context.say("  " + context.styled(style_of(finding.severity), severity) + "  " + finding.what +
                context.styled(Style::dim, "  [" + finding.rule + "]"));
    const std::pair<std::string_view, const std::string*> lines[] = {
        {"attacker", &finding.impact},
        {plugin.audit.fix_label, &finding.fix},
        {"compose", &finding.compose}};
    for (const auto& [name, text] : lines) {
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

void print_json(const Context& context, const fw::Plugin& plugin, const fw::AuditReport& audit) {
  json::object counts;
  for (const FindingSeverity severity : kSeverities)
    counts[to_string(severity)] = count(audit, severity);
  json::object all{{"audited", plugin.name},
                   {"complete", audit.complete},
                   {"counts", std::move(counts)},
                   {"findings", fw::wire::to_json(audit.findings)}};
  if (!audit.sheets.empty()) all["sheets"] = fw::wire::to_json(audit.sheets);
  context.print(std::move(all));
}

int run_audit(const Context& context, const fw::Plugin& plugin, const fw::OptionValues& options) {
  if (const auto refused = refuse_values(context, plugin.audit.options, options)) return *refused;
  const auto loaded = load_policy(context);
  if (!loaded) return kError;
  const auto now = std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
  const auto audited = plugin.audit.run({loaded->policy, options, now});
  if (!audited) {
    context.error(audited.error());
    return audited.error().code == fw::ErrorCode::usage ? kUsage : kError;
  }
  for (const fw::Error& error : audited->unread) context.error(error);
  for (const std::string& warning : audited->warnings) context.warn(warning);
  if (context.json) {
    print_json(context, plugin, *audited);
  } else {
    print_text(context, plugin, *audited);
  }
  return exit_of(*audited);
}

constexpr const char* kExitCodes =
    "Changes nothing.\nExit code, by the worst finding: 0 none or low, 10 medium, 11 high, "
    "12 critical; 3 some checks failed and the rest found at most low; 1 error.";

}  // namespace

void add_audit(CLI::App& program, Context& context, int& exit) {
  CLI::App* command = program.add_subcommand(
      "audit", std::string("Find weaknesses in the confinement of containers, in the host, or in "
                           "how servers speak TLS. Each "
                           "finding states what an attacker gains and how to fix it. ") +
                   kExitCodes);
  command->require_subcommand(1);
  command->fallthrough();

  for (const fw::Plugin& plugin : fw::plugins()) {
    if (plugin.audit.run == nullptr) continue;
    CLI::App* audit = command->add_subcommand(std::string(plugin.name),
                                              std::string(plugin.audit.about) + kExitCodes);
    const auto values = add_plugin_options(*audit, plugin.audit.options);
    audit->callback(
        [&context, &exit, &plugin, values] { exit = run_audit(context, plugin, values()); });
  }
}

}  // namespace cli
