// cloudron-fw status
#include <algorithm>

#include <CLI/CLI.hpp>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <fmt/format.h>

#include "chains/text.hpp"
#include "cli/commands.hpp"
#include "cli/trial.hpp"
#include "fw/base/limits.hpp"
#include "fw/base/suggest.hpp"
#include "fw/host/surroundings.hpp"

namespace cli {
namespace {

namespace json = boost::json;
using Style = Context::Style;

constexpr std::size_t kBlocksShown = 10;

struct LimitStatus {
  const fw::Limit* limit = nullptr;
  std::uint64_t accepted = 0;
  std::uint64_t refused = 0;
  std::uint64_t overflowed = 0;  ///< admitted from the shared overflow bucket
  std::uint64_t sources = 0;
  std::uint64_t fullest = 0;  ///< elements of the fullest set
};

struct PortStatus {
  std::string port;
  std::uint64_t accepted = 0;
};

struct Status {
  bool present = false;
  bool equal = false;
  std::size_t differences = 0;
  std::vector<PortStatus> ports;
  std::vector<LimitStatus> limits;
  std::map<std::string, std::uint64_t> dropped;
  std::vector<fw::ListReport> lists;
  fw::Store::Snapshot blocks;
};

std::string ports_text(const std::vector<fw::PortRange>& ports) {
  std::string text;
  for (const fw::PortRange& range : ports) {
    if (!text.empty()) text += ' ';
    const std::string one = to_string(range);
    text += range.protocol == fw::Protocol::tcp ? one.substr(4) : one;
  }
  return text;
}

fw::Result<std::uint64_t> fill(chains::Kernel& kernel, const chains::Observed& observed,
                               const std::string& set) {
  const auto known = observed.set_fill.find(set);
  if (known != observed.set_fill.end()) return known->second;
  if (observed.table() == nullptr || chains::find(observed.table()->sets, set) == nullptr) return 0;
  return kernel.count_elements(set);
}

fw::Result<LimitStatus> limit_status(chains::Kernel& kernel, const chains::Observed& observed,
                                     const fw::Limit& limit) {
  LimitStatus status{&limit};
  auto count = [&](const char* part) {
    const auto it = observed.counters.find(limit.name + "." + part);
    return it == observed.counters.end() ? 0 : it->second.packets;
  };
  status.accepted = count("accepted");
  status.refused = count("refused");
  status.overflowed = count("overflowed");
  for (const std::string& set : chains::meter_sets(limit)) {
    const auto elements = fill(kernel, observed, set);
    if (!elements) return std::unexpected(elements.error());
    status.sources += *elements;
    status.fullest = std::max(status.fullest, *elements);
  }
  return status;
}

std::vector<PortStatus> port_status(const chains::Observed& observed) {
  std::vector<PortStatus> out;
  for (const char* name : {"open_tcp", "open_tcp_ranges", "open_udp", "open_udp_ranges"}) {
    const chains::Set* set = chains::find(observed.table()->sets, name);
    if (set == nullptr) continue;
    const auto& counts = observed.element_counts.at(name);
    const bool udp = std::string(name).starts_with("open_udp");
    for (std::size_t i = 0; i < set->elements.size(); ++i) {
      chains::Element port = set->elements[i];
      port.data = {};  // where it leads is of no interest here
      out.push_back({(udp ? "udp/" : "tcp/") + chains::to_text(*set, port), counts[i].packets});
    }
  }
  return out;
}

fw::Result<Status> gather(fw::Manager& manager, const fw::Policy& policy, chains::Unused unused) {
  Status status;
  auto report = manager.apply(policy, fw::ApplyMode::dry_run, unused);
  if (!report) return std::unexpected(report.error());
  const chains::Observed& observed = report->observed;
  status.present = observed.table() != nullptr;
  status.equal = !report->changed;
  status.differences = report->difference.lines.size() + report->difference.contents.size();
  status.lists = std::move(report->lists.reports);
  auto blocks = manager.store()->blocks(fw::wall_clock());
  if (!blocks) return std::unexpected(blocks.error());
  status.blocks = std::move(*blocks);
  if (!status.present) return status;
  status.ports = port_status(observed);
  for (const fw::Limit& limit : policy.limits) {
    const auto one = limit_status(manager.kernel(), observed, limit);
    if (!one) return std::unexpected(one.error());
    status.limits.push_back(*one);
  }
  for (const char* name :
       {"closed", "blocked", "listed", "isolated", "unpublished", "spoofed", "not_syn", "panic"}) {
    const auto it = observed.counters.find(name);
    if (it != observed.counters.end()) status.dropped[name] = it->second.packets;
  }
  return status;
}

std::string fill_text(const LimitStatus& limit) {
  const double share = 100.0 * static_cast<double>(limit.fullest) / fw::kMeterSourcesMax;
  return limit.fullest == 0 ? "0%" : share < 1 ? "<1%" : fmt::format("{:.0f}%", share);
}

void print_limits(const Context& context, const Status& status) {
  using Align = Table::Align;
  Table table({Align::left, Align::left, Align::left, Align::right, Align::right, Align::right,
               Align::right, Align::left});
  table.heading({"limit", "rate", "counts", "accepted", "refused", "sources", "fill", "ports"});
  for (const LimitStatus& s : status.limits) {
    const bool apps = s.limit->from == fw::Source::apps;
    table.row({s.limit->name, to_string(s.limit->rate),
               apps ? (s.limit->per == fw::LimitKey::app ? "each app" : "each app address")
                    : "each client",
               grouped(s.accepted), grouped(s.refused), grouped(s.sources), fill_text(s),
               ports_text(s.limit->ports)});
  }
  table.print(context);
  for (const LimitStatus& s : status.limits) {
    if (s.overflowed == 0) continue;
    context.say(context.styled(
        Style::yellow,
        fmt::format("  the meter of '{}' was full: {} from further sources shared one bucket",
                    s.limit->name, plural(s.overflowed, "connection"))));
  }
}

void print_blocks(const Context& context, const Status& status) {
  const fw::WallTime now = fw::wall_clock();
  const auto& blocks = status.blocks.blocks;
  context.say("");
  context.say(context.styled(Style::bold, fmt::format("{} blocked by the admin",
                                                      plural(blocks.size(), "address or network",
                                                             "addresses and networks"))));
  Table table({Table::Align::left, Table::Align::left, Table::Align::left});
  for (std::size_t i = 0; i < blocks.size() && i < kBlocksShown; ++i) {
    table.row({to_string(blocks[i].range), until_text(blocks[i].until, now),
               fw::printable(blocks[i].reason)});
  }
  table.print(context);
  if (blocks.size() > kBlocksShown) {
    context.say(fmt::format("  ... and {} more: cloudron-fw blocks",
                            grouped(blocks.size() - kBlocksShown)));
  }
  if (status.lists.empty()) return;
  context.say("");
  context.say(context.styled(Style::bold, "lists"));
  Table lists({Table::Align::left, Table::Align::left, Table::Align::right, Table::Align::left});
  for (const fw::ListReport& list : status.lists) {
    lists.row({list.name, list.action == fw::ListAction::block ? "block" : "allow",
               plural(list.entries, "entry", "entries"), list.problem});
  }
  lists.print(context);
}

void print_dropped(const Context& context, const Status& status) {
  static const std::map<std::string, const char*> kWords{
      {"blocked", "from addresses that the admin blocked"},
      {"listed", "from addresses on a block list"},
      {"closed", "to closed ports"},
      {"unpublished", "to apps by ports that are not open"},
      {"isolated", "from app to app"},
      {"spoofed", "with an app's address, from elsewhere"},
      {"panic", "for there is a panic"},
      {"not_syn", "in the middle of connections that are not known"}};
  context.say("");
  context.say(context.styled(Style::bold, "packets dropped"));
  Table table({Table::Align::right, Table::Align::left});
  for (const auto& [name, packets] : status.dropped) table.row({grouped(packets), kWords.at(name)});
  table.print(context);
}

json::value to_json(const Status& status, const std::string& policy) {
  json::array ports;
  for (const PortStatus& port : status.ports) {
    ports.push_back(json::object{{"port", port.port}, {"new_flows", port.accepted}});
  }
  json::array limits;
  for (const LimitStatus& s : status.limits) {
    json::array limited;
    for (const fw::PortRange& range : s.limit->ports) limited.emplace_back(to_string(range));
    limits.push_back(json::object{{"name", s.limit->name},
                                  {"rate", to_string(s.limit->rate)},
                                  {"ports", std::move(limited)},
                                  {"accepted", s.accepted},
                                  {"refused", s.refused},
                                  {"overflowed", s.overflowed},
                                  {"sources", s.sources},
                                  {"fullest", s.fullest},
                                  {"capacity", fw::kMeterSourcesMax}});
  }
  json::array blocks;
  for (const fw::Block& block : status.blocks.blocks) {
    blocks.push_back(cli::to_json(block, fw::wall_clock()));
  }
  json::object dropped;
  for (const auto& [name, packets] : status.dropped) dropped[name] = packets;
  return json::object{{"policy", policy},
                      {"present", status.present},
                      {"equal", status.equal},
                      {"differences", status.differences},
                      {"ports", std::move(ports)},
                      {"limits", std::move(limits)},
                      {"dropped", std::move(dropped)},
                      {"blocks", std::move(blocks)},
                      {"lists", cli::to_json(status.lists)}};
}

void print_status(const Context& context, const Status& status, const std::string& name) {
  if (!status.present) {
    context.say(context.styled(Style::red,
                               "the firewall is not in force: no table of ours in the "
                               "kernel; apply it: cloudron-fw apply"));
    return;
  }
  if (status.equal) {
    context.say(context.styled(Style::green, "the kernel holds " + name));
  } else {
    context.say(context.styled(
        Style::yellow, fmt::format("the kernel differs from {} in {}: see cloudron-fw plan", name,
                                   plural(status.differences, "line"))));
  }
  context.say("");
  Table ports({Table::Align::left, Table::Align::right});
  ports.heading({"open port", "new flows"});
  for (const PortStatus& port : status.ports) ports.row({port.port, grouped(port.accepted)});
  ports.print(context);
  context.say("");
  print_limits(context, status);
  print_dropped(context, status);
  print_blocks(context, status);
}

int run(const Context& context) {
  const LoadedPolicy loaded = load_some_policy(context);
  context.problems(loaded.warnings);
  auto manager = open_manager(context);
  if (!manager) {
    context.error(manager.error());
    return kError;
  }
  const auto status = gather(*manager, loaded.policy, unused_now(context));
  if (!status) {
    context.error(status.error());
    return kError;
  }
  print_trouble(context, loaded);
  if (context.json) {
    json::value value = to_json(*status, loaded.name);
    value.as_object()["confirmation"] = trial_json(context);
    value.as_object()["panic"] = panic_json(context);
    context.print(value);
  } else {
    print_status(context, *status, loaded.name);
  }
  if (loaded.stands_in) return kError;
  return status->equal ? kOk : kDifferent;
}

}  // namespace

void add_status(CLI::App& program, Context& context, int& exit) {
  CLI::App* command = program.add_subcommand(
      "status",
      "Does the kernel hold the policy? And: new flows by open port; accepted and refused "
      "connections, sources now tracked and the fill of the meter by limit; what was dropped; "
      "blocks and lists.\nExit code: 0 it holds the policy, 2 it does not, 1 error.");
  command->callback([&context, &exit] { exit = run(context); });
}

}  // namespace cli
