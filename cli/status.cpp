// cloudron-fw status
#include "fw/host/status.hpp"

#include <algorithm>

#include <CLI/CLI.hpp>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <fmt/format.h>

#include "cli/commands.hpp"
#include "cli/daemon_client.hpp"
#include "cli/trial.hpp"
#include "fw/base/limits.hpp"
#include "fw/base/suggest.hpp"
#include "fw/host/desired_policy.hpp"
#include "fw/host/host_facts.hpp"

namespace cli {
namespace {

namespace json = boost::json;
using Style = Context::Style;

constexpr std::size_t kBlocksShown = 10;

struct Told {
  std::string policy;  ///< its name
  fw::Status status;
  fw::Trouble trouble;
  ToldBlocks blocks;
};

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

void print_blocks(const Context& context, const fw::Status& status, const ToldBlocks& told) {
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
                   ? plural(list.left_count, "entry is", "entries are") + " left out in part"
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
      {"panic", "new connections, during panic"},
      {"not_syn", "TCP packets of no known connection"}};
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
          " without a label of ours: older than the rules, or another program cleared it"));
}

json::value told_json(const Told& told) {
  const fw::Status& status = told.status;
  json::array ports;
  for (const fw::Status::Port& port : status.ports) {
    ports.push_back(json::object{{"port", port.port}, {"new_flows", port.flows}});
  }
  json::array limits;
  for (const fw::Status::Limited& s : status.limits) {
    json::array limited;
    for (const std::string& port : s.ports) limited.emplace_back(port);
    const fw::LimitCounts& c = s.counts;
    limits.push_back(json::object{{"name", c.name},
                                  {"rate", to_string(c.rate)},
                                  {"ports", std::move(limited)},
                                  {"accepted", c.accepted},
                                  {"refused", c.refused},
                                  {"overflowed", c.overflowed},
                                  {"sources", c.sources},
                                  {"fullest", c.fullest},
                                  {"capacity", fw::kMeterSourcesMax}});
  }
  json::array blocks;
  for (const fw::Block& block : told.blocks.blocks) {
    blocks.push_back(to_json(block, fw::wall_clock()));
  }
  json::array warnings;
  for (const std::string& warning : status.warnings) warnings.emplace_back(warning);
  json::array settings;
  for (const fw::WeakSetting& s : status.settings) {
    settings.push_back(json::object{{"harm", to_string(s.harm)},
                                    {"name", s.name},
                                    {"value", s.value},
                                    {"means", s.means},
                                    {"remedy", s.remedy}});
  }
  json::object dropped;
  for (const auto& [name, packets] : status.dropped) dropped[name] = packets;
  return json::object{{"policy", told.policy},
                      {"present", status.present},
                      {"equal", status.equal},
                      {"differences", status.differences},
                      {"ports", std::move(ports)},
                      {"limits", std::move(limits)},
                      {"dropped", std::move(dropped)},
                      {"unlabelled", status.unlabelled},
                      {"blocks", std::move(blocks)},
                      {"lists", to_json(status.lists)},
                      {"settings", std::move(settings)},
                      {"warnings", std::move(warnings)},
                      {"confirmation", trial_json(told.trouble)},
                      {"panic", panic_json(told.trouble)}};
}

void print_status(const Context& context, const Told& told) {
  const fw::Status& status = told.status;
  if (!status.present) {
    context.say(context.styled(Style::red,
                               "the firewall is not in force: no table of ours in the "
                               "kernel; apply it: sudo cloudron-fw apply"));
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

/// What root finds out.
fw::Result<Told> find_out(const Context& context, const LoadedPolicy& loaded) {
  auto manager = open_manager_to_read(context);
  if (!manager) return std::unexpected(manager.error());
  const auto desired = fw::desired_policy(context.state_dir, fw::this_moment());
  auto status = fw::read_status(*manager, loaded.policy, desired.policy, unused_now(context));
  if (!status) return std::unexpected(status.error());
  fw::Store::Snapshot snapshot;
  if (manager->store()) {
    auto blocks = manager->store()->blocks(fw::wall_clock());
    if (!blocks) return std::unexpected(blocks.error());
    snapshot = std::move(*blocks);
  }
  const std::size_t all = snapshot.blocks.size();
  return Told{loaded.name,
              std::move(*status),
              fw::read_trouble(context.state_dir),
              {std::move(snapshot.blocks), all}};
}

/// What the daemon tells those who may ask it.
fw::Result<Told> ask_daemon(const Context& context) {
  auto told = status_of_daemon(context);
  if (!told) return std::unexpected(told.error());
  auto blocks = blocks_of_daemon(context);
  if (!blocks) return std::unexpected(blocks.error());
  return Told{"the policy that was applied", std::move(told->status), std::move(told->trouble),
              std::move(*blocks)};
}

int finish(const Context& context, const fw::Result<Told>& told) {
  if (!told) {
    context.error(told.error());
    return kError;
  }
  print_trouble(context, told->trouble);
  if (context.json) {
    context.print(told_json(*told));
  } else {
    print_status(context, *told);
  }
  const bool weak = std::ranges::any_of(told->status.settings, [](const fw::WeakSetting& s) {
    return s.harm == fw::SettingHarm::high;
  });
  return told->status.equal && told->status.warnings.empty() && !weak ? kOk : kDifferent;
}

int run_status(const Context& context) {
  if (asks_daemon(context)) return finish(context, ask_daemon(context));
  const LoadedPolicy loaded = load_some_policy(context);
  context.problems(loaded.warnings);
  print_refused(context, loaded);
  const int exit = finish(context, find_out(context, loaded));
  return loaded.stands_in ? kError : exit;
}

}  // namespace

void add_status(CLI::App& program, Context& context, int& exit) {
  CLI::App* command = program.add_subcommand(
      "status",
      "Show whether the kernel holds the policy; new flows by open port; accepted and refused "
      "connections, sources now tracked and the fill of the meter by limit; dropped packets; "
      "blocks and lists. Members of the group cloudron-fw are told of the policy that was applied, "
      "by the daemon.\nExit code: 0 it holds the policy, 2 it does not or something keeps the "
      "rules from "
      "doing what they should, 1 error.");
  command->callback([&context, &exit] { exit = run_status(context); });
}

}  // namespace cli
