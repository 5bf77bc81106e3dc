// cloudron-fw block, unblock, blocks
#include "fw/host/block.hpp"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <iostream>

#include <CLI/CLI.hpp>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <fmt/format.h>

#include "cli/by_daemon.hpp"
#include "cli/commands.hpp"
#include "cli/record.hpp"
#include "cli/trial.hpp"
#include "cli/waiting.hpp"
#include "fw/base/limits.hpp"
#include "fw/base/rate.hpp"
#include "fw/base/suggest.hpp"
#include "fw/host/lock.hpp"
#include "fw/host/surroundings.hpp"

namespace cli {
namespace {

namespace json = boost::json;

struct BlockOptions {
  std::vector<std::string> addresses;
  std::string from;
  std::string for_time;
  std::string reason;
  std::string origin;
  bool force = false;
};

void read_lines(std::istream& in, const std::string& name, std::vector<fw::IpRange>& ranges,
                std::vector<std::string>& errors) {
  std::string line;
  for (std::size_t number = 1; std::getline(in, line); ++number) {
    line.resize(std::min(line.find_first_of("#;"), line.size()));
    const auto first = line.find_first_not_of(" \t\r");
    if (first == std::string::npos) continue;
    line = line.substr(first, line.find_last_not_of(" \t\r") + 1 - first);
    const auto range = fw::parse_ip_range(line);
    if (range) {
      ranges.push_back(*range);
    } else {
      errors.push_back(fmt::format("{}:{}: {}", name, number, to_string(range.error())));
    }
    if (errors.size() >= fw::kListBadLinesShown || ranges.size() > fw::kBlocksMax) return;
  }
}

/// Everything that was named, or nothing and all complaints printed.
std::optional<std::vector<fw::IpRange>> ranges_of(const Context& context,
                                                  const BlockOptions& options) {
  std::vector<fw::IpRange> ranges;
  std::vector<std::string> errors;
  for (const std::string& text : options.addresses) {
    const auto range = fw::parse_ip_range(text);
    if (range) ranges.push_back(*range);
    if (!range) errors.push_back(to_string(range.error()));
  }
  if (options.from == "-") {
    read_lines(std::cin, "standard input", ranges, errors);
  } else if (!options.from.empty()) {
    std::ifstream file(options.from);
    if (!file.is_open()) {
      errors.push_back(fmt::format("cannot read {}: {}", options.from, std::strerror(errno)));
    }
    read_lines(file, options.from, ranges, errors);
  }
  if (errors.empty() && ranges.empty())
    errors.emplace_back("no address was given: name some, or a file with --from");
  for (const std::string& error : errors) context.error(error);
  if (!errors.empty()) return {};
  return ranges;
}

bool in_range(fw::Ip ip, const fw::IpRange& range) {
  return range.contains({ip.family, ip.bits, ip.bits});
}

/// Why blocking a range is likely a mistake; "" when it is not.
std::string doubt(const fw::Policy& policy, const std::optional<fw::Session>& session,
                  const fw::IpRange& range) {
  for (const auto& [trusted, where] : policy.trusted) {
    if (!trusted.overlaps(range)) continue;
    return fmt::format("{} the trusted network {} ({})",
                       trusted.contains(range) ? "is in" : "holds addresses of", to_string(trusted),
                       to_string(where));
  }
  for (const char* text : {"127.0.0.0/8", "::1"}) {
    if (fw::parse_ip_range(text)->overlaps(range)) return "holds addresses of this host itself";
  }
  if (session && in_range(session->remote, range)) {
    return fmt::format("holds {}, from where this SSH session comes", to_string(session->remote));
  }
  const int width = range.family == fw::Family::ipv4 ? 24 : 112;  // of a /8, of a /16
  if (range.last - range.first >= fw::U128{1} << width) {
    return fmt::format("is more than a /{}", range.family == fw::Family::ipv4 ? 8 : 16);
  }
  return {};
}

bool needs_force(const Context& context, const fw::Policy& policy,
                 const std::vector<fw::IpRange>& ranges) {
  bool refused = false;
  for (const fw::IpRange& range : ranges) {
    const std::string why = doubt(policy, own_session(), range);
    if (why.empty()) continue;
    context.error(fmt::format("{} {}: nothing was blocked; say --force to block it all the same",
                              to_string(range), why));
    refused = true;
  }
  return refused;
}

struct Opened {
  fw::StateLock lock;
  chains::Kernel kernel;
  fw::Store store;
};

fw::Result<Opened> open_all(const Context& context) {
  auto lock = fw::StateLock::take(context.state_dir);
  if (!lock) return std::unexpected(lock.error());
  (void)settle_trial(context);
  auto kernel = chains::Kernel::open();
  if (!kernel) return std::unexpected(kernel.error());
  auto store = fw::Store::open(context.state_dir);
  if (!store) return std::unexpected(store.error());
  return Opened{std::move(*lock), std::move(*kernel), std::move(*store)};
}

json::array blocks_json(const std::vector<fw::Block>& blocks, fw::WallTime now) {
  json::array out;
  for (const fw::Block& block : blocks) out.push_back(to_json(block, now));
  return out;
}

void say_in_force(const Context& context, const fw::BlockOutcome& outcome) {
  if (!outcome.in_force) {
    context.warn("the firewall is not in force: this is stored, and waits for 'cloudron-fw apply'");
  }
  for (const std::string& warning : outcome.warnings) context.warn(warning);
}

json::array first_addresses(const std::vector<fw::Block>& blocks) {
  json::array out;
  for (std::size_t i = 0; i < blocks.size() && i < fw::kActivityLinesMax; ++i) {
    out.emplace_back(to_string(blocks[i].range));
  }
  return out;
}

/// "203.0.113.7", "12 entries".
std::string described(const std::vector<fw::Block>& blocks) {
  return blocks.size() == 1 ? to_string(blocks.front().range)
                            : plural(blocks.size(), "entry", "entries");
}

void record_block(const Context& context, const LoadedPolicy& loaded, const BlockOptions& options,
                  const std::vector<fw::Block>& blocks, const fw::BlockOutcome& outcome) {
  const std::string reason = fw::printable(options.reason, 256);
  const std::string length = options.for_time.empty() ? "for good" : "for " + options.for_time;
  record(context, loaded.stands_in ? nullptr : &loaded.policy, "block",
         fmt::format("{} {}{}{}", described(blocks), length, reason.empty() ? "" : ": ", reason),
         {{"count", blocks.size()},
          {"addresses", first_addresses(blocks)},
          {"for", length},
          {"reason", reason},
          {"in_force", outcome.in_force},
          {"flows_cut", outcome.flows_cut}});
}

int run_block(const Context& context, const BlockOptions& options) {
  const auto ranges = ranges_of(context, options);
  if (!ranges) return kError;
  const auto duration = fw::parse_duration(options.for_time);
  const bool for_good = options.for_time.empty();
  if (!for_good && !duration) {
    context.error("--for " + to_string(duration.error()));
    return kUsage;
  }
  const LoadedPolicy loaded = load_some_policy(context);
  if (!options.force && needs_force(context, loaded.policy, *ranges)) return kError;
  fw::WallTime now;
  std::optional<fw::WallTime> until;
  std::vector<fw::Block> blocks;
  blocks.reserve(ranges->size());
  bool by_daemon = false;
  const auto outcome = [&]() -> fw::Result<fw::BlockOutcome> {
    const Waiting waiting(context, "blocking " + plural(ranges->size(), "entry", "entries"));
    const auto begin = [&] {
      now = fw::wall_clock();  // not before the lock: the wait for it is no part of the block
      if (!for_good) until = now + *duration;
      for (const fw::IpRange& range : *ranges) {
        blocks.push_back(
            {range, until, options.reason, options.origin.empty() ? "admin" : options.origin, now});
      }
    };
    if (auto done =
            block_by_daemon(context, *ranges, options.for_time, options.reason, options.origin)) {
      by_daemon = true;
      begin();
      return std::move(*done);
    }
    auto opened = open_all(context);
    if (!opened) return std::unexpected(opened.error());
    begin();
    const std::uint32_t mark = std::uint32_t{1} << loaded.policy.mark_bit;
    return fw::block(opened->kernel, opened->store, mark, blocks, now);
  }();
  if (!outcome) {
    context.error(outcome.error());
    return kError;
  }
  // Before anything is printed: whoever reads the output may stop, which ends this process.
  if (!by_daemon) record_block(context, loaded, options, blocks, *outcome);
  if (context.json) {
    context.print(json::object{{"blocked", blocks_json(blocks, now)},
                               {"kept_longer", blocks_json(outcome->change.kept_longer, now)},
                               {"in_force", outcome->in_force},
                               {"flows_cut", outcome->flows_cut}});
  }
  const char* const verb = outcome->in_force ? "blocked" : "to be blocked";
  const auto& longer = outcome->change.kept_longer;
  if (blocks.size() != 1) {
    context.say(fmt::format("{} {}, {}", plural(blocks.size(), "entry", "entries"), verb,
                            until_text(until, now)));
  } else if (longer.empty()) {
    context.say(
        fmt::format("{} {}, {}", to_string(blocks.front().range), verb, until_text(until, now)));
  }
  for (const fw::Block& block : outcome->change.kept_longer) {
    context.say(fmt::format("{} stays blocked, which is longer: {}", to_string(block.range),
                            until_text(block.until, now)));
  }
  if (outcome->flows_cut != 0) {
    context.say(plural(outcome->flows_cut, "open connection") + " cut");
  }
  say_in_force(context, *outcome);
  return outcome->in_force && !loaded.stands_in ? kOk : kPartly;
}

/// Names the lists that hold an address which someone wants unblocked.
bool warn_listed(const Context& context, const std::vector<fw::IpRange>& ranges) {
  const auto loaded = load_policy(context);
  if (!loaded || loaded->policy.lists.empty()) return false;
  fw::Lists lists(context.state_dir);
  const fw::EffectiveLists effective = lists.resolve(loaded->policy);
  const auto blocked = lists.content(effective.block);
  if (!blocked) return false;
  bool any = false;
  for (const fw::IpRange& range : ranges) {
    if (fw::disjoint(*blocked, range)) continue;
    for (const fw::ListReport& report : effective.reports) {
      if (report.action != fw::ListAction::block) continue;
      const auto content = lists.content(report.digest);
      if (!content || fw::disjoint(*content, range)) continue;
      context.warn(fmt::format(
          "{} stays blocked by list '{}' ({}): take it out there, or into an allow list",
          to_string(range), report.name, report.file));
      any = true;
    }
  }
  return any;
}

int run_unblock(const Context& context, const BlockOptions& options) {
  const auto ranges = ranges_of(context, options);
  if (!ranges) return kError;
  fw::WallTime now;
  bool by_daemon = false;
  const auto outcome = [&]() -> fw::Result<fw::BlockOutcome> {
    const Waiting waiting(context, "unblocking " + plural(ranges->size(), "entry", "entries"));
    now = fw::wall_clock();
    if (auto done = unblock_by_daemon(context, *ranges, options.origin)) {
      by_daemon = true;
      return std::move(*done);
    }
    auto opened = open_all(context);
    if (!opened) return std::unexpected(opened.error());
    now = fw::wall_clock();
    return fw::unblock(opened->kernel, opened->store, *ranges, now, options.origin);
  }();
  if (!outcome) {
    context.error(outcome.error());
    return kError;
  }
  const fw::BlockChange& change = outcome->change;
  if (!change.removed.empty() && !by_daemon) {
    record(context, nullptr, "unblock", described(change.removed),
           {{"count", change.removed.size()}, {"addresses", first_addresses(change.removed)}});
  }
  if (context.json) {
    json::array not_found;
    for (const fw::IpRange& range : change.not_found) not_found.emplace_back(to_string(range));
    context.print(json::object{{"unblocked", blocks_json(change.removed, now)},
                               {"still_blocked_by", blocks_json(change.still_covers, now)},
                               {"not_found", std::move(not_found)},
                               {"in_force", outcome->in_force}});
  }
  for (std::size_t i = 0; i < change.removed.size() && i < 20; ++i) {
    context.say(to_string(change.removed[i].range) + " unblocked");
  }
  if (change.removed.size() > 20) {
    context.say(fmt::format("... and {} more", grouped(change.removed.size() - 20)));
  }
  for (const fw::Block& block : change.still_covers) {
    context.warn(fmt::format("still blocked by {} ({}{}{}); to lift that: cloudron-fw unblock {}",
                             to_string(block.range), until_text(block.until, now),
                             block.reason.empty() ? "" : ", ", fw::printable(block.reason),
                             to_string(block.range)));
  }
  const bool listed = warn_listed(context, *ranges);
  if (change.still_covers.empty() && !listed) {
    for (const fw::IpRange& range : change.not_found) {
      context.warn(to_string(range) + " was not blocked");
    }
  }
  say_in_force(context, *outcome);
  const bool all =
      outcome->in_force && change.still_covers.empty() && !listed && change.not_found.empty();
  return all ? kOk : kPartly;
}

/// Of the store, or what the daemon tells those who may not read it.
fw::Result<std::vector<fw::Block>> all_blocks(const Context& context, fw::WallTime now) {
  if (asks_daemon(context)) {
    auto told = blocks_of_daemon(context);
    if (!told) return std::unexpected(told.error());
    if (told->blocks.size() < told->all) {
      context.warn(fmt::format("the daemon tells the first {} of {} blocks; all of them: sudo",
                               grouped(told->blocks.size()), grouped(told->all)));
    }
    return std::move(told->blocks);
  }
  auto store = fw::Store::open(context.state_dir);
  if (!store) return std::unexpected(store.error());
  auto snapshot = store->blocks(now);
  if (!snapshot) return std::unexpected(snapshot.error());
  return std::move(snapshot->blocks);
}

int run_blocks(const Context& context) {
  const fw::WallTime now = fw::wall_clock();
  const auto blocks = all_blocks(context, now);
  if (!blocks) {
    context.error(blocks.error());
    return kError;
  }
  if (context.json) {
    context.print(json::object{{"blocks", blocks_json(*blocks, now)}});
    return kOk;
  }
  if (blocks->empty()) context.say("nothing is blocked");
  Table table({Table::Align::left, Table::Align::left, Table::Align::left, Table::Align::left});
  table.heading({"blocked", "since", "ends", "reason"});
  for (const fw::Block& block : *blocks) {
    table.row({to_string(block.range), time_text(block.since), until_text(block.until, now),
               fw::printable(block.reason)});
  }
  if (!table.empty()) table.print(context, "");
  return kOk;
}

std::string fits_origin(const std::string& value) {
  if (!value.empty() && value.size() <= fw::kOriginMax) return {};
  return fmt::format("it must have 1 to {} bytes", fw::kOriginMax);
}

void add_addresses(CLI::App* command, BlockOptions& options) {
  command->add_option("ADDR", options.addresses,
                      "IPv4 or IPv6 address, network (203.0.113.0/24) or range "
                      "(203.0.113.5-203.0.113.9)");
  command
      ->add_option("--from", options.from,
                   "Read addresses from a file, one a line, # comments; - is standard input")
      ->type_name("FILE|-")
      ->check(not_empty);
  command
      ->add_option("--origin", options.origin,
                   "Who blocks, when it is a program (default: admin); what unblock lifts alone")
      ->type_name("NAME")
      ->check(fits_origin);
}

}  // namespace

void add_block(CLI::App& program, Context& context, int& exit) {
  auto options = std::make_shared<BlockOptions>();
  CLI::App* block = program.add_subcommand(
      "block",
      "Block addresses, networks or ranges, at once and for open connections too. Blocks outlive a "
      "reboot. An address is blocked until the latest end that it was given.");
  add_addresses(block, *options);
  block
      ->add_option("--for", options->for_time, "How long: 90s, 10m, 1h, 7d, 2w (default: for good)")
      ->type_name("TIME")
      ->check(not_empty);
  block->add_option("--reason", options->reason, "Why, for 'blocks' and 'status'")
      ->type_name("TEXT");
  block->add_flag("--force", options->force,
                  "Block trusted networks, this host, the own SSH session or more than a /8 too");
  block->callback([&context, &exit, options] { exit = run_block(context, *options); });

  CLI::App* unblock = program.add_subcommand(
      "unblock",
      "Lift blocks: those of exactly what is named, and those inside it. Says so when an address "
      "stays blocked by a larger network or a list (exit code 3).");
  add_addresses(unblock, *options);
  unblock->callback([&context, &exit, options] { exit = run_unblock(context, *options); });

  CLI::App* blocks =
      program.add_subcommand("blocks", "List what is blocked, since when, how long and why.");
  blocks->callback([&context, &exit] { exit = run_blocks(context); });
}

}  // namespace cli
