// cloudron-fw block, unblock, blocks
#include "fw/host/block.hpp"

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>

#include <CLI/CLI.hpp>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <fmt/format.h>

#include "cli/commands.hpp"
#include "cli/daemon_client.hpp"
#include "cli/record.hpp"
#include "cli/spinner.hpp"
#include "cli/trial.hpp"
#include "fw/base/limits.hpp"
#include "fw/base/rate.hpp"
#include "fw/base/suggest.hpp"
#include "fw/host/guard.hpp"
#include "fw/host/host_facts.hpp"
#include "fw/host/lock.hpp"
#include "fw/host/uplink.hpp"
#include "fw/lists/lists.hpp"

namespace cli {
namespace {

namespace json = boost::json;

struct BlockOptions {
  std::vector<std::string> addresses;
  std::string from;
  std::string for_time;
  std::string reason;
  std::string origin;
  int prefix6 = 128;
  bool force = false;
};

/// What a command names.
struct Named {
  std::vector<fw::IpRange> ranges;
  std::vector<std::size_t> lines;  ///< of each, in the file; 0 on the command line
  std::string file;                ///< "standard input"
  std::size_t bad = 0;             ///< lines that were left out, and named
  std::size_t wide = 0;            ///< lines that were taken, and warned of

  void add(const fw::IpRange& range, std::size_t line) {
    ranges.push_back(range);
    lines.push_back(line);
  }
};

/// Names a bad line of a file; those that are more than a screen holds are counted.
void bad_line(const Context& context, Named& named, std::size_t line, const std::string& why) {
  if (++named.bad <= fw::kListBadLinesShown) {
    context.warn(fmt::format("{}:{}: {}", named.file, line, why));
  }
}

void wide_line(const Context& context, Named& named, std::size_t line, const std::string& why) {
  if (++named.wide > fw::kListBadLinesShown) return;
  context.warn(fmt::format("{}:{}: {}", named.file, line, why));
}

void read_lines(const Context& context, std::istream& in, Named& named) {
  std::string line;
  for (std::size_t number = 1; std::getline(in, line); ++number) {
    constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
    if (number == 1 && line.starts_with(kByteOrderMark)) line.erase(0, kByteOrderMark.size());
    if (line.size() > fw::kListLineBytesMax) {
      bad_line(context, named, number, fmt::format("longer than {} bytes", fw::kListLineBytesMax));
      continue;
    }
    const auto range = fw::parse_list_line(line);
    if (!range) bad_line(context, named, number, range.error().what);
    if (!range || !*range) continue;
    named.add(**range, number);
    if (const auto wide = fw::why_wide(line, **range)) wide_line(context, named, number, *wide);
    if (named.ranges.size() > fw::kBlocksMax) return;
  }
}

/// With --prefix6, an IPv6 address stands for the client that has it: its network, but on a link of
/// the host's own the address alone.
void widen(const fw::BlockGuard& guard, int prefix6, Named& named) {
  for (fw::IpRange& range : named.ranges) {
    if (range.family == fw::Family::ipv4 || !range.single()) continue;
    range = guard.client({range.family, range.first}, prefix6);
  }
}

/// Everything that was named; nothing, and all complaints printed, when an argument is wrong or
/// nothing is left. Bad lines of a file are left out, and named.
std::optional<Named> named_by(const Context& context, const BlockOptions& options) {
  Named named;
  bool wrong = false;
  const auto error = [&](const std::string& what) {
    context.error(what);
    wrong = true;
  };
  for (const std::string& text : options.addresses) {
    const auto range = fw::parse_ip_range(text);
    if (range) named.add(*range, 0);
    if (!range) error(to_string(range.error()));
  }
  if (options.from == "-") {
    named.file = "standard input";
    read_lines(context, std::cin, named);
  } else if (!options.from.empty()) {
    named.file = options.from;
    std::ifstream file(options.from);
    const int opened = errno;
    const int why = std::filesystem::is_directory(options.from) ? EISDIR : opened;
    if (!file.is_open() || why == EISDIR) {
      error(fmt::format("cannot read {}: {}", options.from, std::strerror(why)));
    }
    read_lines(context, file, named);
  }
  if (!wrong && named.ranges.empty()) {
    error(named.bad != 0 ? fmt::format("{} has no line that can be used", named.file)
                         : "no address was given: name some, or a file with --from");
  }
  if (wrong) return {};
  return named;
}

void say_bad_lines(const Context& context, const Named& named) {
  if (named.bad == 0) return;
  context.warn(fmt::format("{}: {} left out", named.file, plural(named.bad, "bad line")));
}

enum class Guarded { block, unblock };

/// Leaves out what the guard objects to in a file; so a file that was blocked is unblocked without
/// more. Arguments of unblock are taken as they are. False, and complaints printed, when it objects
/// to an argument, or nothing is left.
bool passes_guard(const Context& context, const fw::BlockGuard& guard, Named& named,
                  Guarded guarded) {
  const auto session = own_session();
  const auto caller = session ? std::optional(session->remote) : std::nullopt;
  Named kept{{}, {}, named.file, named.bad, named.wide};
  bool refused = false;
  for (std::size_t i = 0; i < named.ranges.size(); ++i) {
    const bool free = guarded == Guarded::unblock && named.lines[i] == 0;
    const auto objection =
        free ? std::optional<fw::Objection>() : guard.objection(named.ranges[i], caller);
    if (!objection) {
      kept.add(named.ranges[i], named.lines[i]);
    } else if (named.lines[i] != 0) {
      bad_line(context, kept, named.lines[i],
               to_string(*objection) + (guarded == Guarded::block
                                            ? "; use --force to block it anyway"
                                            : "; name it as an argument to unblock it"));
    } else {
      context.error(fmt::format("{}: nothing was blocked; use --force to block it anyway",
                                to_string(*objection)));
      refused = true;
    }
  }
  if (!refused && kept.ranges.empty()) {
    context.error(fmt::format("{} has no line that can be used", named.file));
    refused = true;
  }
  named = std::move(kept);
  return !refused;
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
  std::string length = options.for_time.empty() ? "permanently" : "for " + options.for_time;
  const std::string& origin = blocks.front().origin;
  const std::string by = origin == "admin" ? "" : " by " + fw::quote(origin);
  record(
      context, loaded.stands_in ? nullptr : &loaded.policy, "block",
      fmt::format("{} {}{}{}{}", described(blocks), length, by, reason.empty() ? "" : ": ", reason),
      {{"count", blocks.size()},
       {"addresses", first_addresses(blocks)},
       {"for", length},
       {"reason", reason},
       {"origin", fw::printable(origin)},
       {"in_force", outcome.in_force},
       {"flows_cut", outcome.flows_cut}});
}

void print_blocked(const Context& context, const std::vector<fw::Block>& blocks,
                   const std::optional<fw::WallTime>& until, fw::WallTime now,
                   const fw::BlockOutcome& outcome, const Named& named) {
  if (context.json) {
    context.print(
        json::object{{"blocked", blocks_json(blocks, now)},
                     {"kept_longer", blocks_json(outcome.change.kept_longer, now)},
                     {"longer_by_others", blocks_json(outcome.change.longer_by_others, now)},
                     {"bad_lines", named.bad},
                     {"in_force", outcome.in_force},
                     {"flows_cut", outcome.flows_cut}});
  }
  const char* const verb = outcome.in_force ? "blocked" : "to be blocked";
  const auto& longer = outcome.change.kept_longer;
  if (blocks.size() != 1) {
    context.say(fmt::format("{} {}, {}", plural(blocks.size(), "entry", "entries"), verb,
                            until_text(until, now)));
  } else if (longer.empty()) {
    context.say(
        fmt::format("{} {}, {}", to_string(blocks.front().range), verb, until_text(until, now)));
  }
  for (const fw::Block& block : outcome.change.kept_longer) {
    context.say(fmt::format("{} stays blocked, which is longer: {}", to_string(block.range),
                            until_text(block.until, now)));
  }
  for (const fw::Block& block : outcome.change.longer_by_others) {
    context.say(fmt::format("{} is also blocked by {}, {}", to_string(block.range),
                            fw::printable(block.origin), until_text(block.until, now)));
  }
  if (outcome.flows_cut != 0) {
    context.say(plural(outcome.flows_cut, "open connection") + " cut");
  }
}

int run_block(const Context& context, const BlockOptions& options) {
  auto named = named_by(context, options);
  if (!named) return kError;
  const auto duration = fw::parse_duration(options.for_time);
  const bool for_good = options.for_time.empty();
  if (!for_good && !duration) {
    context.error("--for " + to_string(duration.error()));
    return kUsage;
  }
  const LoadedPolicy loaded = load_some_policy(context);
  const fw::BlockGuard guard(loaded.policy, fw::read_own_network());
  widen(guard, options.prefix6, *named);
  if (!options.force && !passes_guard(context, guard, *named, Guarded::block)) return kError;
  const std::string origin = options.origin.empty() ? "admin" : options.origin;
  fw::WallTime now;
  std::optional<fw::WallTime> until;
  std::vector<fw::Block> blocks;
  blocks.reserve(named->ranges.size());
  bool by_daemon = false;
  const auto outcome = [&]() -> fw::Result<fw::BlockOutcome> {
    const Spinner waiting(context, "blocking " + plural(named->ranges.size(), "entry", "entries"));
    const auto begin = [&] {
      now = fw::wall_clock();  // not before the lock: the wait for it is no part of the block
      if (!for_good) until = now + *duration;
      for (const fw::IpRange& range : named->ranges) {
        blocks.push_back({range, until, options.reason, origin, now});
      }
    };
    if (auto done = block_by_daemon(
            context, {named->ranges, options.for_time, options.reason, origin, options.force})) {
      by_daemon = true;
      begin();
      return std::move(*done);
    }
    auto opened = open_all(context);
    if (!opened) return std::unexpected(opened.error());
    begin();
    return fw::block(opened->kernel, opened->store, chains::Admission(loaded.policy.label_bit),
                     blocks, now);
  }();
  if (!outcome) {
    context.error(outcome.error());
    return kError;
  }
  // Before anything is printed: whoever reads the output may stop, which ends this process.
  if (!by_daemon) record_block(context, loaded, options, blocks, *outcome);
  print_blocked(context, blocks, until, now, *outcome, *named);
  say_in_force(context, *outcome);
  say_bad_lines(context, *named);
  return outcome->in_force && !loaded.stands_in && named->bad == 0 ? kOk : kPartly;
}

/// Names the lists that hold an address which someone wants unblocked.
bool warn_listed(const Context& context, const std::vector<fw::IpRange>& ranges) {
  const auto loaded = load_policy(context);
  if (!loaded || loaded->policy.lists.empty()) return false;
  fw::Lists lists(context.state_dir);
  const fw::EffectiveLists effective = lists.resolve(loaded->policy, {fw::spared_here()});
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

/// " (fail2ban sshd)": whose block it is, where it is not the admin's.
std::string held_by(const fw::Block& block) {
  return block.origin == "admin" ? "" : fmt::format(" ({})", fw::printable(block.origin));
}

int run_unblock(const Context& context, const BlockOptions& options) {
  auto named = named_by(context, options);
  if (!named) return kError;
  if (options.prefix6 != 128 || !options.from.empty()) {
    const fw::BlockGuard guard(load_some_policy(context).policy, fw::read_own_network());
    widen(guard, options.prefix6, *named);
    if (!passes_guard(context, guard, *named, Guarded::unblock)) return kError;
  }
  const std::vector<fw::IpRange>& ranges = named->ranges;
  fw::WallTime now;
  bool by_daemon = false;
  const auto outcome = [&]() -> fw::Result<fw::BlockOutcome> {
    const Spinner waiting(context, "unblocking " + plural(ranges.size(), "entry", "entries"));
    now = fw::wall_clock();
    if (auto done = unblock_by_daemon(context, ranges, options.origin)) {
      by_daemon = true;
      return std::move(*done);
    }
    auto opened = open_all(context);
    if (!opened) return std::unexpected(opened.error());
    now = fw::wall_clock();
    return fw::unblock(opened->kernel, opened->store, ranges, now, options.origin);
  }();
  if (!outcome) {
    context.error(outcome.error());
    return kError;
  }
  const fw::BlockChange& change = outcome->change;
  if (!change.removed.empty() && !by_daemon) {
    record(context, nullptr, "unblock", described(change.removed),
           {{"count", change.removed.size()},
            {"addresses", first_addresses(change.removed)},
            {"origin", fw::printable(options.origin)}});
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
    const fw::Block& block = change.removed[i];
    context.say(fmt::format("{} unblocked{}", to_string(block.range), held_by(block)));
  }
  if (change.removed.size() > 20) {
    context.say(fmt::format("... and {} more", grouped(change.removed.size() - 20)));
  }
  for (const fw::Block& block : change.still_covers) {
    context.warn(fmt::format("still blocked: {}{} ({}{}{}); to lift that: cloudron-fw unblock {}",
                             to_string(block.range), held_by(block), until_text(block.until, now),
                             block.reason.empty() ? "" : ", ", fw::printable(block.reason),
                             to_string(block.range)));
  }
  const bool listed = warn_listed(context, ranges);
  if (change.still_covers.empty() && !listed) {
    for (const fw::IpRange& range : change.not_found) {
      context.warn(to_string(range) + " was not blocked");
    }
  }
  if (!change.removed.empty()) say_in_force(context, *outcome);
  say_bad_lines(context, *named);
  const bool all = outcome->in_force && change.still_covers.empty() && !listed &&
                   change.not_found.empty() && named->bad == 0;
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
  if (!has_state(context)) return std::vector<fw::Block>{};
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
  constexpr auto kLeft = Table::Align::left;
  Table table({kLeft, kLeft, kLeft, kLeft, kLeft});
  table.heading({"blocked", "by", "since", "ends", "reason"});
  for (const fw::Block& block : *blocks) {
    table.row({to_string(block.range), fw::printable(block.origin), time_text(block.since),
               until_text(block.until, now), fw::printable(block.reason)});
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
                   "Read addresses from a file as list files have them; - is standard input. Bad "
                   "lines are named and left out (exit code 3)")
      ->type_name("FILE|-")
      ->check(not_empty);
  command
      ->add_option("--origin", options.origin,
                   "Owner of the block, for programs (default: admin); with unblock: lift only "
                   "this owner's blocks")
      ->type_name("NAME")
      ->check(fits_origin);
  command
      ->add_option("--prefix6", options.prefix6,
                   "Take the network of so many bits around each IPv6 address, but on the host's "
                   "own links the address alone (default: 128)")
      ->type_name("BITS")
      ->check(CLI::Range(1, 128));
}

}  // namespace

void add_block(CLI::App& program, Context& context, int& exit) {
  auto options = std::make_shared<BlockOptions>();
  CLI::App* block = program.add_subcommand(
      "block",
      "Block addresses, networks or ranges, at once and for open connections too. Blocks outlive a "
      "reboot. An address is blocked until the last of its blocks ends.");
  add_addresses(block, *options);
  block
      ->add_option("--for", options->for_time,
                   "How long: 90s, 10m, 1h, 7d, 2w (default: permanently)")
      ->type_name("TIME")
      ->check(not_empty);
  block->add_option("--reason", options->reason, "Why, for 'blocks' and 'status'")
      ->type_name("TEXT");
  block->add_flag(
      "--force", options->force,
      "Block even trusted networks, this host, its routers and resolvers, its own links, "
      "apps, your SSH session, or more than a /8 (IPv6: /16)");
  block->callback([&context, &exit, options] { exit = run_block(context, *options); });

  CLI::App* unblock = program.add_subcommand(
      "unblock",
      "Lift blocks: those of exactly what is named, and those inside it, of all owners or of one. "
      "Says so when an address "
      "stays blocked by a larger network or a list (exit code 3).");
  add_addresses(unblock, *options);
  unblock->callback([&context, &exit, options] { exit = run_unblock(context, *options); });

  CLI::App* blocks = program.add_subcommand(
      "blocks", "List what is blocked, by whom, since when, how long and why.");
  blocks->callback([&context, &exit] { exit = run_blocks(context); });
}

}  // namespace cli
