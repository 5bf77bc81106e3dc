// cloudron-fw explain
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/ops/explain.hpp"

#include <memory>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include "chains/text.hpp"
#include "cli/commands.hpp"
#include "fw/wire/wire.hpp"

namespace cli {
namespace {

using Style = Context::Style;
using chains::Outcome;

struct ExplainOptions {
  std::string from;
  std::vector<std::string> to;  ///< one or two words
  std::string via;              ///< the interface that the packet comes in by
  bool live = false;
};

Style style_of(Outcome outcome) {
  if (outcome == Outcome::accepted) return Style::green;
  return outcome == Outcome::unknown ? Style::yellow : Style::red;
}

std::string budget_text(const fw::ops::ExplainBudget& budget) {
  std::string text =
      fmt::format("limit {}: {}{} of {} left", budget.limit, budget.exact ? "" : "at least ",
                  grouped(budget.left), grouped(budget.of));
  if (budget.left == budget.of) text += ", full";
  if (budget.until) text += ", next one free in " + chains::duration_text(*budget.until);
  return text;
}

void print_packet(const Context& context, const fw::ops::ExplainPacket& packet) {
  context.say(context.styled(Style::bold, packet.packet) + ": " +
              std::string(to_string(packet.verdict)) +
              (packet.unknown.empty() ? "" : ", " + packet.unknown));
  using Align = Table::Align;
  Table table({Align::left, Align::left, Align::left});
  for (const fw::ops::ExplainStep& step : packet.steps) {
    if (step.matched) table.row({step.chain, step.rule, to_string(step.where)});
  }
  table.print(context);
  for (const std::string& name : packet.assumed) {
    context.say("  remaining budget of " + name + " unknown, assumed unspent");
  }
}

void print_answer(const Context& context, const fw::ops::ExplainAnswer& answer) {
  context.say(answer.question + ": " +
              context.styled(style_of(answer.verdict), std::string(to_string(answer.verdict))));
  for (const fw::ops::ExplainPacket& packet : answer.packets) print_packet(context, packet);
  for (const fw::ops::ExplainBudget& budget : answer.limits) context.say(budget_text(budget));
  const std::string where = to_string(answer.where);
  context.say("decided by " + (where.empty() ? "a built-in rule" : where));
}

int exit_of(Outcome outcome) {
  if (outcome == Outcome::accepted) return kOk;
  return outcome == Outcome::unknown ? kError : kDifferent;
}

int run_explain(const Context& context, const ExplainOptions& options) {
  const auto report =
      fw::ops::explain(context.environment(),
                       {context.source(), options.from, options.to, options.via, options.live});
  if (!report) {
    context.error(report.error());
    return report.error().code == fw::ErrorCode::usage ? kUsage : kError;
  }
  if (context.json) context.print(fw::wire::to_json(*report));
  int exit = kOk;
  for (const fw::ops::ExplainAnswer& answer : report->answers) {
    if (!context.json) print_answer(context, answer);
    const int one = exit_of(answer.verdict);
    if (one == kError || exit == kOk) exit = one;
  }
  for (const std::string& note : report->notes) context.say(context.styled(Style::dim, note));
  return exit;
}

}  // namespace

void add_explain(CLI::App& program, Context& context, int& exit) {
  auto options = std::make_shared<ExplainOptions>();
  CLI::App* command = program.add_subcommand(
      "explain",
      "Show what would happen to a connection, and which rules it meets. Uses the policy, with "
      "full budgets. Needs no root, but without root it ignores blocks.\n"
      "Exit code: 0 accepted, 2 dropped or refused, 1 error or unknown.");
  command->add_option("FROM", options->from, "The client: an address, or app:NAME")->required();
  command
      ->add_option("TO", options->to,
                   "A port of this host (tcp/443, udp/53, ping, vrrp), addon:NAME, or an app or "
                   "address and then a port: app:wiki 8000")
      ->required()
      ->expected(1, 2);
  command->add_option("--via", options->via,
                      "The interface on which it arrives (default: that of the route to FROM)");
  command->add_flag("--live", options->live, "Use the rules, sets and budgets now in the kernel");
  command->callback([&context, &exit, options] { exit = run_explain(context, *options); });
}

}  // namespace cli
