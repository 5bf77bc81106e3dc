// cloudron-fw status
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/ops/status.hpp"

#include <algorithm>

#include <CLI/CLI.hpp>
#include <boost/json/object.hpp>
#include <fmt/format.h>

#include "cli/commands.hpp"
#include "cli/trial.hpp"
#include "fw/base/limits.hpp"
#include "fw/base/suggest.hpp"
#include "fw/host/host_facts.hpp"
#include "fw/wire/wire.hpp"

namespace cli {
namespace {

using Style = Context::Style;

constexpr std::size_t kBlocksShown = 10;

std::string ports_text(const std::vector<std::string>& ports) {
  std::string text;
  for (const std::string& port : ports) {
    if (!text.empty()) text += ' ';
    text += port.starts_with("tcp/") ? port.substr(4) : port;
  }
  return text;
}

std::string fill_text(const fw::LimitCounts& limit) {
  const double share = 100.0 * static_cast<double>(limit.fullest) / fw::kMeterSourcesMax;
  return limit.fullest == 0 ? "0%" : share < 1 ? "<1%" : fmt::format("{:.0f}%", share);
}

void print_limits(const Context& context, const fw::Status& status) {
  using Align = Table::Align;
  Table table({Align::left, Align::left, Align::left, Align::right, Align::right, Align::right,
               Align::right, Align::left});
  table.heading({"limit", "rate", "counts", "accepted", "refused", "sources", "fill", "ports"});
  for (const fw::Status::Limited& s : status.limits) {
    const bool apps = s.from == fw::Source::apps;
    const fw::LimitCounts& c = s.counts;
    table.row(
        {c.name, to_string(c.rate),
         apps ? (s.per == fw::LimitKey::app ? "each app" : "each app address") : "each client",
         grouped(c.accepted), grouped(c.refused), grouped(c.sources), fill_text(c),
         ports_text(s.ports)});
  }
  table.print(context);
  for (const fw::Status::Limited& s : status.limits) {
    if (s.counts.overflowed == 0) continue;
    context.say(context.styled(
        Style::yellow,
        fmt::format("  the meter of '{}' was full: {} from further sources counted by network",
                    s.counts.name, plural(s.counts.overflowed, "connection"))));
  }
}

void print_blocks(const Context& context, const fw::Status& status,
                  const fw::ops::BlockList& told) {
  const fw::WallTime now = fw::wall_clock();
  const auto& blocks = told.blocks;
  context.say("");
  context.say(context.styled(
      Style::bold, fmt::format("{} of addresses and networks", plural(told.all, "block"))));
  constexpr auto kLeft = Table::Align::left;
  Table table({kLeft, kLeft, kLeft, kLeft});
  for (std::size_t i = 0; i < blocks.size() && i < kBlocksShown; ++i) {
    table.row({to_string(blocks[i].range), fw::printable(blocks[i].origin),
               until_text(blocks[i].until, now), fw::printable(blocks[i].reason)});
  }
  table.print(context);
  if (told.all > kBlocksShown) {
    context.say(
        fmt::format("  ... and {} more: cloudron-fw blocks", grouped(told.all - kBlocksShown)));
  }
  if (status.lists.empty()) return;
  context.say("");
  context.say(context.styled(Style::bold, "lists"));
  Table lists({Table::Align::left, Table::Align::left, Table::Align::right, Table::Align::left});
  for (const fw::ListReport& list : status.lists) {
    lists.row({list.name, std::string(to_string(list.action)),
               plural(list.entries, "entry", "entries"),
               list.problem.empty() && list.left_count != 0
                   ? plural(list.left_count, "entry is", "entries are") + " partly ignored"
                   : list.problem});
  }
  lists.print(context);
}

void print_dropped(const Context& context, const fw::Status& status) {
  static const std::map<std::string, const char*> kWords{
      {"blocked", "from blocked addresses"},
      {"listed", "from addresses on a block list"},
      {"closed", "to closed ports"},
      {"unpublished", "to published ports that are not open"},
      {"isolated", "from app to app"},
      {"spoofed", "with a spoofed app address"},
      {"syn_data", "SYNs with data to limited ports (TCP Fast Open)"},
      {"bridge_forged", "from containers, with a spoofed address"},
      {"bridge_foreign", "from containers, tagged or not IP"},
      {"bridge_astray", "to containers, with another one's MAC address"},
      {"bridge_group", "from containers, broadcast or multicast"},
      {"panic", "new connections, during a panic"},
      {"not_syn", "TCP packets of untracked connections"}};
  context.say("");
  context.say(context.styled(Style::bold, "packets dropped"));
  Table table({Table::Align::right, Table::Align::left});
  for (const auto& [name, packets] : status.dropped) {
    const auto known = kWords.find(name);
    table.row({grouped(packets), known != kWords.end() ? known->second : name});
  }
  table.print(context);
}

void print_unlabelled(const Context& context, const fw::Status& status) {
  if (status.unlabelled == 0) return;
  context.say("");
  context.say(context.styled(
      Style::yellow,
      plural(status.unlabelled, "connection") +
          " without our label: older than the rules, or cleared by another program"));
}

void print_status(const Context& context, const fw::ops::StatusReport& told) {
  const fw::Status& status = told.status;
  if (!status.present) {
    context.say(context.styled(Style::red,
                               "the firewall is not in force: our table is not in the "
                               "kernel; to load it: sudo cloudron-fw apply"));
    return;
  }
  if (status.equal) {
    context.say(context.styled(Style::green, "the kernel holds " + told.policy));
  } else {
    context.say(context.styled(Style::yellow,
                               fmt::format("the kernel differs from {} in {}: see cloudron-fw plan",
                                           told.policy, plural(status.differences, "line"))));
  }
  for (const std::string& warning : status.warnings) {
    context.say(context.styled(Style::red, warning));
  }
  for (const fw::WeakSetting& setting : status.settings) {
    const bool high = setting.harm == fw::SettingHarm::high;
    context.say(context.styled(high ? Style::red : Style::yellow, to_string(setting)));
  }
  context.say("");
  Table ports({Table::Align::left, Table::Align::right});
  ports.heading({"open port", "new flows"});
  for (const fw::Status::Port& port : status.ports) ports.row({port.port, grouped(port.flows)});
  ports.print(context);
  context.say("");
  print_limits(context, status);
  print_dropped(context, status);
  print_unlabelled(context, status);
  print_blocks(context, status, told.blocks);
}

int run_status(const Context& context) {
  const auto report = fw::ops::status(context.environment(), context.source());
  if (!report) return failed(context, report.error());
  print_refused(context, report->policy, report->rolled_back);
  print_trouble(context, report->trouble);
  if (context.json) {
    context.print(fw::wire::to_json(*report));
  } else {
    print_status(context, *report);
  }
  if (report->stands_in) return kError;
  const fw::Status& status = report->status;
  const bool weak = std::ranges::any_of(
      status.settings, [](const fw::WeakSetting& s) { return s.harm == fw::SettingHarm::high; });
  return status.equal && status.warnings.empty() && !weak ? kOk : kDifferent;
}

}  // namespace

void add_status(CLI::App& program, Context& context, int& exit) {
  CLI::App* command = program.add_subcommand(
      "status",
      "Show whether the kernel holds the policy, and what it counts, drops and blocks. Lists new "
      "flows of each open port; accepted and refused connections, tracked sources and meter fill "
      "of "
      "each limit; dropped packets by reason; blocks and lists. For members of the group "
      "cloudron-fw, the daemon reports on the last applied policy."
      "\nExit code: 0 the kernel holds the policy, 2 it does not or the rules cannot work as they "
      "should, 1 error.");
  command->callback([&context, &exit] { exit = run_status(context); });
}

}  // namespace cli
