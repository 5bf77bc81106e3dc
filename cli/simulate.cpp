// cloudron-fw simulate
// SPDX-License-Identifier: GPL-2.0-or-later
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <unistd.h>

#include "cli/commands.hpp"
#include "cli/plot.hpp"
#include "cli/progress.hpp"
#include "cli/simulation.hpp"
#include "fw/base/suggest.hpp"
#include "fw/capture/captures.hpp"
#include "fw/host/host_facts.hpp"
#include "fw/host/own_addresses.hpp"

namespace cli {
namespace {

using simulate::Firewall;

struct SimulateOptions {
  std::vector<std::string> captures;
  std::string compare;
  std::vector<std::string> hosts;
  std::string plot;
  std::size_t top = 10;
};

std::vector<fw::Ip> machine_addresses() {
  std::vector<fw::Ip> addresses;
  for (const fw::OwnAddress& own : fw::own_addresses()) addresses.push_back(own.ip);
  return addresses;
}

/// The blocks that are in force now, where this user may know them.
fw::AddressSet blocked_now(const Context& context) {
  fw::AddressSet set;
  if (access((context.state_dir + "/state.db").c_str(), R_OK | W_OK) != 0) return set;
  auto store = fw::Store::open(context.state_dir);
  if (!store) {
    context.warn("blocks are ignored: " + to_string(store.error()));
    return set;
  }
  const auto snapshot = store->blocks(fw::wall_clock());
  if (!snapshot) {
    context.warn("blocks are ignored: " + to_string(snapshot.error()));
    return set;
  }
  for (const fw::Block& block : snapshot->blocks) append(set, block.range);
  normalize(set);
  return set;
}

/// The firewall of a policy; nothing when that cannot be used (all problems are printed).
std::optional<Firewall> firewall_of(const Context& context, LoadedPolicy loaded,
                                    const simulate::Hosts& hosts) {
  context.problems(loaded.warnings);
  simulate::Addresses addresses;
  addresses.hosts = hosts.addresses;
  addresses.blocked = blocked_now(context);
  fw::Lists lists(context.state_dir);
  const fw::EffectiveLists effective = lists.resolve(loaded.policy, {fw::special_space()});
  print_lists(context, effective.reports);
  std::vector<std::pair<fw::Digest, fw::AddressSet*>> wanted{{effective.block, &addresses.listed},
                                                             {effective.allow, &addresses.allowed}};
  for (const std::string& name : source_lists(loaded.policy))
    wanted.emplace_back(effective.content_of(name), &addresses.lists[name]);
  for (const auto& [digest, set] : wanted) {
    auto content = lists.content(digest);
    if (!content) {
      context.error(content.error());
      return {};
    }
    *set = std::move(*content);
  }
  simulate::Options options;
  options.one_way = hosts.one_way;
  auto firewall = Firewall::make(simulate::Rules(std::move(loaded.policy), addresses), options);
  if (!firewall) {
    context.error(firewall.error());
    return {};
  }
  return std::move(*firewall);
}

/// Enough packets to tell which addresses are the host's; the last of them may be all there are.
std::vector<capture::Packet> sample(capture::Captures& captures) {
  std::vector<capture::Packet> packets;
  while (packets.size() < simulate::kSamplePackets) {
    const auto some = captures.read();
    if (some.empty()) break;
    packets.insert(packets.end(), some.begin(), some.end());
  }
  return packets;
}

/// With the wrong addresses everything else is wrong too.
void doubt_hosts(const Context& context, const simulate::Hosts& hosts, std::size_t packets) {
  if (packets == 0) return;
  if (hosts.addresses.empty()) {
    context.warn("cannot tell which address is the host's: name it with --host");
    return;
  }
  if (hosts.share < 0.5) {
    context.warn(
        fmt::format("only {:.0f}% of the first packets are from or to the host, assumed "
                    "to be {}; if it is another, use --host",
                    hosts.share * 100, fw::to_string(hosts.addresses.front())));
  } else if (hosts.rival) {
    context.warn(
        fmt::format("{} is in as many packets as {}, which is assumed to be the host; if it is "
                    "the other, use --host {}",
                    fw::to_string(*hosts.rival), fw::to_string(hosts.addresses.front()),
                    fw::to_string(*hosts.rival)));
  } else if (hosts.one_way) {
    context.warn(
        "the capture holds none of the host's own packets: a client's ACK alone counts as "
        "a completed handshake");
  }
}

bool write_plot(const Context& context, const std::string& path, const Simulated& simulated) {
  std::vector<Curve> curves;
  for (const simulate::Tally& tally : simulated.firewall->tallies()) {
    if (tally.totals.connections + tally.totals.refused != 0) curves.push_back(curve_of(tally));
  }
  const std::string title = fmt::format("{} to {}, {}", moment_text(simulated.firewall->first()),
                                        moment_text(simulated.firewall->last()), simulated.policy);
  std::ofstream file(path);
  file << to_svg(curves, title) << std::flush;
  if (file) return true;
  context.error(fmt::format("cannot write {}: {}", path, std::strerror(errno)));
  return false;
}

/// Something that is named twice would be judged twice.
bool names_one_twice(const Context& context, const std::vector<std::string>& captures) {
  for (std::size_t i = 0; i < captures.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      std::error_code none;  // what is not there is reported when it is read
      if (captures[i] != captures[j] &&
          !std::filesystem::equivalent(captures[i], captures[j], none)) {
        continue;
      }
      context.error(captures[i] == "-"
                        ? "standard input (-) can be read only once"
                        : captures[i] + " is named twice: its traffic would count twice");
      return true;
    }
  }
  return false;
}

/// A plot would take the place of what it is made from.
bool plots_over_capture(const Context& context, const SimulateOptions& options) {
  if (options.plot.empty()) return false;
  if (options.plot == "-") {
    context.error("--plot needs a file name (./- for a file called -)");
    return true;
  }
  for (const std::string& capture : options.captures) {
    std::error_code none;  // what is not there is reported when it is read
    if (!std::filesystem::equivalent(capture, options.plot, none)) continue;
    context.error(fmt::format("--plot: {} is one of the captures: name another file",
                              fw::printable(options.plot)));
    return true;
  }
  return false;
}

std::optional<std::vector<fw::Ip>> given_hosts(const Context& context,
                                               const SimulateOptions& options) {
  std::vector<fw::Ip> hosts;
  for (const std::string& text : options.hosts) {
    const auto ip = fw::parse_ip(text);
    if (!ip) {
      context.error("--host: " + to_string(ip.error()));
      return {};
    }
    hosts.push_back(*ip);
  }
  return hosts;
}

std::optional<LoadedPolicy> other_policy(const Context& context, const SimulateOptions& options) {
  Context other = context;
  other.policy_path = options.compare;
  return load_policy(other);
}

int finish(const Context& context, const SimulateOptions& options, const Simulated& simulated) {
  if (context.json) {
    context.print(to_json(simulated));
  } else {
    print_simulation(context, simulated);
  }
  for (const fw::Error& error : simulated.broken) context.error(error);
  if (!options.plot.empty() && !write_plot(context, options.plot, simulated)) return kError;
  if (!simulated.broken.empty()) return kPartly;
  return has_refusals(*simulated.firewall) ? kDifferent : kOk;
}

int run_simulate(const Context& context, const SimulateOptions& options) {
  const auto hosts = given_hosts(context, options);
  if (!hosts || names_one_twice(context, options.captures) ||
      plots_over_capture(context, options)) {
    return kUsage;
  }
  auto loaded = load_policy(context);
  if (!loaded) return kError;
  std::optional<LoadedPolicy> other;
  if (!options.compare.empty() && !(other = other_policy(context, options))) return kError;
  auto captures = capture::Captures::open(options.captures);
  if (!captures) {
    context.error(captures.error());
    return kError;
  }
  Simulated simulated;
  simulated.shown = options.top;
  simulated.policy = fw::printable(loaded->name, loaded->name.size());
  std::vector<fw::IpRange> apart;
  for (const auto& [range, where] : loaded->policy.app_networks) apart.push_back(range);
  const std::vector<capture::Packet> first = sample(*captures);
  simulated.hosts = simulate::find_hosts(first, *hosts, machine_addresses(), apart);

  doubt_hosts(context, simulated.hosts, first.size());

  std::vector<Firewall> firewalls;
  for (std::optional<LoadedPolicy>* policy : {&loaded, &other}) {
    if (!*policy) continue;
    if (policy == &other) simulated.other_policy = fw::printable(other->name, other->name.size());
    auto firewall = firewall_of(context, std::move(**policy), simulated.hosts);
    if (!firewall) return kError;
    firewalls.push_back(std::move(*firewall));
  }
  {
    Progress progress(context, "reading");
    std::uint64_t packets = 0;
    for (std::span<const capture::Packet> some = first; !some.empty(); some = captures->read()) {
      for (Firewall& firewall : firewalls) firewall.take(some);
      packets += some.size();
      progress.tell(captures->position(), captures->size(), packets);
    }
  }
  simulated.firewall = &firewalls.front();
  simulated.other = other ? &firewalls.back() : nullptr;
  simulated.counts = captures->counts();
  simulated.broken = captures->broken();
  return finish(context, options, simulated);
}

}  // namespace

void add_simulate(CLI::App& program, Context& context, int& exit) {
  auto options = std::make_shared<SimulateOptions>();
  CLI::App* command = program.add_subcommand(
      "simulate",
      "Show what the policy would have refused in captured traffic. Reads pcap and pcapng "
      "(tcpdump, Wireshark), plain or compressed with gzip or zstd; sorts several files by time. "
      "Prints what each limit would have admitted and refused, which clients and when, the "
      "smallest limit that would have refused no client, and what would have been dropped. Needs "
      "no root, but without root it ignores blocks. Changes nothing.\nExit code: 0 no limit would "
      "have refused a client, 2 one would have, 3 a capture is damaged (the readable part is "
      "reported), 1 error. With --compare the exit code is that of --policy.");
  command->add_option("CAPTURE", options->captures, "Capture files; - is standard input")
      ->required()
      ->check(not_empty);
  command->add_option("--compare", options->compare, "Show what this other policy would change")
      ->type_name("FILE")
      ->check(not_empty);
  command
      ->add_option("--host", options->hosts,
                   "An address of the captured host, if it cannot be found from this machine or "
                   "the capture; repeat for each address")
      ->type_name("ADDRESS")
      ->allow_extra_args(false);
  command->add_option("--plot", options->plot, "Write connections over time to this file, as SVG")
      ->type_name("FILE")
      ->check(not_empty);
  command->add_option("--top", options->top, "How many clients and ports of each kind to show")
      ->type_name("NUMBER")
      ->check(CLI::Range(1, 1'000'000))
      ->capture_default_str();
  command->callback([&context, &exit, options] { exit = run_simulate(context, *options); });
}

}  // namespace cli
