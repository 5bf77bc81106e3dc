// cloudron-fw block, unblock, blocks
// SPDX-License-Identifier: GPL-2.0-or-later
#include "fw/ops/block.hpp"

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>

#include <CLI/CLI.hpp>
#include <boost/json/object.hpp>
#include <fmt/format.h>

#include "cli/commands.hpp"
#include "fw/base/limits.hpp"
#include "fw/base/rate.hpp"
#include "fw/base/suggest.hpp"
#include "fw/host/host_facts.hpp"
#include "fw/host/uplink.hpp"
#include "fw/lists/lists.hpp"
#include "fw/wire/wire.hpp"

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
  std::vector<fw::IpRange> addresses;  ///< on the command line
  fw::ops::Listed listed;              ///< in the file; its name may be "standard input"
  std::vector<std::size_t> lines;      ///< of each of those
  std::size_t bad = 0;                 ///< lines that were left out, and named
  std::size_t wide = 0;                ///< lines that were taken, and warned of
};

/// Names a bad line of a file; those that are more than a screen holds are counted.
void bad_line(const Context& context, Named& named, std::size_t line, const std::string& why) {
  if (++named.bad <= fw::kListBadLinesShown) {
    context.warn(fmt::format("{}:{}: {}", named.listed.name, line, why));
  }
}

void wide_line(const Context& context, Named& named, std::size_t line, const std::string& why) {
  if (++named.wide > fw::kListBadLinesShown) return;
  context.warn(fmt::format("{}:{}: {}", named.listed.name, line, why));
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
    named.listed.addresses.push_back(**range);
    named.lines.push_back(number);
    if (const auto wide = fw::why_wide(line, **range)) wide_line(context, named, number, *wide);
    if (named.lines.size() > fw::kBlocksMax) return;
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
    if (range) named.addresses.push_back(*range);
    if (!range) error(to_string(range.error()));
  }
  if (options.from == "-") {
    named.listed.name = "standard input";
    read_lines(context, std::cin, named);
  } else if (!options.from.empty()) {
    named.listed.name = options.from;
    std::ifstream file(options.from);
    const int opened = errno;
    const int why = std::filesystem::is_directory(options.from) ? EISDIR : opened;
    if (!file.is_open() || why == EISDIR) {
      error(fmt::format("cannot read {}: {}", options.from, std::strerror(why)));
    }
    read_lines(context, file, named);
  }
  if (!wrong && named.addresses.empty() && named.lines.empty()) {
    error(named.bad != 0 ? fmt::format("{} has no usable line", named.listed.name)
                         : "no address given: name some, or a file with --from");
  }
  if (wrong) return {};
  return named;
}

void say_bad_lines(const Context& context, const Named& named) {
  if (named.bad == 0) return;
  context.warn(fmt::format("{}: {} left out", named.listed.name, plural(named.bad, "bad line")));
}

/// Names the lines that the guard left out. False, and said, when nothing was left.
bool say_left_out(const Context& context, Named& named,
                  const std::vector<fw::ops::LeftOut>& left_out, const char* remedy) {
  for (const fw::ops::LeftOut& one : left_out) {
    bad_line(context, named, named.lines[one.index], to_string(one.why) + remedy);
  }
  if (left_out.size() < named.lines.size() || !named.addresses.empty()) return true;
  context.error(fmt::format("{} has no usable line", named.listed.name));
  return false;
}

void say_in_force(const Context& context, bool in_force, const std::vector<std::string>& warnings) {
  if (!in_force) {
    context.warn("the firewall is not in force: stored for the next 'cloudron-fw apply'");
  }
  for (const std::string& warning : warnings) context.warn(warning);
}

void print_blocked(const Context& context, const fw::ops::BlockReport& report, const Named& named) {
  if (context.json) {
    json::object out = fw::wire::to_json(report).as_object();
    out["bad_lines"] = named.bad;
    context.print(std::move(out));
  }
  const fw::WallTime now = fw::wall_clock();
  const char* const verb = report.in_force ? "blocked" : "to be blocked";
  const auto& blocks = report.blocked;
  if (blocks.size() != 1) {
    context.say(fmt::format("{} {}, {}", plural(blocks.size(), "entry", "entries"), verb,
                            until_text(blocks.front().until, blocks.front().since)));
  } else if (report.kept_longer.empty()) {
    context.say(fmt::format("{} {}, {}", to_string(blocks.front().range), verb,
                            until_text(blocks.front().until, blocks.front().since)));
  }
  for (const fw::Block& block : report.kept_longer) {
    context.say(fmt::format("{} stays blocked, which is longer: {}", to_string(block.range),
                            until_text(block.until, now)));
  }
  for (const fw::Block& block : report.longer_by_others) {
    context.say(fmt::format("{} is also blocked by {}, {}", to_string(block.range),
                            fw::printable(block.origin), until_text(block.until, now)));
  }
  if (report.flows_cut != 0) context.say(plural(report.flows_cut, "open connection") + " cut");
  if (!report.behind_proxies.empty()) context.say(report.behind_proxies);
}

int run_block(const Context& context, const BlockOptions& options) {
  auto named = named_by(context, options);
  if (!named) return kError;
  fw::ops::BlockRequest request{named->addresses,
                                {named->listed.name, std::move(named->listed.addresses)},
                                {},
                                options.reason,
                                options.origin,
                                options.prefix6,
                                options.force};
  if (request.origin.empty()) request.origin = "admin";
  if (!options.for_time.empty()) {
    const auto duration = fw::parse_duration(options.for_time);
    if (!duration) {
      context.error("--for " + to_string(duration.error()));
      return kUsage;
    }
    request.lasts = *duration;
  }
  const fw::ops::Environment env = context.environment();
  const LoadedPolicy loaded = fw::ops::load_some_policy(env, context.source());
  const auto report = fw::ops::block(env, loaded, std::move(request));
  if (!report) return failed(context, report.error());
  if (!say_left_out(context, *named, report->left_out, "; use --force to block it anyway")) {
    return kError;
  }
  print_blocked(context, *report, *named);
  say_in_force(context, report->in_force, report->warnings);
  say_bad_lines(context, *named);
  return report->in_force && !loaded.stands_in && named->bad == 0 ? kOk : kPartly;
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
          "{} stays blocked by list '{}' ({}): remove it there, or add it to an allow list",
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

void print_unblocked(const Context& context, const fw::ops::UnblockReport& report) {
  constexpr std::size_t kShown = 20;
  const auto& removed = report.unblocked;
  for (std::size_t i = 0; i < std::min(removed.size(), kShown); ++i) {
    context.say(fmt::format("{} unblocked{}", to_string(removed[i].range), held_by(removed[i])));
  }
  if (removed.size() > kShown) {
    context.say(fmt::format("... and {} more", grouped(removed.size() - kShown)));
  }
  const fw::WallTime now = fw::wall_clock();
  for (const fw::Block& block : report.still_blocked_by) {
    context.warn(fmt::format("still blocked: {}{} ({}{}{}); to lift this: cloudron-fw unblock {}",
                             to_string(block.range), held_by(block), until_text(block.until, now),
                             block.reason.empty() ? "" : ", ", fw::printable(block.reason),
                             to_string(block.range)));
  }
}

int run_unblock(const Context& context, const BlockOptions& options) {
  auto named = named_by(context, options);
  if (!named) return kError;
  const auto report =
      fw::ops::unblock(context.environment(), context.source(),
                       {named->addresses, named->listed, options.origin, options.prefix6});
  if (!report) return failed(context, report.error());
  if (!say_left_out(context, *named, report->left_out, "; name it as an argument to unblock it")) {
    return kError;
  }
  if (context.json) context.print(fw::wire::to_json(*report));
  print_unblocked(context, *report);
  std::vector<fw::IpRange> asked = named->addresses;
  asked.insert(asked.end(), named->listed.addresses.begin(), named->listed.addresses.end());
  const bool listed = warn_listed(context, asked);
  if (report->still_blocked_by.empty() && !listed) {
    for (const fw::IpRange& range : report->not_found) {
      context.warn(to_string(range) + " was not blocked");
    }
  }
  if (!report->unblocked.empty()) say_in_force(context, report->in_force, report->warnings);
  say_bad_lines(context, *named);
  const bool all = report->in_force && report->still_blocked_by.empty() && !listed &&
                   report->not_found.empty() && named->bad == 0;
  return all ? kOk : kPartly;
}

int run_blocks(const Context& context) {
  const auto list = fw::ops::blocks(context.environment());
  if (!list) return failed(context, list.error());
  if (list->blocks.size() < list->all) {
    context.warn(fmt::format("the daemon lists only the first {} of {} blocks; to list all: sudo",
                             grouped(list->blocks.size()), grouped(list->all)));
  }
  if (context.json) {
    context.print(fw::wire::to_json(*list));
    return kOk;
  }
  if (list->blocks.empty()) context.say("nothing is blocked");
  const fw::WallTime now = fw::wall_clock();
  constexpr auto kLeft = Table::Align::left;
  Table table({kLeft, kLeft, kLeft, kLeft, kLeft});
  table.heading({"blocked", "by", "since", "ends", "reason"});
  for (const fw::Block& block : list->blocks) {
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
                   "Read addresses from a file in the format of list files; - is standard input. "
                   "Bad lines are reported and skipped (exit code 3)")
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
                   "Take the network of this prefix length that contains each IPv6 address; on "
                   "the host's own links, only the address (default: 128)")
      ->type_name("BITS")
      ->check(CLI::Range(1, 128));
}

}  // namespace

void add_block(CLI::App& program, Context& context, int& exit) {
  auto options = std::make_shared<BlockOptions>();
  CLI::App* block = program.add_subcommand(
      "block",
      "Block addresses, networks or ranges at once, and cut their open connections. Blocks survive "
      "reboots. An address is blocked until the last of its blocks ends.");
  add_addresses(block, *options);
  block
      ->add_option("--for", options->for_time,
                   "How long: 90s, 10m, 1h, 7d, 2w (default: permanently)")
      ->type_name("TIME")
      ->check(not_empty);
  block->add_option("--reason", options->reason, "The reason, shown by 'blocks' and 'status'")
      ->type_name("TEXT");
  block->add_flag(
      "--force", options->force,
      "Block even trusted networks, this host, its routers and resolvers, its own links, "
      "apps, your SSH session, or more than a /8 (IPv6: /16)");
  block->callback([&context, &exit, options] { exit = run_block(context, *options); });

  CLI::App* unblock = program.add_subcommand(
      "unblock",
      "Lift the blocks of an address, network or range, and those inside it, of all owners or of "
      "one. Reports addresses that stay blocked by a larger network or a list (exit code 3).");
  add_addresses(unblock, *options);
  unblock->callback([&context, &exit, options] { exit = run_unblock(context, *options); });

  CLI::App* blocks = program.add_subcommand(
      "blocks", "List what is blocked, by whom, since when, how long and why.");
  blocks->callback([&context, &exit] { exit = run_blocks(context); });
}

}  // namespace cli
